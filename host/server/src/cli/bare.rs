//! A sandbox without a platform: enough to check a component where there is no data directory.

use std::sync::Arc;

use async_trait::async_trait;
use atropos::domain::decision::Decision;
use atropos::domain::{Chain, Claim, Doomed, Erasure, Owner, Removal, Shred};
use atropos::erase::Platform;
use atropos::guest::Sandbox;
use atropos::ports::{
    Blobs, Chains, Decisions, EraseError, Objects, Outcomes, Removals, Result, StoreError,
};
use atropos::target::{BlobKey, Caller, Digest, Object, Subdomain, Target, TenantId, WebsiteId};
use atropos_service::auth::{AuthError, Authority};
use atropos_service::config::Config;
use atropos_service::service::{ServiceError, images};

use super::Failure;

/// Starts a sandbox that has nothing to serve. What it compiles is kept in the data directory, if there
/// is one.
pub(crate) fn sandbox(config: &Config) -> Result<Sandbox, Failure> {
    let mut config = config.clone();
    if config.data_dir.is_dir() {
        config.components.cache = Some(images(&config.data_dir));
    }
    let nothing = Arc::new(Nothing);
    let platform = Platform {
        authority: nothing.clone(),
        rows: nothing.clone(),
        chains: nothing.clone(),
        blobs: nothing,
        shadows: None,
    };
    Ok(Sandbox::start_for_few(&platform, &config.flow()).map_err(ServiceError::Guest)?)
}

/// A platform on which nobody is known and nothing is there.
struct Nothing;

const NO_STORAGE: StoreError = StoreError::Missing { what: "storage" };

#[async_trait]
impl Authority for Nothing {
    async fn authenticate_site(&self, _: WebsiteId, _: &str) -> Result<Caller, AuthError> {
        Err(AuthError::Rejected)
    }

    async fn authenticate_token(&self, _: &str, _: &Subdomain) -> Result<Caller, AuthError> {
        Err(AuthError::Rejected)
    }
}

#[async_trait]
impl Objects for Nothing {
    async fn find(&self, _: &Target) -> Result<Option<Object>> {
        Ok(None)
    }

    async fn erase(&self, _: &[Erasure]) -> Result<Vec<Result<Doomed, EraseError>>> {
        Err(NO_STORAGE)
    }
}

#[async_trait]
impl Decisions for Nothing {
    async fn record(&self, _: &[Decision]) -> Result<Vec<Result<()>>> {
        Err(NO_STORAGE)
    }
}

impl Outcomes for Nothing {}

#[async_trait]
impl Removals for Nothing {
    async fn claim(&self, _: &Claim) -> Result<Vec<Shred>> {
        Ok(Vec::new())
    }

    async fn hasten(&self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }

    async fn shredded(&self, _: &[(BlobKey, Removal)]) -> Result<Vec<Result<()>>> {
        Err(NO_STORAGE)
    }

    async fn postpone(&self, _: Owner, _: BlobKey, _: u64, _: &str) -> Result<()> {
        Err(NO_STORAGE)
    }
}

#[async_trait]
impl Chains for Nothing {
    async fn chain(&self, _: TenantId) -> Result<Option<Arc<Chain>>> {
        Ok(None)
    }

    async fn component(&self, _: Digest) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    async fn plugin(&self) -> Result<Option<Digest>> {
        Ok(None)
    }
}

#[async_trait]
impl Blobs for Nothing {
    async fn remove(&self, _: BlobKey) -> Result<Removal> {
        Err(NO_STORAGE)
    }

    async fn sync_removals(&self) -> Result<()> {
        Ok(())
    }
}
