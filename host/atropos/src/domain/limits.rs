//! What the policies of one tenant may consume, within what the host gives.

use serde::{Deserialize, Serialize};

use crate::config::{Allowance, GuestLimits};

/// What the policies of one tenant may consume per call, where that is not what the configuration
/// says for all. The host's ceiling holds whatever stands here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct PolicyLimits {
    /// Instructions, in wasmtime's units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// Wall-clock time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Linear memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// What it may return at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer_bytes: Option<u64>,
}

impl PolicyLimits {
    /// All of these set.
    pub fn of(limits: GuestLimits) -> Self {
        Self {
            fuel: Some(limits.fuel),
            deadline_ms: Some(limits.deadline_ms),
            memory_bytes: Some(limits.memory_bytes),
            transfer_bytes: Some(limits.transfer_bytes),
        }
    }

    /// These limits where they are set, and `rest` for everything else.
    pub fn over(self, rest: GuestLimits) -> GuestLimits {
        GuestLimits {
            fuel: self.fuel.unwrap_or(rest.fuel),
            deadline_ms: self.deadline_ms.unwrap_or(rest.deadline_ms),
            memory_bytes: self.memory_bytes.unwrap_or(rest.memory_bytes),
            transfer_bytes: self.transfer_bytes.unwrap_or(rest.transfer_bytes),
            ..rest
        }
    }

    /// What they come to: where they are set, no more than the most; else what all are given.
    pub fn within(self, allowance: Allowance) -> GuestLimits {
        let (given, most) = (self.over(allowance.all), allowance.most);
        GuestLimits {
            fuel: given.fuel.min(most.fuel),
            deadline_ms: given.deadline_ms.min(most.deadline_ms),
            memory_bytes: given.memory_bytes.min(most.memory_bytes),
            transfer_bytes: given.transfer_bytes.min(most.transfer_bytes),
            ..given
        }
    }

    /// Refuses what would not be given, before it is written down.
    ///
    /// # Errors
    /// The first limit that is 0 or beyond the most.
    pub fn check(self, allowance: Allowance) -> std::result::Result<(), LimitError> {
        let most = allowance.most;
        let limits = [
            ("fuel", self.fuel, most.fuel),
            ("deadline-ms", self.deadline_ms, most.deadline_ms),
            ("memory-bytes", self.memory_bytes, most.memory_bytes),
        ];
        for (field, limit, most) in limits {
            if limit.is_some_and(|limit| !(1..=most).contains(&limit)) {
                return Err(LimitError { field, most });
            }
        }
        Ok(())
    }
}

/// A limit that the host does not give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{field}` must be 1 to {most}; the most is what `ceiling.{field}` says in the configuration"
)]
pub struct LimitError {
    /// Which limit.
    pub field: &'static str,
    /// The most that is given.
    pub most: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Ceiling, Config};

    fn allowance() -> Allowance {
        let config = Config {
            ceiling: Ceiling {
                fuel: 100_000_000,
                deadline_ms: 100,
                memory_bytes: 1 << 25,
            },
            ..Config::default()
        };
        config.allowance()
    }

    #[test]
    fn a_tenant_is_given_what_it_asks_for_up_to_the_ceiling() {
        let asked = PolicyLimits {
            fuel: Some(7),
            deadline_ms: None,
            memory_bytes: Some(u64::MAX),
            transfer_bytes: None,
        };
        let given = asked.within(allowance());
        assert_eq!(given.fuel, 7);
        assert_eq!(given.deadline_ms, 250, "what all are given is not cut");
        assert_eq!(given.memory_bytes, 1 << 25);
        assert_eq!(PolicyLimits::default().within(allowance()), allowance().all);
    }

    #[test]
    fn a_limit_beyond_the_ceiling_is_refused_by_its_name() {
        let none = PolicyLimits::default();
        let table = [
            (none, None),
            (
                PolicyLimits {
                    fuel: Some(100_000_000),
                    ..none
                },
                None,
            ),
            (
                PolicyLimits {
                    fuel: Some(100_000_001),
                    ..none
                },
                Some("fuel"),
            ),
            (
                PolicyLimits {
                    deadline_ms: Some(0),
                    ..none
                },
                Some("deadline-ms"),
            ),
            (
                PolicyLimits {
                    deadline_ms: Some(251),
                    ..none
                },
                Some("deadline-ms"),
            ),
            (
                PolicyLimits {
                    memory_bytes: Some(1 << 26),
                    ..none
                },
                Some("memory-bytes"),
            ),
        ];
        for (limits, field) in table {
            let refused = limits.check(allowance()).err();
            assert_eq!(refused.map(|error| error.field), field, "{limits:?}");
        }
    }
}
