//! Credentials, which are kept as digests only.

use async_trait::async_trait;

use super::error::Result;
use crate::domain::tenants::NewCredential;
use crate::domain::{ClientInfo, KeyInfo};
use crate::target::{Caller, Digest, Permission, Subdomain, TenantId, WebsiteId};

/// Tells who calls, at each request.
#[async_trait]
pub trait CredentialCheck: Send + Sync + 'static {
    /// The caller that a site key stands for: of this website, not revoked, not expired at `at_ms`.
    /// It may upload and delete photos.
    async fn site_caller(
        &self,
        website: WebsiteId,
        digest: Digest,
        at_ms: u64,
    ) -> Result<Option<Caller>>;

    /// The digest of a client's secret; `None` also once that has expired by
    /// `at_ms`.
    async fn client_secret(&self, id: &str, at_ms: u64) -> Result<Option<Digest>>;

    /// Stores a bearer token of a client, and forgets some of those of all clients that expired before
    /// it was issued. If the client comes to have more than `most`, those of its own that would expire
    /// first are taken away, expired ones included; returns how many of these were not expired.
    ///
    /// # Errors
    /// [`StoreError::Missing`](super::StoreError::Missing) if there is no such client.
    async fn add_token(&self, client: &str, token: NewCredential, most: u64) -> Result<u64>;

    /// Whom a token speaks for: the client's id, if it is neither revoked nor expired at `at_ms`.
    async fn token_client(&self, digest: Digest, at_ms: u64) -> Result<Option<String>>;

    /// What a client may do in the tenant of a subdomain; `None` if it has no grant there or there
    /// is no such tenant.
    async fn granted(&self, client: &str, tenant: &Subdomain) -> Result<Option<Caller>>;
}

/// Issues credentials and revokes them.
#[async_trait]
pub trait CredentialAdmin: Send + Sync + 'static {
    /// Stores a site key of a tenant.
    ///
    /// # Errors
    /// [`StoreError::Taken`](super::StoreError::Taken) if the tenant has had this very key before,
    /// [`StoreError::Missing`](super::StoreError::Missing) if there is no such tenant.
    async fn add_key(&self, tenant: TenantId, key: NewCredential) -> Result<()>;

    /// The site keys of a tenant, latest first.
    async fn keys(&self, tenant: TenantId) -> Result<Vec<KeyInfo>>;

    /// Makes a site key void at once.
    ///
    /// # Errors
    /// [`StoreError::Missing`](super::StoreError::Missing) if there is none of this id.
    async fn revoke_key(&self, id: &str, at_ms: u64) -> Result<()>;

    /// Stores an API client with the digest of its secret.
    ///
    /// # Errors
    /// [`StoreError::Taken`](super::StoreError::Taken) if the id is.
    async fn add_client(&self, client: NewCredential) -> Result<()>;

    /// Every API client with its grants, by id.
    async fn clients(&self) -> Result<Vec<ClientInfo>>;

    /// Replaces what a client may do in a tenant; nothing withdraws its access.
    ///
    /// # Errors
    /// [`StoreError::Missing`](super::StoreError::Missing) if there is no such client.
    async fn grant(&self, client: &str, tenant: TenantId, permissions: &[Permission])
    -> Result<()>;

    /// Makes a token void at once.
    ///
    /// # Errors
    /// [`StoreError::Missing`](super::StoreError::Missing) if there is none of this id.
    async fn revoke_token(&self, id: &str, at_ms: u64) -> Result<()>;
}
