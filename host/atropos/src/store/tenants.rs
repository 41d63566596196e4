//! What an operator administers: tenants, their credentials, their budgets.

use async_trait::async_trait;
use serde::Serialize;

use super::Result;
use super::budget::{Limit, Spent};
use super::entry::ChainEntry;
use crate::target::{Caller, Digest, Permission, Subdomain, Tenant, TenantId, WebsiteId};

/// Tenants and whatever belongs to one. Credentials come and go as digests only.
#[async_trait]
pub trait Tenants: Send + Sync + 'static {
    /// Creates a tenant with its first chain.
    ///
    /// # Errors
    /// [`super::StoreError::Taken`] if subdomain or website is.
    async fn create_tenant(&self, new: NewTenant) -> Result<Tenant>;

    /// Every tenant whose row can be read, by subdomain.
    async fn tenants(&self) -> Result<Vec<Tenant>>;

    /// One tenant by subdomain.
    async fn tenant(&self, subdomain: &Subdomain) -> Result<Option<Tenant>>;

    /// Stores a site key of a tenant.
    ///
    /// # Errors
    /// [`super::StoreError::Taken`] if the tenant has had this very key before,
    /// [`super::StoreError::Missing`] if there is no such tenant.
    async fn add_key(&self, tenant: TenantId, key: NewCredential) -> Result<()>;

    /// The site keys of a tenant, latest first.
    async fn keys(&self, tenant: TenantId) -> Result<Vec<KeyInfo>>;

    /// Makes a site key void at once.
    ///
    /// # Errors
    /// [`super::StoreError::Missing`] if there is none of this id.
    async fn revoke_key(&self, id: &str, at_ms: u64) -> Result<()>;

    /// The caller that a site key stands for: of this website, not revoked, not expired at `at_ms`.
    /// It may upload and delete photos.
    async fn site_caller(
        &self,
        website: WebsiteId,
        digest: Digest,
        at_ms: u64,
    ) -> Result<Option<Caller>>;

    /// Stores an API client with the digest of its secret.
    ///
    /// # Errors
    /// [`super::StoreError::Taken`] if the id is.
    async fn add_client(&self, client: NewCredential) -> Result<()>;

    /// Every API client with its grants, by id.
    async fn clients(&self) -> Result<Vec<ClientInfo>>;

    /// The digest of a client's secret; `None` also once that has expired.
    async fn client_secret(&self, id: &str) -> Result<Option<Digest>>;

    /// Replaces what a client may do in a tenant; nothing withdraws its access.
    ///
    /// # Errors
    /// [`super::StoreError::Missing`] if there is no such client.
    async fn grant(&self, client: &str, tenant: TenantId, permissions: &[Permission])
    -> Result<()>;

    /// Stores a bearer token of a client, and forgets some of those of all clients that expired before
    /// it was issued. If the client comes to have more than `most`, those of its own that would expire
    /// first are taken away, expired ones included; returns how many of these were not expired.
    ///
    /// # Errors
    /// [`super::StoreError::Missing`] if there is no such client.
    async fn add_token(&self, client: &str, token: NewCredential, most: u64) -> Result<u64>;

    /// Makes a token void at once.
    ///
    /// # Errors
    /// [`super::StoreError::Missing`] if there is none of this id.
    async fn revoke_token(&self, id: &str, at_ms: u64) -> Result<()>;

    /// Whom a token speaks for: the client's id, if it is neither revoked nor expired at `at_ms`.
    async fn token_client(&self, digest: Digest, at_ms: u64) -> Result<Option<String>>;

    /// What a client may do in the tenant of a subdomain; `None` if it has no grant there or there
    /// is no such tenant.
    async fn granted(&self, client: &str, tenant: &Subdomain) -> Result<Option<Caller>>;

    /// The limits that were set for a tenant, in place of the configuration's.
    async fn limits(&self, tenant: TenantId) -> Result<Vec<Limit>>;

    /// Sets limits for a tenant, from its next delete on; the others stay as they are.
    ///
    /// # Errors
    /// [`super::StoreError::Missing`] if there is no such tenant.
    async fn set_limits(&self, tenant: TenantId, limits: &[Limit]) -> Result<()>;

    /// What a tenant and its callers have spent of the limited windows that go on at `at_ms`, by
    /// caller.
    async fn spent(&self, tenant: TenantId, at_ms: u64) -> Result<Vec<Spent>>;
}

/// A tenant to create.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// How document callers will name it.
    pub subdomain: Subdomain,
    /// How photo callers will name it.
    pub website_id: WebsiteId,
    /// Its first chain; every digest must be kept already.
    pub chain: Vec<ChainEntry>,
    /// When.
    pub at_ms: u64,
    /// Who creates it, in the operator's words.
    pub by: String,
}

/// The stored form of a key, a secret or a token.
#[derive(Clone, Debug)]
pub struct NewCredential {
    /// Public id, by which it is listed and revoked; for a client, its client id.
    pub id: String,
    /// What it is for, in the operator's words.
    pub label: String,
    /// SHA-256 of the credential.
    pub digest: Digest,
    /// When it was issued.
    pub issued_at_ms: u64,
    /// When it becomes void by itself.
    pub expires_at_ms: Option<u64>,
}

/// A site key as operators see it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyInfo {
    /// Public id.
    pub id: String,
    /// What it is for.
    pub label: String,
    /// When it was issued.
    pub issued_at_ms: u64,
    /// When it becomes void by itself.
    pub expires_at_ms: Option<u64>,
    /// When it was revoked.
    pub revoked_at_ms: Option<u64>,
}

/// An API client as operators see it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientInfo {
    /// Its client id.
    pub id: String,
    /// What it is for.
    pub label: String,
    /// When it was created.
    pub created_at_ms: u64,
    /// What it may do, by tenant.
    pub grants: Vec<GrantInfo>,
}

/// What a client may do in one tenant.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantInfo {
    /// The tenant.
    pub tenant: Subdomain,
    /// What it may do there.
    pub permissions: Vec<Permission>,
}
