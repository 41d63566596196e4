//! The sandbox: serves requests by the plugin, and asks components what an operator wants to know.

use std::sync::Arc;
use std::time::Duration;

use super::breakers::Breakers;
use super::component::{Components, Patience};
use super::engine::{Allocation, Sandboxing};
use super::failure::LoadError;
use super::gate::Gate;
#[cfg(feature = "native-gate")]
use super::native;
use super::plugin::Powers;
use super::plugin_calls::{NotAdmitted, PluginCalls};
use super::review::StoreUnavailable;
use super::world::{Surface, World};
use super::{
    BUILT_IN_POLICIES, GuestError, HeldOff, MAX_SETTINGS_BYTES, Report, Served, SettingsProblem,
    Stock, built_in, fault, fit,
};
use crate::config::{Allowance, Config, GuestLimits};
use crate::domain::PolicyLimits;
use crate::error::{FaultKind, Refused};
use crate::parts::Parts;
use crate::platform::Platform;
use crate::ports::{Chains, StoreError};
use crate::request::Request;
use crate::target::Digest;

/// How long a request waits for the plugin to be loaded, which counts for none of its limits.
const PATIENCE: Patience = Patience::Within(Duration::from_secs(5));

/// Runs guests: the deletion plugin for each request, policies for the gate, and components that an
/// operator wants checked.
pub struct Sandbox {
    sandboxing: Sandboxing,
    parts: Parts,
    chains: Arc<dyn Chains>,
    pub(super) components: Components,
    powers: Arc<Powers>,
    /// Of policies.
    breakers: Breakers,
    calls: PluginCalls,
    plugin_limits: GuestLimits,
    allowance: Allowance,
    #[cfg(feature = "native-gate")]
    native: native::Place,
}

impl Sandbox {
    /// Sets up the engine. Components are compiled when they are first asked for.
    ///
    /// # Errors
    /// The engine cannot be set up on this machine, or no guest could run on it.
    pub fn start(platform: &Platform, config: &Config) -> Result<Self, GuestError> {
        Self::start_with(platform, config, Allocation::Pool)
    }

    /// The same for few guests: where there is no address space for as many as may be in the sandbox at
    /// once, each has its memory from the system.
    ///
    /// # Errors
    /// As of [`Sandbox::start`].
    pub fn start_for_few(platform: &Platform, config: &Config) -> Result<Self, GuestError> {
        Self::start_with(platform, config, Allocation::PoolOrSystem)
    }

    fn start_with(
        platform: &Platform,
        config: &Config,
        allocation: Allocation,
    ) -> Result<Self, GuestError> {
        let parts = Parts::default();
        let sandboxing = Sandboxing::start(config, allocation, &parts)?;
        let components = Components::new(&sandboxing.engine, &platform.chains, config)?;
        let breakers = Breakers::new(&config.breaker);
        let gate = Gate::new(&components, platform, config, breakers.clone(), &parts)?;
        let powers = Powers {
            authority: Arc::clone(&platform.authority),
            objects: platform.rows.clone(),
            gate: Arc::new(gate),
        };
        Ok(Self {
            components,
            chains: Arc::clone(&platform.chains),
            powers: Arc::new(powers),
            breakers,
            calls: PluginCalls::new(config),
            plugin_limits: config.plugin,
            allowance: config.allowance(),
            #[cfg(feature = "native-gate")]
            native: native::Place::default(),
            sandboxing,
            parts,
        })
    }

    /// What lives as long as the sandbox, and as what it serves if that is watched with it.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Serves one request in fresh instances.
    pub async fn serve(&self, request: &Request) -> Served {
        #[cfg(feature = "native-gate")]
        if let Some(native) = self.native.get() {
            return native.serve(request).await;
        }
        let digest = match self.chains.plugin().await {
            Ok(chosen) => chosen.unwrap_or(*built_in::PLUGIN_DIGEST),
            Err(error) => {
                let refused = Refused::from(&error);
                StoreUnavailable::log(error);
                return Served::refused(refused);
            }
        };
        let call = match self.calls.admit(digest, request.credential()).await {
            Ok(call) => call,
            Err(NotAdmitted::HeldOff(left)) => {
                return Served::refused(fault::of_plugin(FaultKind::HeldOff(left), digest));
            }
            Err(NotAdmitted::Overloaded) => {
                return Served {
                    crowded: true,
                    ..Served::refused(Refused::Overloaded)
                };
            }
        };
        match self.components.plugin(digest, PATIENCE).await {
            Ok(plugin) => {
                let powers = Arc::clone(&self.powers);
                plugin
                    .serve(digest, request, powers, self.plugin_limits, call)
                    .await
            }
            Err(error) => {
                if let Some(kind) = error.fault() {
                    call.settle(Some(kind), None);
                }
                Served::refused(Self::unloaded(&error, digest))
            }
        }
    }

    fn unloaded(error: &LoadError, digest: Digest) -> Refused {
        tracing::error!(%digest, error = %GuestError::one_line(error), "the plugin cannot be loaded");
        match error.fault() {
            Some(kind) => fault::of_plugin(kind, digest),
            None => Refused::Unavailable,
        }
    }

