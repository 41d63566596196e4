//! Native code in place of the guests: what the sandbox costs is measured against it.
//!
//! **Invariant:** it is in the build of the benchmarks alone, which asks for the feature `native-gate`:
//! nothing contains what it does.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use super::served::Served;
use crate::request::Request;

/// Serves requests as the plugin and the policies together would.
#[async_trait]
pub trait Native: Send + Sync + 'static {
    /// From what came over the wire to what is to be committed.
    async fn serve(&self, request: &Request) -> Served;
}

pub(super) type Place = OnceLock<Arc<dyn Native>>;
