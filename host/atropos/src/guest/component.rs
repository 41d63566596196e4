//! From a digest to a component that is ready to instantiate: found on disk or compiled, checked, loaded
//! once, shared by every tenant that names it.
//!
//! ```text
//! loaded? ──► being loaded? wait ──► failed lately? ──► fetch ──► image on disk? map ──► compile, keep
//! ```
//!
//! **Invariant:** of many who want one component at once, one loads it.
//! **Invariant:** a loading goes on whether or not anybody still waits for it.
//! **Invariant:** a component that fails to compile takes at most a tenth of a compiler's time, however
//! often it is asked for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Duration, Instant};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::compiler::Compiler;
use super::failure::{GuestError, LoadError, source};
use super::fit::Prepare;
use super::images::{self, Images};
use super::policy::Policy;
use super::serve::Plugin;
use super::{built_in, engine};
use crate::config::Config;
use crate::ports::{Chains, StoreError};
use crate::target::Digest;

/// How many components are remembered that failed lately.
const MAX_FAILED: u64 = 10_000;

/// How long the storage may take for the bytes of one, or it would be on the way for ever.
const FETCH: Duration = Duration::from_secs(30);

/// How much longer than its compilation took a component that failed is left alone.
const REST: u32 = 10;

/// For how long a component is waited for, counted from when its loading began, so that of many who ask
/// for it only the first ones wait.
#[derive(Clone, Copy)]
pub(super) enum Patience {
    /// For so long.
    Within(Duration),
    /// Until it is loaded or failed.
    Endless,
}

/// The components of an engine. Cheap to clone.
#[derive(Clone)]
pub(super) struct Components(Arc<Shared>);

struct Shared {
    engine: Engine,
    chains: Arc<dyn Chains>,
    compiler: Compiler,
    images: Option<Images>,
    loaded: Cache<Digest, Arc<Loaded>>,
    loading: Mutex<HashMap<Digest, Loading>>,
    failed: Cache<Digest, Failed>,
    first_rest: Duration,
    /// What a memory may have.
    memory_bytes: u64,
    policy: Prepare<Policy>,
    plugin: Prepare<Plugin>,
    counts: Arc<Counts>,
}

/// A component in memory, and what was made ready of it.
pub(super) struct Loaded {
    pub(super) component: Component,
    policy: OnceLock<Arc<Policy>>,
    plugin: OnceLock<Arc<Plugin>>,
}

/// One that is on the way.
#[derive(Clone)]
struct Loading {
    since: Instant,
    outcome: watch::Receiver<Option<Outcome>>,
}

type Outcome = Result<Arc<Loaded>, LoadError>;

/// One that failed, and until when it is not tried again.
#[derive(Clone)]
struct Failed {
    error: LoadError,
    until: Instant,
}

#[derive(Default)]
struct Counts {
    compiled: AtomicU64,
    mapped: AtomicU64,
    evicted: AtomicU64,
}

/// Which components are loaded, and how they came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stock {
    /// How many are loaded.
    pub loaded: u64,
    /// The size of their images.
    pub loaded_bytes: u64,
    /// How many are being compiled, or wait for it.
    pub compiling: u64,
    /// How often one was compiled since the start.
    pub compiled: u64,
    /// How often one was loaded from an image on disk.
    pub from_disk: u64,
    /// How often one had to go for others.
    pub evicted: u64,
}

impl Components {
    /// None is loaded until it is asked for.
    pub(super) fn new(
        engine: &Engine,
        chains: &Arc<dyn Chains>,
        config: &Config,
    ) -> Result<Self, GuestError> {
        let settings = &config.components;
        let open = |folder: &std::path::PathBuf| {
            let images = Images::open(folder, settings.disk_bytes, engine);
            images.inspect_err(|error| {
                tracing::warn!(%error, "compiled components cannot be kept on disk");
            })
        };
        let counts = Arc::<Counts>::default();
        Ok(Self(Arc::new(Shared {
            engine: engine.clone(),
            chains: Arc::clone(chains),
            compiler: Compiler::new(engine, settings),
            images: settings.cache.as_ref().and_then(|folder| open(folder).ok()),
            loaded: cache(settings.memory_bytes, Arc::clone(&counts)),
            loading: Mutex::default(),
            failed: Cache::new(MAX_FAILED),
            first_rest: Duration::from_millis(config.breaker.first_pause_ms),
            memory_bytes: engine::memory_bytes(config),
            policy: super::policy::prepare(engine),
            plugin: super::serve::prepare(engine)?,
            counts,
        })))
    }

    /// A policy, if it is loaded.
    pub(super) fn loaded_policy(&self, digest: Digest) -> Option<Arc<Policy>> {
        self.0.loaded.get(&digest)?.policy.get().cloned()
    }