    /// Compiles the plugin in force and the policies that come with the program, so that the first
    /// request waits for neither.
    ///
    /// # Errors
    /// Why no request could be served now. A policy that cannot be loaded is in the log, unless nothing can
    /// be compiled on this machine.
    pub async fn warm_up(&self) -> Result<(), NotWarm> {
        for (policy, bytes) in BUILT_IN_POLICIES {
            let loaded = self.components.policy(Digest::of(bytes), Patience::Endless);
            if let Err(error) = loaded.await {
                NotWarm::check(&error)?;
                let error = GuestError::one_line(&error);
                tracing::error!(policy, error, "a policy of the program cannot be loaded");
            }
        }
        let chosen = self.chains.plugin().await;
        let chosen = chosen.map_err(|_| Refused::Unavailable)?;
        let digest = chosen.unwrap_or(*built_in::PLUGIN_DIGEST);
        match self.components.plugin(digest, Patience::Endless).await {
            Ok(_) => Ok(()),
            Err(error) => {
                NotWarm::check(&error)?;
                Err(Self::unloaded(&error, digest).into())
            }
        }
    }

    /// Returns once the plugin in force is loaded, which begins if it is not.
    ///
    /// # Errors
    /// Why a request would not be served by it.
    pub async fn probe(&self) -> Result<(), PluginMissing> {
        let chosen = self.chains.plugin().await?;
        let digest = chosen.unwrap_or(*built_in::PLUGIN_DIGEST);
        self.components.plugin(digest, PATIENCE).await?;
        Ok(())
    }

    /// Returns once the clock has ticked by which guests are interrupted.
    pub async fn ticked(&self) {
        self.sandboxing.ticked().await;
    }

    /// The components that are held off, as long as they are in force.
    ///
    /// # Errors
    /// The storage cannot tell what is in force.
    pub async fn held_off(&self) -> Result<Vec<HeldOff>, StoreError> {
        let plugin = self.chains.plugin().await?;
        let plugin = plugin.unwrap_or(*built_in::PLUGIN_DIGEST);
        let mut in_force: Vec<_> = self.calls.held_off(plugin).into_iter().collect();
        for held_off in self.breakers.held_off() {
            let Some(tenant) = held_off.tenant else {
                continue;
            };
            // A chain that cannot be read is one more reason to show what is wrong with its policy, and none
            // to hide all the others.
            let chain = self.chains.chain(tenant).await;
            let chain = chain.map_err(StoreUnavailable::log);
            if chain.map_or(true, |chain| {
                chain.is_some_and(|chain| chain.revision == held_off.revision)
            }) {
                in_force.push(held_off);
            }
        }
        Ok(in_force)
    }

    /// Compiles a component and tells what it is. A policy is asked under `limits`.
    ///
    /// # Errors
    /// It meets neither world; the error says exactly what is wrong.
    pub async fn check(&self, bytes: &[u8], limits: PolicyLimits) -> Result<Report, GuestError> {
        let engine = &self.sandboxing.engine;
        let loaded = self.components.of_bytes(bytes).await?;
        let surface = Surface::of(engine, &loaded.component);
        let world = surface.world()?;
        let description = match world {
            World::DeletionPlugin => {
                const REMEDY: &str = "raise `plugin.memory-bytes`";
                self.components.plugin_of(&loaded)?;
                let memory_bytes = fit::memory_bytes(&loaded.component);
                fit::fits(memory_bytes, self.plugin_limits, REMEDY)?;
                None
            }
            World::PolicyPlugin => {
                let policy = self.components.policy_of(&loaded)?;
                Some(policy.describe(limits.within(self.allowance))?)
            }
        };
        Ok(Report {
            digest: Digest::of(bytes),
            world: world.as_str(),
            size_bytes: bytes.len(),
            imports: surface.imports,
            exports: surface.exports,
            description,
        })
    }

    /// What is loaded, and how it came to be.
    pub fn stock(&self) -> Stock {
        self.components.stock()
    }

    /// Has a policy check settings before a chain takes them on, under the chain's `limits`.
    ///
    /// # Errors
    /// The component cannot be asked. Problems with the settings are the value; none is good.
    pub async fn validate_settings(
        &self,
        policy: &[u8],
        settings: &str,
        limits: PolicyLimits,
    ) -> Result<Vec<SettingsProblem>, GuestError> {
        if settings.len() > MAX_SETTINGS_BYTES {
            return Err(GuestError::SettingsTooLarge {
                size: settings.len(),
            });
        }
        let loaded = self.components.of_bytes(policy).await?;
        let policy = self.components.policy_of(&loaded)?;
        policy.validate(settings, limits.within(self.allowance))
    }

    #[cfg(feature = "native-gate")]
    /// Has `native` serve from now on, and no guest. What was said first holds.
    pub fn serve_natively(&self, native: Arc<dyn native::Native>) {
        let _ = self.native.set(native);
    }
}

/// Why no request could be served when a sandbox was to be warmed up.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotWarm {
    /// This machine compiles nothing, whatever the component.
    #[error("no component can be compiled")]
    Machine(#[source] GuestError),
    /// This plugin cannot be loaded, or not now.
    #[error(transparent)]
    Plugin(#[from] Refused),
}

impl NotWarm {
    fn check(error: &LoadError) -> Result<(), Self> {
        match error {
            LoadError::Component(error @ GuestError::Compiler(_)) => {
                Err(Self::Machine(error.clone()))
            }
            _ => Ok(()),
        }
    }
}

/// Why no request would be served by the plugin in force.
#[derive(Debug, thiserror::Error)]
pub enum PluginMissing {
    /// It is not known which one is in force.
    #[error("it is not known which plugin is in force")]
    Unknown(#[from] StoreError),
    /// It is not loaded.
    #[error("the plugin is not loaded")]
    Unloaded(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<LoadError> for PluginMissing {
    fn from(error: LoadError) -> Self {
        Self::Unloaded(error.into())
    }
}
