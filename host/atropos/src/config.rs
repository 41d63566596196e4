//! What the flow of a delete is set to, with its defaults. Whoever embeds the crate sets it in code; the
//! server reads it from a file, beside what is its own.
//!
//! **Invariant:** an unknown key is refused.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::target::{Scope, Window};

/// The longest that an upload may be given. Recovery looks ahead as far.
pub const LONGEST_UPLOAD_MS: u64 = 86_400_000;

/// All of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
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
}

impl Default for Config {
    fn default() -> Self {
        Self {
            erase: Erase::default(),
            plugin: GuestLimits::default(),
            policy: GuestLimits::for_policies(),
            ceiling: Ceiling::default(),
            components: Components::default(),
            breaker: Breaker::default(),
            budget: Budget::default(),
        }
    }
}

impl Config {
    /// What policies may consume.
    pub fn allowance(&self) -> Allowance {
        Allowance::new(self.policy, self.ceiling)
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

impl GuestLimits {
    /// The defaults of policies.
    pub fn for_policies() -> Self {
        Self {
            deadline_ms: 250,
            ..Self::default()
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

impl Allowance {
    /// What `all` gives to each, and what `ceiling` lets the limits of one tenant come to.
    pub fn new(all: GuestLimits, ceiling: Ceiling) -> Self {
        Self {
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
    /// Not read from a file: the server names one in its data directory.
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
