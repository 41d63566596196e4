//! The nouns that every part shares: who is asked for, by whom, and what.
//!
//! **Invariant:** this module imports nothing of the crate; every other module may import it.
//! Held by `tests/house.rs`.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A tenant's row. Never shown to callers, who name a tenant by subdomain or website.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(pub i64);

/// The positive number by which photo callers name a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebsiteId(NonZeroU64);

impl WebsiteId {
    /// `None` for 0 and for what does not fit a signed 64-bit column.
    pub fn new(id: u64) -> Option<Self> {
        i64::try_from(id).ok()?;
        NonZeroU64::new(id).map(Self)
    }

    /// The number itself, from 1 to 2⁶³ − 1.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for WebsiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A word that does not have the form of what it should name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {expected}")]
pub struct Malformed {
    what: &'static str,
    expected: &'static str,
}

impl Malformed {
    /// `what` was to be named, and must be `expected`.
    pub const fn new(what: &'static str, expected: &'static str) -> Self {
        Self { what, expected }
    }
}

impl FromStr for WebsiteId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let id = if digits { text.parse().ok() } else { None };
        id.and_then(Self::new).ok_or(Malformed::new(
            "website id",
            "a whole number greater than 0",
        ))
    }
}

/// A DNS label in lower case: 1 to 63 of `a`–`z`, `0`–`9` and inner `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Subdomain(String);

impl Subdomain {
    /// The label in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whose object it is where an author's request does not say.
    pub fn sample() -> Self {
        Self("acme".to_owned())
    }
}

impl FromStr for Subdomain {
    type Err = Malformed;

    /// Folds ASCII capitals, because DNS compares labels so.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let label = text.to_ascii_lowercase();
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-');
        if fits {
            Ok(Self(label))
        } else {
            Err(Malformed::new(
                "subdomain",
                "a DNS label of 1 to 63 letters, digits and inner hyphens",
            ))
        }
    }
}

impl fmt::Display for Subdomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One customer of the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    /// Its row.
    #[serde(skip)]
    pub id: TenantId,
    /// How document callers name it.
    pub subdomain: Subdomain,
    /// How photo callers name it.
    pub website_id: WebsiteId,
}

/// What sort of thing an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An image with its renditions.
    Photo,
    /// Any other file of a user.
    Document,
}

impl Kind {
    /// `photo` or `document`, as in the database and on every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Document => "document",
        }
    }

    /// How an erasure of such an object is named in the activity of its owner.
    pub fn erasure_event(self) -> &'static str {
        match self {
            Self::Photo => "User Photo Delete",
            Self::Document => "User System File Delete",
        }
    }

    /// How the loss of such an object's bytes is named in the activity of its owner.
    pub fn loss_event(self) -> &'static str {
        match self {
            Self::Photo => "User Photo Lost",
            Self::Document => "User System File Lost",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of one object: tenant, owner and id are looked up together, never apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Whose customer's.
    pub tenant: TenantId,
    /// Photo or document.
    pub kind: Kind,
    /// The user: the `userId` of a photo, the decimal `userAccountId` of a document.
    pub owner: String,
    /// A photo id as it was given, or a file GUID in lower case.
    pub id: String,
}

/// What policies and plugins may know of one live object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub target: Target,
    /// Counts the changes of the facts below from 1.
    pub version: u64,
    /// Size of the original, without its renditions.
    pub size_bytes: u64,
    /// Media type as established at upload.
    pub media_type: String,
    /// When its upload completed, in milliseconds since the epoch.
    pub created_at_ms: u64,
    /// Sorted, without repetition.
    pub labels: Vec<String>,
    /// Not erased before this time.
    pub retain_until_ms: Option<u64>,
    /// Whether a legal hold is on it.
    pub held: bool,
}

impl Object {
    /// What has just been uploaded: in its first version, with no label, retention date or hold.
    pub fn new(target: Target, size_bytes: u64, media_type: impl Into<String>) -> Self {
        Self {
            target,
            version: 1,
            size_bytes,
            media_type: media_type.into(),
            created_at_ms: now_ms(),
            labels: Vec::new(),
            retain_until_ms: None,
            held: false,
        }
    }
}

/// The unguessable name of some bytes. Made by the host, never from a request, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobKey(Uuid);

