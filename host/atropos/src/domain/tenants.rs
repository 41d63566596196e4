//! Tenants, and the credentials of those who call for them.

use serde::Serialize;

use super::entry::ChainEntry;
use crate::target::{Digest, Permission, Subdomain, WebsiteId};

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
