//! From a digest to a component that is ready to instantiate: fetched, checked, compiled once,
//! shared by every tenant that names it.

use std::sync::Arc;

use moka::future::Cache;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::world::{Surface, World};
use super::{GuestError, built_in};
use crate::error::FaultKind;
use crate::store::{Chains, StoreError};
use crate::target::Digest;

/// Largest component that is compiled. A Python guest takes 18 MiB.
const MAX_BYTES: usize = 32 << 20;

/// How many compiled components are kept.
const MAX_KEPT: u64 = 1024;

/// Ready components of one world, by digest. Cheap to clone.
pub(super) struct Components<Pre> {
    engine: Engine,
    chains: Arc<dyn Chains>,
    prepare: Prepare<Pre>,
    ready: Cache<Digest, Arc<Pre>>,
}

impl<Pre> Clone for Components<Pre> {
    fn clone(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            chains: Arc::clone(&self.chains),
            prepare: Arc::clone(&self.prepare),
            ready: self.ready.clone(),
        }
    }
}

/// Makes a checked component ready: typechecks it against its world's bindings.
pub(super) type Prepare<Pre> = Arc<dyn Fn(&Component) -> Result<Pre, GuestError> + Send + Sync>;

/// Why a component is not ready.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("the storage does not have the component")]
    Missing,
    #[error("the storage cannot be asked for the component")]
    Store(#[source] StoreError),
    #[error("the stored component has other bytes than its digest says")]
    Damaged,
    #[error("the component is not usable")]
    Component(#[source] GuestError),
}

impl LoadError {
    /// How it counts as a fault; `None` if it is the storage's.
    pub(super) fn fault(&self) -> Option<FaultKind> {
        match self {
            Self::Missing => Some(FaultKind::Missing),
            Self::Store(_) => None,
            Self::Damaged | Self::Component(_) => Some(FaultKind::Unreadable),
        }
    }
}

impl<Pre: Send + Sync + 'static> Components<Pre> {
    pub(super) fn new(engine: Engine, chains: Arc<dyn Chains>, prepare: Prepare<Pre>) -> Self {
        Self {
            engine,
            chains,
            prepare,
            ready: Cache::new(MAX_KEPT),
        }
    }

    /// The ready component of a digest. Concurrent callers wait for one compilation.
    pub(super) async fn get(&self, digest: Digest) -> Result<Arc<Pre>, Arc<LoadError>> {
        if let Some(ready) = self.ready.get(&digest).await {
            return Ok(ready);
        }
        // A task of its own, so that what takes longer to compile than a request may wait is ready for
        // the next one, instead of being compiled in vain by each.
        let this = (*self).clone();
        let load = tokio::spawn(async move {
            let ready = this.ready.clone();
            ready.try_get_with(digest, this.load(digest)).await
        });
        let interrupted = |_| Err(Arc::new(LoadError::Component(GuestError::Interrupted)));
        load.await.unwrap_or_else(interrupted)
    }

    async fn load(&self, digest: Digest) -> Result<Arc<Pre>, LoadError> {
        let bytes = match built_in::by_digest(digest) {
            Some(bytes) => bytes.to_vec(),
            None => {
                let stored = self.chains.component(digest).await;
                let bytes = stored.map_err(LoadError::Store)?;
                bytes.ok_or(LoadError::Missing)?
            }
        };
        if Digest::of(&bytes) != digest {
            return Err(LoadError::Damaged);
        }
        let prepare = Arc::clone(&self.prepare);
        let compiled = compile(self.engine.clone(), bytes).await;
        let component = compiled.map_err(LoadError::Component)?;
        let ready = prepare(&component).map_err(LoadError::Component)?;
        Ok(Arc::new(ready))
    }
}

/// Compiles away from the threads that serve requests.
pub(super) async fn compile(engine: Engine, bytes: Vec<u8>) -> Result<Component, GuestError> {
    if bytes.len() > MAX_BYTES {
        return Err(GuestError::TooLarge {
            size: bytes.len(),
            limit: MAX_BYTES,
        });
    }
    let compile = move || Component::from_binary(&engine, &bytes).map_err(GuestError::compile);
    let compiled = tokio::task::spawn_blocking(compile).await;
    compiled.unwrap_or(Err(GuestError::Interrupted))
}

/// Refuses a component that is not of `world`.
pub(super) fn require(
    engine: &Engine,
    component: &Component,
    world: World,
) -> Result<(), GuestError> {
    Surface::of(engine, component).require(world)
}
