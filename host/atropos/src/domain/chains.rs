//! The ordered policies of a tenant.

use super::entry::ChainEntry;
use super::limits::PolicyLimits;
use super::shadow::Shadow;
use crate::target::Digest;

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

#[cfg(test)]
mod tests {
    use super::*;
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
