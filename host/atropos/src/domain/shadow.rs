//! A chain that is tried beside the one in force: asked on live traffic, without effect.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::decision::Verdict;
use super::entry::ChainEntry;
use super::limits::PolicyLimits;
use crate::target::Malformed;

/// A chain that is asked beside the one in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// Tells it from a later one.
    pub id: Uuid,
    /// In the order in which they are asked.
    pub entries: Vec<ChainEntry>,
    /// What each of them may consume.
    pub limits: PolicyLimits,
}

/// What the shadow said where the chain in force had decided.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The decision of the chain in force.
    pub decision: Uuid,
    /// When that was made, in milliseconds since the epoch.
    pub at_ms: u64,
    /// What the chain in force came to.
    pub was: Verdict,
    /// What the shadow came to.
    pub would: Verdict,
    /// The policy that settled it: of the shadow if that refuses, else of the chain in force.
    pub policy: Option<String>,
    /// That policy's failed findings, a sentence each.
    pub why: Vec<String>,
}

/// How another chain can come to something else than the one in force did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flip {
    /// It would allow what was refused: the one to look at first.
    DenyToAllow,
    /// It would refuse what was allowed.
    AllowToDeny,
    /// It would fail where the one in force did not.
    ToFault,
    /// It would not fail where the one in force did.
    FromFault,
}

impl Flip {
    /// Every one, the one to look at first at the front.
    pub const ALL: [Self; 4] = [
        Self::DenyToAllow,
        Self::AllowToDeny,
        Self::ToFault,
        Self::FromFault,
    ];

    /// As in the database and on every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DenyToAllow => "deny-to-allow",
            Self::AllowToDeny => "allow-to-deny",
            Self::ToFault => "to-fault",
            Self::FromFault => "from-fault",
        }
    }

    /// What lies between two verdicts; `None` if they are of one sort. A fault that would become an
    /// allowance counts as such, because what was refused would go.
    pub fn between(was: &Verdict, would: &Verdict) -> Option<Self> {
        use Verdict::{Allowed, Fault};
        match (was, would) {
            (Allowed, Allowed) | (Fault(_), Fault(_)) => None,
            (_, Allowed) => Some(Self::DenyToAllow),
            (_, Fault(_)) => Some(Self::ToFault),
            (Fault(_), _) => Some(Self::FromFault),
            (Allowed, _) => Some(Self::AllowToDeny),
            _ => None,
        }
    }
}

impl std::str::FromStr for Flip {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let found = Self::ALL.into_iter().find(|flip| flip.as_str() == text);
        found.ok_or(Malformed::new(
            "flip",
            "deny-to-allow, allow-to-deny, to-fault or from-fault",
        ))
    }
}

/// How a shadow has fared so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// The shadow.
    pub id: Uuid,
    /// Since when it is asked, in milliseconds since the epoch.
    pub since_ms: u64,
    /// Who set it up.
    pub by: String,
    /// Why.
    pub why: String,
    /// Its policies, in the order in which they are asked.
    pub chain: Vec<ChainEntry>,
    /// What each of them may consume.
    pub limits: PolicyLimits,
    /// What it came to so far.
    #[serde(flatten)]
    pub counts: ShadowCounts,
}

/// What a shadow came to so far, in numbers of decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShadowCounts {
    /// How many decisions it was asked about.
    pub compared: u64,
    /// How many it was not asked about: too many of its tenant's waited, or one of its policies was
    /// being compiled. Those that waited when a server ended are not in either count.
    pub passed_over: u64,
    /// How often it would allow what was refused.
    pub deny_to_allow: u64,
    /// How often it would refuse what was allowed.
    pub allow_to_deny: u64,
    /// How often it would fail where the chain in force did not.
    pub to_fault: u64,
    /// How often it would not fail where the chain in force did.
    pub from_fault: u64,
}

/// How many differences of one sort are kept. More would not be read, and the counts go on.
const KEPT: u64 = 1000;

