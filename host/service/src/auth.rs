//! The server's own accounts: site keys, client secrets and bearer tokens become a caller. A platform with
//! accounts of its own brings another [`Authority`].
//!
//! **Invariant:** a credential is stored as a digest only and shown once, when it is issued. What is
//! looked up is the digest, so how long a look-up takes tells nothing about a stored credential.

// Guessing, slowed.
mod throttle;
// What was tried at whose credentials.
mod windows;

use std::sync::Arc;

use async_trait::async_trait;
pub use atropos::auth::{AuthError, Authority};
use atropos::domain::tenants::NewCredential;
use atropos::ports::{StoreError, Tenants};
use atropos::step::{self, Step};
use atropos::target::{Caller, Digest, Subdomain, WebsiteId, now_ms};
use uuid::Uuid;

use self::throttle::{Subject, Throttle};
use crate::config;

/// Site keys, client secrets and bearer tokens of the server's own store.
#[derive(Clone)]
pub struct Credentials {
    tenants: Arc<dyn Tenants>,
    throttle: Throttle,
    /// How many live tokens a client may have.
    client_tokens: u64,
}

impl Credentials {
    /// Checks against what `tenants` holds, at each call.
    pub fn new(tenants: Arc<dyn Tenants>, config: &config::Auth) -> Self {
        Self {
            tenants,
            throttle: Throttle::new(config.clone()),
            client_tokens: config.client_tokens,
        }
    }

    /// The client that a bearer token stands for now, whatever that client may do.
    ///
    /// # Errors
    /// The token is not valid, or is not checked now.
    pub async fn token_client(&self, token: &str) -> Result<String, AuthError> {
        let digest = Digest::of(token.as_bytes());
        let client = self.tenants.token_client(digest, now_ms());
        let owner = |client: &String| Subject::client(client);
        self.throttle
            .guard(Subject::Tokens, digest, client, owner)
            .await
    }

    /// Issues a bearer token to a client that proves its secret; `lifetime_ms` from now. If the client
    /// has as many as `auth.client-tokens` says, that of its own ends which would expire first.
    ///
    /// # Errors
    /// [`AuthError::Rejected`] if there is no such client or the secret is another,
    /// [`AuthError::Throttled`] if that is not checked now.
    pub async fn issue_token(
        &self,
        client: &str,
        secret: &str,
        lifetime_ms: u64,
    ) -> Result<Issued, AuthError> {
        let given = Digest::of(secret.as_bytes());
        let subject = Subject::client(client);
        let proof = self.proof(client, given);
        self.throttle
            .guard(subject, given, proof, |()| subject)
            .await?;
        let issued = Issued::new("access token", Some(lifetime_ms));
        let displaced = self
            .tenants
            .add_token(client, issued.stored.clone(), self.client_tokens)
            .await?;
        if displaced > 0 {
            metrics::counter!("atropos_tokens_displaced_total").increment(displaced);
        }
        self.throttle
            .trust(subject, Subject::Tokens, issued.stored.digest);
        Ok(issued)
    }

    /// Something if this is the digest of the client's secret.
    async fn proof(&self, client: &str, given: Digest) -> Result<Option<()>, StoreError> {
        use subtle::ConstantTimeEq as _;
        let stored = self.tenants.client_secret(client, now_ms()).await?;
        // An unknown client is compared with something that no secret hashes to by accident.
        let stored = stored.unwrap_or(Digest([0; 32]));
        Ok(bool::from(stored.0.ct_eq(&given.0)).then_some(()))
    }
}

#[async_trait]
impl Authority for Credentials {
    async fn authenticate_site(&self, website: WebsiteId, key: &str) -> Result<Caller, AuthError> {
        step::pass(Step::AuthSite).await?;
        let digest = Digest::of(key.as_bytes());
        let caller = self.tenants.site_caller(website, digest, now_ms());
        let subject = Subject::Website(website);
        self.throttle
            .guard(subject, digest, caller, |_| subject)
            .await
    }

    async fn authenticate_token(
        &self,
        token: &str,
        tenant: &Subdomain,
    ) -> Result<Caller, AuthError> {
        step::pass(Step::AuthToken).await?;
        let client = self.token_client(token).await?;
        let caller = self.tenants.granted(&client, tenant).await?;
        caller.ok_or(AuthError::NoAccess)
    }
}

/// A fresh credential: the secret, to be shown once, and what is stored of it.
pub struct Issued {
    /// 64 hexadecimal digits, unless it was brought along.
    pub secret: String,
    /// Its stored form.
    pub stored: NewCredential,
}

impl Issued {
    /// Makes a credential that becomes void by itself after `lifetime_ms`, if given.
    pub fn new(label: &str, lifetime_ms: Option<u64>) -> Self {
        // Two random UUIDs carry 244 random bits from the operating system.
        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Self::known(&secret, label, lifetime_ms)
    }

    /// Takes a credential that exists already, such as a key brought over from another system.
    pub fn known(secret: &str, label: &str, lifetime_ms: Option<u64>) -> Self {
        let issued_at_ms = now_ms();
        let stored = NewCredential {
            id: Uuid::new_v4().simple().to_string(),
            label: label.to_owned(),
            digest: Digest::of(secret.as_bytes()),
            issued_at_ms,
            expires_at_ms: lifetime_ms.map(|lifetime| issued_at_ms.saturating_add(lifetime)),
        };
        Self {
            secret: secret.to_owned(),
            stored,
        }
    }
}
