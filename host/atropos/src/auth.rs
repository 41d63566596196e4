//! Who is asking: credentials become a caller, by what the platform knows of accounts.

use async_trait::async_trait;

use crate::ports::StoreError;
use crate::step;
use crate::target::{Caller, Subdomain, WebsiteId};

/// Why nobody was authenticated.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Unknown, wrong, expired and revoked are one answer.
    #[error("the credential is not valid")]
    Rejected,
    /// The credential is valid, but gives no access to the tenant, whether that exists or not.
    #[error("the credential gives no access to this tenant")]
    NoAccess,
    /// Too many failed attempts; milliseconds to wait.
    #[error("too many failed attempts")]
    Throttled(u64),
    /// The credentials cannot be checked now.
    #[error("the credentials cannot be checked now")]
    Unavailable(#[source] StoreError),
}

/// Who is asking?
#[async_trait]
pub trait Authority: Send + Sync + 'static {
    /// The caller that a website's key stands for.
    ///
    /// # Errors
    /// [`AuthError::Rejected`] also for an unknown website.
    async fn authenticate_site(&self, website: WebsiteId, key: &str) -> Result<Caller, AuthError>;

    /// The caller that a bearer token stands for in a tenant.
    ///
    /// # Errors
    /// [`AuthError::Rejected`] for the token, [`AuthError::NoAccess`] for the tenant.
    async fn authenticate_token(
        &self,
        token: &str,
        tenant: &Subdomain,
    ) -> Result<Caller, AuthError>;
}

impl From<step::Failed> for AuthError {
    fn from(failed: step::Failed) -> Self {
        Self::Unavailable(failed.into())
    }
}

impl From<StoreError> for AuthError {
    fn from(source: StoreError) -> Self {
        Self::Unavailable(source)
    }
}