impl ShadowCounts {
    /// Counts what a shadow said and the decisions that it was not asked about. Returns the differences
    /// that are to be kept: the first thousand of each sort.
    pub fn observe(&mut self, seen: &[Observed], passed_over: u64) -> Vec<Difference> {
        self.passed_over = self.passed_over.saturating_add(passed_over);
        let mut kept = Vec::new();
        for one in seen {
            self.compared = self.compared.saturating_add(1);
            let Some(flip) = Flip::between(&one.was, &one.would) else {
                continue;
            };
            let count = self.of(flip);
            *count = count.saturating_add(1);
            if *count <= KEPT {
                kept.push(Difference::new(flip, one));
            }
        }
        kept
    }

    fn of(&mut self, flip: Flip) -> &mut u64 {
        match flip {
            Flip::DenyToAllow => &mut self.deny_to_allow,
            Flip::AllowToDeny => &mut self.allow_to_deny,
            Flip::ToFault => &mut self.to_fault,
            Flip::FromFault => &mut self.from_fault,
        }
    }
}

/// One decision on which the shadow differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// How.
    pub flip: Flip,
    /// The decision of the chain in force.
    pub decision: Uuid,
    /// When that was made, in milliseconds since the epoch.
    pub at_ms: u64,
    /// What the chain in force came to.
    pub was: String,
    /// What the shadow came to.
    pub would: String,
    /// The policy that settled it.
    pub policy: Option<String>,
    /// That policy's failed findings, a sentence each.
    pub why: Vec<String>,
}

impl Difference {
    fn new(flip: Flip, seen: &Observed) -> Self {
        Self {
            flip,
            decision: seen.decision,
            at_ms: seen.at_ms,
            was: seen.was.as_str().to_owned(),
            would: seen.would.as_str().to_owned(),
            policy: seen.policy.clone(),
            why: seen.why.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_counted_and_the_first_thousand_of_each_sort_are_kept() {
        let seen = |would: Verdict| Observed {
            decision: Uuid::now_v7(),
            at_ms: 7,
            was: Verdict::Allowed,
            would,
            policy: None,
            why: Vec::new(),
        };
        let mut counts = ShadowCounts {
            allow_to_deny: KEPT - 1,
            ..ShadowCounts::default()
        };
        let fault = || Verdict::Fault("policy-fuel".to_owned());
        let said = [Verdict::Denied, Verdict::Denied, Verdict::Allowed, fault()];
        let kept = counts.observe(&said.map(seen), 3);
        let kept: Vec<_> = kept.iter().map(|one| one.flip).collect();
        assert_eq!(kept, [Flip::AllowToDeny, Flip::ToFault]);
        let expected = ShadowCounts {
            compared: 4,
            passed_over: 3,
            allow_to_deny: KEPT + 1,
            to_fault: 1,
            ..ShadowCounts::default()
        };
        assert_eq!(counts, expected);
    }

    #[test]
    fn a_flip_is_a_change_of_sort() {
        let fault = || Verdict::Fault("policy-fuel".to_owned());
        let other = || Verdict::Fault("policy-trap".to_owned());
        for (was, would, flip) in [
            (Verdict::Allowed, Verdict::Allowed, None),
            (Verdict::Denied, Verdict::Denied, None),
            (fault(), other(), None),
            (Verdict::Denied, Verdict::Allowed, Some(Flip::DenyToAllow)),
            (fault(), Verdict::Allowed, Some(Flip::DenyToAllow)),
            (Verdict::Allowed, Verdict::Denied, Some(Flip::AllowToDeny)),
            (Verdict::Allowed, fault(), Some(Flip::ToFault)),
            (Verdict::Denied, fault(), Some(Flip::ToFault)),
            (fault(), Verdict::Denied, Some(Flip::FromFault)),
        ] {
            assert_eq!(Flip::between(&was, &would), flip, "{was:?} {would:?}");
        }
    }
}
