//! What the gate needs: the ordered policies of a tenant, and the bytes of components.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Result;
use super::shadow::Shadow;
use crate::config::{Allowance, GuestLimits};
use crate::target::{Digest, TenantId};

/// Which components judge and serve.
#[async_trait]
pub trait Chains: Send + Sync + 'static {
    /// The chain in force. A tenant without a chain has none, and nothing of it can be erased.
    async fn chain(&self, tenant: TenantId) -> Result<Option<Arc<Chain>>>;

    /// The bytes of a component that a chain or [`Chains::plugin`] names.
    async fn component(&self, digest: Digest) -> Result<Option<Vec<u8>>>;

    /// The deletion plugin that the operator chose; `None` for the one built in.
    async fn plugin(&self) -> Result<Option<Digest>>;
}

/// The ordered policies of a tenant; every one must allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Counts the changes from 1.
    pub revision: u64,
    /// In the order in which they are asked. An empty chain allows nothing.
    pub entries: Vec<ChainEntry>,
    /// What each of them may consume.
    pub limits: PolicyLimits,
    /// A chain that is asked beside this one, without effect.
    pub shadow: Option<Shadow>,
}

impl Chain {
    /// Names what the chain does: the same for any two chains that judge alike, whatever their
    /// revision. As long as it takes, not on the path of a request.
    pub fn digest(&self) -> Digest {
        let limits = [
            self.limits.fuel,
            self.limits.deadline_ms,
            self.limits.memory_bytes,
            self.limits.transfer_bytes,
        ];
        let limits =
            limits.map(|limit| limit.map_or_else(Vec::new, |limit| limit.to_be_bytes().to_vec()));
        let entries = self.entries.iter();
        let entries = entries.flat_map(|entry| [&entry.digest.0[..], entry.settings.as_bytes()]);
        Digest::of_parts(limits.iter().map(Vec::as_slice).chain(entries))
    }

    /// Whether what this chain allows is certain to be allowed by `other` too: it has each of its
    /// policies, with the same settings and limits, and every one must allow.
    pub fn allows_no_more_than(&self, other: &Self) -> bool {
        let judges_alike = |one: &ChainEntry, two: &ChainEntry| {
            (one.digest, &one.settings) == (two.digest, &two.settings)
        };
        let kept = |theirs: &ChainEntry| self.entries.iter().any(|own| judges_alike(own, theirs));
        self.entries.is_empty()
            || self.limits == other.limits
                && !other.entries.is_empty()
                && other.entries.iter().all(kept)
    }

    /// These policies with one more: in the place of the one that has its name, or else as the last.
    pub fn entries_with(&self, new: ChainEntry) -> Vec<ChainEntry> {
        let mut entries = self.entries.clone();
        match entries.iter_mut().find(|entry| entry.policy == new.policy) {
            Some(entry) => *entry = new,
            None => entries.push(new),
        }
        entries
    }
}

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

/// One policy with a tenant's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainEntry {
    /// The component's name, as it described itself when it was assigned.
    pub policy: String,
    /// The component.
    pub digest: Digest,
    /// The JSON text as the tenant gave it.
    #[serde(with = "super::shared_text")]
    pub settings: Arc<str>,
}

impl ChainEntry {
    /// This component under this name, with these settings, which it is not asked about.
    pub fn new(policy: impl Into<String>, component: &[u8], settings: impl Into<Arc<str>>) -> Self {
        Self {
            policy: policy.into(),
            digest: Digest::of(component),
            settings: settings.into(),
        }
    }
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

    fn entry(policy: &str, settings: &str) -> ChainEntry {
        ChainEntry::new(policy, policy.as_bytes(), settings)
    }

    fn chain(entries: &[(&str, &str)]) -> Chain {
        let entries = entries.iter();
        Chain {
            entries: entries
                .map(|(policy, settings)| entry(policy, settings))
                .collect(),
            ..Chain::default()
        }
    }

    #[test]
    fn a_chain_allows_no_more_if_it_has_all_that_the_other_asks() {
        type Entries = &'static [(&'static str, &'static str)];
        let table: [(Entries, Entries, bool); 8] = [
            (&[("a", "1")], &[("a", "1")], true),
            (&[("b", "1"), ("a", "1")], &[("a", "1")], true),
            (&[("a", "1")], &[("b", "1"), ("a", "1")], false),
            (&[("a", "2")], &[("a", "1")], false),
            (&[("b", "1")], &[("a", "1")], false),
            (&[], &[("a", "1")], true),
            (&[("a", "1")], &[], false),
            (&[], &[], true),
        ];
        for (new, old, certain) in table {
            assert_eq!(
                chain(new).allows_no_more_than(&chain(old)),
                certain,
                "{new:?} {old:?}"
            );
        }
        let mut patient = chain(&[("a", "1")]);
        patient.limits.fuel = Some(1);
        assert!(!patient.allows_no_more_than(&chain(&[("a", "1")])));
    }

    #[test]
    fn what_a_chain_does_is_named_by_its_policies_settings_and_limits() {
        let one = chain(&[("a", "1"), ("b", "2")]);
        let again = Chain {
            revision: 7,
            ..one.clone()
        };
        assert_eq!(one.digest(), again.digest());
        let mut limited = one.clone();
        limited.limits.fuel = Some(1);
        for other in [
            chain(&[("b", "2"), ("a", "1")]),
            chain(&[("a", "1")]),
            chain(&[("a", "1"), ("b", "3")]),
            limited,
        ] {
            assert_ne!(one.digest(), other.digest(), "{other:?}");
        }
    }

    #[test]
    fn a_new_policy_takes_the_place_of_its_namesake_or_the_last() {
        let old = chain(&[("a", "1"), ("b", "2")]);
        assert_eq!(
            old.entries_with(entry("a", "3")),
            chain(&[("a", "3"), ("b", "2")]).entries
        );
        let longer = chain(&[("a", "1"), ("b", "2"), ("c", "3")]);
        assert_eq!(old.entries_with(entry("c", "3")), longer.entries);
    }
}
