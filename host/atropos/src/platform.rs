//! What a platform brings to the flow: the list of its powers.

use std::sync::Arc;

use crate::auth::Authority;
use crate::ports::{Blobs, Chains, Rows, Shadows};

/// What a platform brings: who may ask, what there is, who judges, and the bytes.
#[derive(Clone)]
pub struct Platform {
    /// Credentials → caller.
    pub authority: Arc<dyn Authority>,
    /// The rows.
    pub rows: Arc<dyn Rows>,
    /// The policies of each tenant.
    pub chains: Arc<dyn Chains>,
    /// The bytes.
    pub blobs: Arc<dyn Blobs>,
    /// Where it is kept what chains said that are tried beside others; without one, none is asked.
    pub shadows: Option<Arc<dyn Shadows>>,
}

/// One thing that is all of it, and has no shadows.
impl<T: Authority + Rows + Chains + Blobs> From<Arc<T>> for Platform {
    fn from(all: Arc<T>) -> Self {
        Self {
            authority: all.clone(),
            rows: all.clone(),
            chains: all.clone(),
            blobs: all,
            shadows: None,
        }
    }
}
