//! What an operator sets, with its defaults. The README's reference is this file's
//! [`Config::default`], held equal by a test.
//!
//! **Invariant:** an unknown key, or a value outside its range, refuses to start.

mod ranges;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::target::{Scope, Window};

/// The longest that an upload may be given.
pub const LONGEST_UPLOAD_MS: u64 = 86_400_000;

/// The whole configuration, as read from a TOML file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Where database and bytes live.
    pub data_dir: PathBuf,
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
            log: Log::default(),
            http: Http::default(),
            auth: Auth::default(),
            erase: Erase::default(),
            plugin: GuestLimits::default(),
            policy: GuestLimits {
                deadline_ms: 250,
                ..GuestLimits::default()
            },
            ceiling: Ceiling::default(),
            components: Components::default(),
            breaker: Breaker::default(),
            budget: Budget::default(),
            upload: Upload::default(),
        }
    }
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

/// Admission and commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Erase {
    /// How many deletes may be in the sandbox at once; further ones wait for 5 seconds at most, and places
    /// are shared by time between the credentials that ask.
    pub max_in_flight: u32,
    /// How many staged deletes may wait for the disk, of which one tenant has at most two thirds; further
    /// ones are answered 503 at once.
    pub max_queued: u32,
    /// How many staged deletes share one transaction at most.
    pub max_group: u32,
    /// How long recovery leaves bytes alone that a commit is about to remove.
    pub shred_lease_ms: u64,
    /// How often bytes that could not be removed are tried again at most.
    pub shred_retry_max_ms: u64,
    /// How long files stay in quarantine that the doctor found and that nothing named; then they are
    /// erased.
    pub quarantine_ms: u64,
    /// How long the outcome of a delete that has an idempotency key is kept for its repeats.
    pub idempotency_ms: u64,
    /// For how many idempotency keys of one caller outcomes are kept at once; a request with one more
    /// is answered 429 until the oldest is forgotten.
    pub idempotency_outcomes: u64,
}

impl Default for Erase {
    fn default() -> Self {
        Self {
            max_in_flight: 128,
            max_queued: 4096,
            max_group: 256,
            shred_lease_ms: 30_000,
            shred_retry_max_ms: 60_000,
            quarantine_ms: 604_800_000,
            idempotency_ms: 86_400_000,
            idempotency_outcomes: 100_000,
        }
    }
}

/// What one call into a guest may consume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GuestLimits {
    /// Instructions, in wasmtime's units.
    pub fuel: u64,
    /// Wall-clock time, host calls included. For the plugin, the time in which policies are asked does not
    /// count: they have deadlines of their own.
    pub deadline_ms: u64,
    /// Linear memory.
    pub memory_bytes: u64,
    /// Calls to the host.
    pub host_calls: u32,
    /// What it may pass to the host at once, or return.
    pub transfer_bytes: u64,
}

impl Default for GuestLimits {
    fn default() -> Self {
        Self {
            fuel: 20_000_000,
            deadline_ms: 2_000,
            memory_bytes: 16 << 20,
            host_calls: 64,
            transfer_bytes: 256 << 10,
        }
    }
}

/// The most that the limits of one tenant's policies may come to, where they are not those of
/// `policy`. What `policy` gives to all is given to each, even if it is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ceiling {
    /// Instructions, in wasmtime's units.
    pub fuel: u64,
    /// Wall-clock time.
    pub deadline_ms: u64,
    /// Linear memory.
    pub memory_bytes: u64,
}

/// What policies may consume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// What is given to those of every tenant that has no limits of its own.
    pub all: GuestLimits,
    /// The most that is given to those of any.
    pub most: GuestLimits,
}

impl Default for Ceiling {
    fn default() -> Self {
        Self {
            fuel: 2_000_000_000,
            deadline_ms: 2_000,
            memory_bytes: 128 << 20,
        }
    }
}