    /// A policy, ready to instantiate.
    pub(super) async fn policy(
        &self,
        digest: Digest,
        patience: Patience,
    ) -> Result<Arc<Policy>, LoadError> {
        let loaded = self.0.clone().get(digest, None, patience).await?;
        self.policy_of(&loaded).map_err(LoadError::Component)
    }

    /// The policy that a component is.
    pub(super) fn policy_of(&self, loaded: &Loaded) -> Result<Arc<Policy>, GuestError> {
        prepared(&loaded.policy, &self.0.policy, &loaded.component)
    }

    /// A plugin, ready to instantiate.
    pub(super) async fn plugin(
        &self,
        digest: Digest,
        patience: Patience,
    ) -> Result<Arc<Plugin>, LoadError> {
        let loaded = self.0.clone().get(digest, None, patience).await?;
        self.plugin_of(&loaded).map_err(LoadError::Component)
    }

    /// The plugin that a component is.
    pub(super) fn plugin_of(&self, loaded: &Loaded) -> Result<Arc<Plugin>, GuestError> {
        prepared(&loaded.plugin, &self.0.plugin, &loaded.component)
    }

    /// The component of these bytes, whether or not anybody keeps them.
    pub(super) async fn of_bytes(&self, bytes: &[u8]) -> Result<Arc<Loaded>, GuestError> {
        let digest = Digest::of(bytes);
        let bytes = Some(bytes.to_vec());
        let loaded = self.0.clone().get(digest, bytes, Patience::Endless).await;
        loaded.map_err(|error| match error {
            LoadError::Component(error) => error,
            // Somebody looked for it in the storage at the same time.
            _ => GuestError::Interrupted,
        })
    }

    /// What there is now.
    pub(super) fn stock(&self) -> Stock {
        let (loaded, counts) = (&self.0.loaded, &self.0.counts);
        loaded.run_pending_tasks();
        Stock {
            loaded: loaded.entry_count(),
            loaded_bytes: loaded.weighted_size() << 10,
            compiling: self.0.compiler.under_way() as u64,
            compiled: counts.compiled.load(Ordering::Relaxed),
            from_disk: counts.mapped.load(Ordering::Relaxed),
            evicted: counts.evicted.load(Ordering::Relaxed),
        }
    }
}

impl Shared {
    async fn get(
        self: Arc<Self>,
        digest: Digest,
        bytes: Option<Vec<u8>>,
        patience: Patience,
    ) -> Outcome {
        if let Some(loaded) = self.loaded.get(&digest) {
            return Ok(loaded);
        }
        let Loading { since, mut outcome } = Self::join(&self, digest, bytes);
        let done = outcome.wait_for(Option::is_some);
        let done = match patience {
            Patience::Endless => done.await,
            Patience::Within(patience) => {
                let done = tokio::time::timeout_at(since + patience, done).await;
                done.map_err(|_| LoadError::Compiling)?
            }
        };
        let interrupted = Err(LoadError::Component(GuestError::Interrupted));
        done.map_or(interrupted.clone(), |done| {
            done.clone().unwrap_or(interrupted)
        })
    }

    /// Joins the loading under way, or begins it: in a task of its own, so that what takes longer to
    /// compile than a request may wait is ready for the next one.
    fn join(this: &Arc<Self>, digest: Digest, bytes: Option<Vec<u8>>) -> Loading {
        let mut loading = this.loading.lock();
        if let Some(loading) = loading.get(&digest) {
            return loading.clone();
        }
        let (tell, outcome) = watch::channel(None);
        let since = Instant::now();
        let joined = Loading { since, outcome };
        loading.insert(digest, joined.clone());
        drop(loading);
        let on_the_way = OnTheWay(Arc::clone(this), digest);
        tokio::spawn(async move {
            let OnTheWay(this, _) = &on_the_way;
            let outcome = match this.loaded.get(&digest) {
                // Between the look of who began this and this, another was done.
                Some(loaded) => Ok(loaded),
                None => this.load(digest, bytes).await,
            };
            if let Ok(loaded) = &outcome {
                this.loaded.insert(digest, Arc::clone(loaded));
                // Has those go at once that have to.
                this.loaded.run_pending_tasks();
            }
            tell.send_replace(Some(outcome));
        });
        joined
    }

