//! What an operator sets, with its defaults. The README's reference is this file's
//! [`Config::default`], held equal by a test.
//!
//! **Invariant:** an unknown key, or a value outside its range, refuses to start.

mod ranges;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use atropos::config::{
    Allowance, Breaker, Budget, Ceiling, Components, Erase, GuestLimits, LONGEST_UPLOAD_MS, Rates,
};
use serde::{Deserialize, Serialize};

/// The whole configuration, as read from a TOML file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Where database and bytes live.
    pub data_dir: PathBuf,
    /// What keeps rows and bytes.
    pub storage: Storage,
    /// Logs.
    pub log: Log,
    /// The HTTP surface.
    pub http: Http,
    /// When guessing at credentials is slowed.
    pub auth: Auth,
    /// Admission and commit.
    pub erase: Erase,
    /// What the deletion plugin may consume per call.
    pub plugin: GuestLimits,
    /// What a policy may consume per call.
    pub policy: GuestLimits,
    /// What a tenant's own limits for its policies may come to.
    pub ceiling: Ceiling,
    /// How components are compiled, kept and loaded.
    pub components: Components,
    /// When a component that keeps failing is held off.
    pub breaker: Breaker,
    /// How many deletes tenants and callers may have.
    pub budget: Budget,
    /// What uploads may be.
    pub upload: Upload,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data_dir: PathBuf::from("atropos-data"),
            storage: Storage::default(),
            log: Log::default(),
            http: Http::default(),
            auth: Auth::default(),
            erase: Erase::default(),
            plugin: GuestLimits::default(),
            policy: GuestLimits::for_policies(),
            ceiling: Ceiling::default(),
            components: Components::default(),
            breaker: Breaker::default(),
            budget: Budget::default(),
            upload: Upload::default(),
        }
    }
}

/// What keeps rows and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Storage {
    /// `embedded`.
    pub backend: Backend,
}

/// A backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// SQLite and local files, in the data directory.
    #[default]
    Embedded,
}

/// How logs are written to stderr.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Log {
    /// `text` or `json`.
    pub format: LogFormat,
    /// A `tracing` filter, such as `info` or `atropos=debug`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".to_owned(),
        }
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Limits and habits of the HTTP surface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Http {
    /// How many connections may be open. When all are, the one that has waited longest for its client
    /// is let go for the next one. Where the process may open fewer files, fewer.
    pub max_connections: u32,
    /// How long a request other than an upload or download may take.
    pub request_timeout_ms: u64,
    /// How long a client may take to send its headers.
    pub header_timeout_ms: u64,
    /// How long a client may take to read an answer, downloads included.
    pub response_timeout_ms: u64,
    /// How long requests under way may take to end after a stop signal. Then they are cut off, and what
    /// is left to do takes a second or two: container runtimes give ten to all of it.
    pub shutdown_timeout_ms: u64,
    /// Answers 200 to every photo call, for clients that look at `Response` and not at the status.
    pub photo_errors_as_200: bool,
    /// How long a bearer token from `/oauth/token` is valid.
    pub token_lifetime_ms: u64,
    /// How many descriptors connections and the files behind them may take together. The program knows by
    /// what the system allows it; without, none is counted.
    #[serde(skip)]
    pub descriptors: Option<u32>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            max_connections: 16_384,
            request_timeout_ms: 30_000,
            header_timeout_ms: 10_000,
            response_timeout_ms: 3_600_000,
            shutdown_timeout_ms: 7_000,
            photo_errors_as_200: false,
            token_lifetime_ms: 3_600_000,
            descriptors: None,
        }
    }
}

/// When guessing at credentials is slowed. Only credentials that were not good lately are meant, and
/// the same wrong one again is no guess.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Auth {
    /// How many wrong keys of one website, or secrets of one client, are checked within a window;
    /// further ones are answered 429 unchecked until it ends.
    pub failures: u32,
    /// The same for bearer tokens, all together: they do not say whose they are.
    pub token_failures: u32,
    /// How long a window is.
    pub window_ms: u64,
    /// How many bearer tokens of one client are live at most. When one more is issued, that of the
    /// client's own ends which would expire first.
    pub client_tokens: u64,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            failures: 20,
            token_failures: 1000,
            window_ms: 60_000,
            client_tokens: 10_000,
        }
    }
}

/// What uploads may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Upload {
    /// Size of a photo's original.
    pub max_photo_bytes: u64,
    /// Width times height of a photo, checked before it is decoded. What it takes to decode one follows
    /// from it.
    pub max_photo_pixels: u64,
    /// Size of a document.
    pub max_document_bytes: u64,
    /// Longer side of the derived `standard` rendition.
    pub standard_side_px: u32,
    /// How many uploads may be received at once, of which one uploader has at most two thirds; further
    /// ones are answered 503.
    pub max_under_way: u32,
    /// After this time an upload that did not complete is removed.
    pub deadline_ms: u64,
}

impl Default for Upload {
    fn default() -> Self {
        Self {
            max_photo_bytes: 32 << 20,
            max_photo_pixels: 64_000_000,
            max_document_bytes: 8 << 30,
            standard_side_px: 1280,
            max_under_way: 1024,
            deadline_ms: 3_600_000,
        }
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not TOML of this shape; the source names line and key.
    #[error("the configuration {path} is not valid")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A value is outside its range.
    #[error("`{key}` must be {expected}")]
    Range {
        /// The dotted key.
        key: &'static str,
        /// The range.
        expected: &'static str,
    },
}

impl Config {
    /// Reads a TOML file; what it does not name has its default.
    ///
    /// # Errors
    /// Unreadable, not of this shape, or out of range.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let config: Self = toml::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        config.check()?;
        Ok(config)
    }

    /// The part of it that the flow of a delete goes by.
    pub fn flow(&self) -> atropos::config::Config {
        atropos::config::Config {
            erase: self.erase.clone(),
            plugin: self.plugin,
            policy: self.policy,
            ceiling: self.ceiling,
            components: self.components.clone(),
            breaker: self.breaker,
            budget: self.budget,
        }
    }

    /// What policies may consume.
    pub fn allowance(&self) -> Allowance {
        Allowance::new(self.policy, self.ceiling)
    }
}