/// How components are compiled, kept and loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Components {
    /// Size of a component; a larger one is not compiled.
    pub max_bytes: u64,
    /// How many are compiled at once; 0 is half as many as there are cores.
    pub compilations: u32,
    /// How many wait to be compiled; further ones are refused until one is done.
    pub max_queued: u32,
    /// How long one compilation may take, from when it begins.
    pub deadline_ms: u64,
    /// Address space of the process that compiles; where there is none, nothing limits it.
    pub compiler_memory_bytes: u64,
    /// Compiled components that stay loaded, by the size of their images; beyond it, those go that
    /// were used least lately, and are loaded again when they are needed.
    pub memory_bytes: u64,
    /// Compiled components that are kept on disk; beyond it, those go that were loaded least lately.
    pub disk_bytes: u64,
    /// The program `atropos`, which compiles in a process of its own, so that a component which takes
    /// too long or too much can be ended. Without it the compiler runs in this process: past the
    /// deadline its callers are told so, and its thread goes on until it is done. Not read from a
    /// file: the program names itself.
    #[serde(skip)]
    pub worker: Option<PathBuf>,
    /// The folder of what is kept on disk; without it nothing is. It holds native code that this
    /// process will run: nobody else may write it. The temporary files of compilations lie there, too.
    /// Not read from a file: a [`Service`] names one in its data directory.
    ///
    /// [`Service`]: crate::service::Service
    #[serde(skip)]
    pub cache: Option<PathBuf>,
}

impl Default for Components {
    fn default() -> Self {
        Self {
            max_bytes: 32 << 20,
            compilations: 0,
            max_queued: 256,
            deadline_ms: 60_000,
            compiler_memory_bytes: 2 << 30,
            memory_bytes: 256 << 20,
            disk_bytes: 4 << 30,
            worker: None,
            cache: None,
        }
    }
}

/// When a component that keeps failing is held off: the plugin for each credential, and each policy of
/// each tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Breaker {
    /// After how many faults in a row; a denial is none.
    pub faults: u32,
    /// For how long at first. Then one call is let through, and if that fails, for twice as long.
    pub first_pause_ms: u64,
    /// For how long at most.
    pub longest_pause_ms: u64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            faults: 5,
            first_pause_ms: 1_000,
            longest_pause_ms: 60_000,
        }
    }
}

/// How many deletes each tenant and each caller may have, unless the operator has set another number
/// for the tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Budget {
    /// Of a tenant, all its callers together.
    pub tenant: Rates,
    /// Of one caller of a tenant: a site key or an API client.
    pub caller: Rates,
}

impl Budget {
    /// How many deletes this allows; 0 is unlimited.
    pub fn deletes(&self, scope: Scope, window: Window) -> u64 {
        let rates = match scope {
            Scope::Tenant => &self.tenant,
            Scope::Caller => &self.caller,
        };
        match window {
            Window::Second => rates.per_second,
            Window::Minute => rates.per_minute,
            Window::Hour => rates.per_hour,
            Window::Day => rates.per_day,
            Window::Week => rates.per_week,
        }
    }

    /// Whether nothing is limited.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

/// Deletes by window; 0 is unlimited. Every window that is limited must have some left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rates {
    /// Within one second of the clock.
    pub per_second: u64,
    /// Within one minute of the clock.
    pub per_minute: u64,
    /// Within one hour of the clock, in UTC.
    pub per_hour: u64,
    /// Within one day, in UTC.
    pub per_day: u64,
    /// Within one week, from Monday in UTC.
    pub per_week: u64,
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

    /// What policies may consume.
    pub fn allowance(&self) -> Allowance {
        let (all, ceiling) = (self.policy, &self.ceiling);
        Allowance {
            all,
            most: GuestLimits {
                fuel: all.fuel.max(ceiling.fuel),
                deadline_ms: all.deadline_ms.max(ceiling.deadline_ms),
                memory_bytes: all.memory_bytes.max(ceiling.memory_bytes),
                ..all
            },
        }
    }
}
