//! All that touches wasmtime: engine, compiler, images, limits, breakers, plugin, gate, policy.
//!
//! ```text
//! Sandbox ─► plugin calls ─► serve (plugin, fresh) ─► plugin (its imports) ─► gate ─► policy (fresh,
//!            admitted?                                                        held off?        pure)
//! ```
//!
//! A policy that computes for long is asked on a thread of a pool, where it is in nobody's way.
//!
//! **Invariant:** a guest is instantiated for one call and dropped; nothing passes from one request
//! or tenant to the next. How often a component failed is the host's knowledge, not the guest's.

mod bindings;
mod breaker;
mod breakers;
mod built_in;
mod compiler;
mod component;
mod convert;
mod engine;
mod facts;
mod failure;
mod gate;
mod images;
mod judge;
mod limits;
mod module;
#[cfg(feature = "native-gate")]
pub mod native;
mod permit;
mod plugin;
mod plugin_calls;
mod policy;
mod probe;
mod remedy;
mod serve;
mod shadow_queue;
mod slow_policies;
mod trial;
mod world;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use self::breakers::Breakers;
use self::component::{Components, Patience};
use self::engine::{Allocation, Sandboxing};
use self::failure::LoadError;
use self::gate::{Gate, StoreUnavailable};
use self::plugin::Powers;
use self::plugin_calls::{NotAdmitted, PluginCalls};
use self::world::{Surface, World};
use crate::config::{Allowance, Config, GuestLimits};
use crate::error::{Fault, FaultKind, Refused};
use crate::parts::Parts;
use crate::platform::Platform;
use crate::request::Request;
use crate::store::decision::Decision;
use crate::store::{Chains, PolicyLimits, StoreError};
use crate::target::{Caller, Digest};

pub use self::breakers::HeldOff;
pub use self::built_in::{ALLOW_ALL, POLICIES as BUILT_IN_POLICIES, policy as built_in_policy};
pub use self::compiler::{VERB as COMPILE_VERB, compile};
pub use self::component::Stock;
pub use self::engine::FIBER_STACK_BYTES;
pub use self::failure::GuestError;
pub use self::judge::Judge;
pub use self::module::component as component_of;
pub use self::policy::{Answer, Run};
pub use self::shadow_queue::BYTES as SHADOW_BYTES;

/// How long a request waits for the plugin to be loaded, which counts for none of its limits.
const PATIENCE: Patience = Patience::Within(Duration::from_secs(5));

/// Largest settings that a policy is given, in bytes.
pub const MAX_SETTINGS_BYTES: usize = 64 << 10;

/// What a call into the plugin came to.
pub struct Served {
    /// The decision to commit, if the plugin staged an object and returned success.
    pub staged: Result<Decision, Refused>,
    /// Decisions that erase nothing, to be recorded.
    pub unused: Vec<Decision>,
    /// Whom the plugin authenticated; of several, the last, and nobody if that failed.
    pub caller: Option<Caller>,
    /// Those who asked already have taken all the room that there is for the tenant or the credential.
    pub crowded: bool,
}

impl Served {
    fn refused(refused: Refused) -> Self {
        Self {
            staged: Err(refused),
            unused: Vec::new(),
            caller: None,
            crowded: false,
        }
    }

    /// How the plugin failed, if it did.
    fn fault(&self) -> Option<FaultKind> {
        match &self.staged {
            Err(Refused::Fault(fault)) => Some(fault.kind),
            _ => None,
        }
    }
}

/// Runs guests: the deletion plugin for each request, policies for the gate, and components that an
/// operator wants checked.
pub struct Sandbox {
    sandboxing: Sandboxing,
    parts: Parts,
    chains: Arc<dyn Chains>,
    components: Components,
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
        let powers = Powers {
            authority: Arc::clone(&platform.authority),
            objects: Arc::clone(&platform.objects),
            gate: Gate::new(&components, platform, config, breakers.clone(), &parts)?,
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
                return Served::refused(serve::fault(FaultKind::HeldOff(left), digest));
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
            Some(kind) => serve::fault(kind, digest),
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
                let memory_bytes = component::memory_bytes(&loaded.component);
                component::fits(memory_bytes, self.plugin_limits, REMEDY)?;
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

/// What a component is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Its name in chains and records.
    pub digest: Digest,
    /// `deletion-plugin` or `policy-plugin`.
    pub world: &'static str,
    /// Its size in bytes.
    pub size_bytes: usize,
    /// The interfaces it imports, escaped.
    pub imports: Vec<String>,
    /// The interfaces it exports, escaped.
    pub exports: Vec<String>,
    /// What a policy says of itself.
    pub description: Option<Description>,
}

/// What a policy says of itself.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// Lower-case name.
    pub name: String,
    /// Version.
    pub version: String,
    /// What it forbids, escaped.
    pub summary: String,
    /// JSON Schema of its settings. Harmful characters in it are escaped as JSON does it.
    pub settings_schema: String,
}

/// One thing wrong with a policy's settings, in the policy's words, escaped. At most 512 bytes each.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingsProblem {
    /// Where, as a dotted path; empty for the whole.
    pub path: String,
    /// What is wrong and what is expected instead.
    pub message: String,
}

/// Counts a fault by its code, of which there are few. Which component it was says the log, and of a
/// policy the decision: a label for each component would be a series for each that was ever uploaded.
fn count_fault(fault: &Fault) {
    metrics::counter!("atropos_guest_faults_total", "code" => fault.code()).increment(1);
}