    async fn load(self: &Arc<Self>, digest: Digest, bytes: Option<Vec<u8>>) -> Outcome {
        let failed = self.failed.get(&digest);
        let resting = failed.filter(|failed| failed.until > Instant::now());
        // Another process may have compiled it meanwhile.
        let image = self
            .images
            .as_ref()
            .is_some_and(|images| images.has(digest));
        if let Some(failed) = resting.filter(|_| !image) {
            return Err(failed.error);
        }
        // The storage's word is what counts: an image alone is not enough.
        let bytes = match bytes {
            Some(bytes) => bytes,
            None => self.fetch(digest).await?,
        };
        if Digest::of(&bytes) != digest {
            return Err(LoadError::Damaged);
        }
        if let Some(component) = self.map(digest).await? {
            self.counts.mapped.fetch_add(1, Ordering::Relaxed);
            metrics::counter!("atropos_components_loaded_total", "from" => "disk").increment(1);
            return Ok(Arc::new(Loaded::new(component)));
        }
        let started = Instant::now();
        let compiled = self.compile(digest, bytes).await;
        compiled.map_err(|error| {
            let passing = error.is_passing();
            let error = LoadError::Component(error);
            if !passing {
                let rest = (started.elapsed() * REST).max(self.first_rest);
                let (error, until) = (error.clone(), Instant::now() + rest);
                self.failed.insert(digest, Failed { error, until });
            }
            error
        })
    }

    /// From its image on disk.
    async fn map(&self, digest: Digest) -> Result<Option<Component>, LoadError> {
        let Some(images) = self.images.clone() else {
            return Ok(None);
        };
        let mapped = tokio::task::spawn_blocking(move || images.load(digest)).await;
        mapped
            .map_err(|_| GuestError::Interrupted)
            .and_then(|mapped| mapped.map_err(|error| self.misfit(error)))
            .map_err(LoadError::Component)
    }

    async fn fetch(&self, digest: Digest) -> Result<Vec<u8>, LoadError> {
        if let Some(bytes) = built_in::by_digest(digest) {
            return Ok(bytes.to_vec());
        }
        let stored = tokio::time::timeout(FETCH, self.chains.component(digest)).await;
        let late =
            |elapsed: tokio::time::error::Elapsed| Err(StoreError::Unavailable(elapsed.into()));
        let bytes = stored
            .unwrap_or_else(late)
            .map_err(|error| LoadError::Store(Arc::new(error)))?;
        bytes.ok_or(LoadError::Missing)
    }

    async fn compile(&self, digest: Digest, bytes: Vec<u8>) -> Result<Arc<Loaded>, GuestError> {
        let image = self.compiler.compile(bytes).await?;
        self.counts.compiled.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("atropos_components_loaded_total", "from" => "compiler").increment(1);
        let (engine, images) = (self.engine.clone(), self.images.clone());
        let load = move || {
            if let Some(images) = images {
                match images.keep(digest, &image) {
                    Ok(()) => {
                        if let Some(component) = images.load(digest)? {
                            return Ok(component);
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%digest, %error, "a compiled component cannot be kept");
                    }
                }
            }
            images::copied(&engine, &image)
        };
        let component = tokio::task::spawn_blocking(load).await;
        let component = component.map_err(|_| GuestError::Interrupted)?;
        let component = component.map_err(|error| self.misfit(error))?;
        Ok(Arc::new(Loaded::new(component)))
    }

    /// All that can be wrong with an image that the compiler made.
    fn misfit(&self, error: wasmtime::Error) -> GuestError {
        GuestError::Misfit {
            memory_bytes: self.memory_bytes,
            source: source(error),
        }
    }
}

/// A loading under way, which is over when this is dropped, however it ends.
struct OnTheWay(Arc<Shared>, Digest);

impl Drop for OnTheWay {
    fn drop(&mut self) {
        self.0.loading.lock().remove(&self.1);
    }
}

impl Loaded {
    fn new(component: Component) -> Self {
        Self {
            component,
            policy: OnceLock::new(),
            plugin: OnceLock::new(),
        }
    }

    /// The size of its image.
    fn bytes(&self) -> u64 {
        let image = self.component.image_range();
        (image.end as usize - image.start as usize) as u64
    }
}

/// What stays loaded: as much as fits, and what was used last. A component that is larger than all of
/// it is alone.
fn cache(most_bytes: u64, counts: Arc<Counts>) -> Cache<Digest, Arc<Loaded>> {
    // Weights have 32 bits, so they are in KiB.
    let most = most_bytes >> 10;
    let weigh = move |_: &Digest, loaded: &Arc<Loaded>| {
        u32::try_from(loaded.bytes().div_ceil(1 << 10).min(most)).unwrap_or(u32::MAX)
    };
    let count = move |_, _, cause| {
        if cause == RemovalCause::Size {
            counts.evicted.fetch_add(1, Ordering::Relaxed);
            metrics::counter!("atropos_components_evicted_total").increment(1);
        }
    };
    Cache::builder()
        .max_capacity(most)
        .weigher(weigh)
        .eviction_policy(EvictionPolicy::lru())
        .eviction_listener(count)
        .build()
}

fn prepared<Pre>(
    ready: &OnceLock<Arc<Pre>>,
    prepare: &Prepare<Pre>,
    component: &Component,
) -> Result<Arc<Pre>, GuestError> {
    if let Some(ready) = ready.get() {
        return Ok(Arc::clone(ready));
    }
    let made = Arc::new(prepare(component)?);
    Ok(Arc::clone(ready.get_or_init(|| made)))
}