impl BlobKey {
    /// 122 random bits.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

impl Serialize for BlobKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlobKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for BlobKey {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| Malformed::new("blob key", "32 hexadecimal digits"))
    }
}

/// SHA-256 of some bytes: the name of a component, the stored form of a credential.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Hashes `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Hashes several values, so that no two different lists of values have the same digest.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        use sha2::Digest as _;
        let mut hash = sha2::Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = Malformed::new("digest", "64 hexadecimal digits");
        let mut bytes = [0; 32];
        let pairs = text.as_bytes().chunks_exact(2);
        // `from_str_radix` alone would also take a plus sign.
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(malformed);
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let pair = std::str::from_utf8(pair).map_err(|_| malformed.clone())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| malformed.clone())?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a caller may do within its tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Permission {
    /// Upload and delete photos.
    #[serde(rename = "photos:write")]
    PhotosWrite,
    /// List and read documents.
    #[serde(rename = "documents:read")]
    DocumentsRead,
    /// Upload and delete documents.
    #[serde(rename = "documents:write")]
    DocumentsWrite,
    /// Act on the objects of another user on that user's behalf.
    #[serde(rename = "moderate")]
    Moderate,
}

impl Permission {
    /// Every permission, in the order of the contract's flags.
    pub const ALL: [Self; 4] = [
        Self::PhotosWrite,
        Self::DocumentsRead,
        Self::DocumentsWrite,
        Self::Moderate,
    ];

    /// As on every surface, such as `photos:write`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PhotosWrite => "photos:write",
            Self::DocumentsRead => "documents:read",
            Self::DocumentsWrite => "documents:write",
            Self::Moderate => "moderate",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Permission {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let known = Self::ALL.into_iter().find(|known| known.as_str() == text);
        known.ok_or(Malformed::new(
            "permission",
            "one of photos:write, documents:read, documents:write, moderate",
        ))
    }
}

/// How a caller proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallerKind {
    /// The key of a website.
    SiteKey,
    /// A bearer token of an API client.
    ApiClient,
}

impl CallerKind {
    /// `site-key` or `api-client`, as in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SiteKey => "site-key",
            Self::ApiClient => "api-client",
        }
    }
}

/// Someone authenticated, acting on exactly one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The tenant it reaches.
    pub tenant: Tenant,
    /// How it proved who it is.
    pub kind: CallerKind,
    /// Public id of the key or client; never the credential.
    pub id: String,
    /// What it may do there.
    pub permissions: Vec<Permission>,
}

impl Caller {
    /// Whether it holds `permission`.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }
}

/// Whose deletes a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Those of all callers of a tenant together.
    Tenant,
    /// Those of one caller of a tenant.
    Caller,
}

impl Scope {
    /// The wider one first.
    pub const ALL: [Self; 2] = [Self::Tenant, Self::Caller];

    /// `tenant` or `caller`, as in the database and on every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Caller => "caller",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let known = Self::ALL.into_iter().find(|known| known.as_str() == text);
        known.ok_or(Malformed::new("scope", "tenant or caller"))
    }
}

/// For how long a budget of deletes is given. Windows lie at multiples of their length in UTC; a
/// week begins on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Window {
    /// 1 s.
    Second,
    /// 60 s.
    Minute,
    /// 3600 s.
    Hour,
    /// 24 h.
    Day,
    /// 7 days.
    Week,
}

impl Window {
    /// The shortest first.
    pub const ALL: [Self; 5] = [
        Self::Second,
        Self::Minute,
        Self::Hour,
        Self::Day,
        Self::Week,
    ];

    /// `second` to `week`, as in the database and on every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Window {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let known = Self::ALL.into_iter().find(|known| known.as_str() == text);
        let words = "one of second, minute, hour, day, week";
        known.ok_or(Malformed::new("window", words))
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z by this machine's clock; 0 before.
pub fn now_ms() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_one_spelling_but_for_its_case() {
        let digest = Digest::of(b"a component");
        let written = digest.to_string();
        assert_eq!(written.parse(), Ok(digest));
        assert_eq!(written.to_ascii_uppercase().parse(), Ok(digest));
        let signs = "+f".repeat(32);
        let spaces = " f".repeat(32);
        let letters = "é".repeat(32);
        for text in ["", &written[1..], &signs, &spaces, &letters] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
