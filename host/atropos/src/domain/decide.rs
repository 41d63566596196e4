//! The rule of the commit: whether an erasure that policies allowed goes ahead, given what the storage holds.
//!
//! **Invariant:** whatever backend commits, this alone says what stands against an erasure, and what of it
//! is final. A backend loads under its locks, asks here, and writes what it is told.

use super::budget::{Account, Noted};
use super::objects::{Conflict, Erasure};
use super::repeat::First;
use crate::error::Refused;
use crate::target::Object;

/// What the storage holds that an erasure depends on, read under the locks under which it is applied.
#[derive(Clone, Debug)]
pub struct Held {
    /// The live object of the judged one's name.
    pub object: Option<Object>,
    /// What is kept of the first request of the erasure's key, if it has one.
    pub first: Option<First>,
    /// What its tenant and its caller have spent.
    pub account: Account,
}

/// What is to be done, in the transaction in which all of this was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// Erase, and keep that for repeats of a request that has a key.
    Erase {
        /// The counts to be written.
        counts: Vec<Noted>,
    },
    /// Erase nothing.
    Refuse {
        /// What stands against it.
        conflict: Conflict,
        /// What to keep for repeats of the request.
        kept: Option<Refused>,
        /// The counts to be written all the same.
        counts: Vec<Noted>,
    },
}

/// Decides about one erasure. Of a group they are decided one after the other, each given what those
/// before it have left.
pub fn decide(erasure: &Erasure, held: &Held) -> Decided {
    let account = &held.account;
    let refuse = |conflict, kept| Decided::Refuse {
        conflict,
        kept,
        counts: account.taken_over().collect(),
    };
    if held.first.is_some() {
        return refuse(Conflict::Repeated, None);
    }
    let object = held.object.as_ref();
    let conflict = Conflict::between(&erasure.decision.object, object, erasure.at_ms);
    let conflict = conflict.or_else(|| account.exhausted().map(Conflict::OverBudget));
    let Some(conflict) = conflict else {
        let counts = account.spent().collect();
        return Decided::Erase { counts };
    };
    let refused = Refused::from(conflict.clone());
    let is_kept = erasure.once.is_some() && refused.is_final();
    refuse(conflict, is_kept.then_some(refused))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Budget;
    use crate::domain::budget::{Count, Exhausted};
    use crate::domain::decision::{Decision, DecisionCaller, Verdict};
    use crate::domain::removals::Owner;
    use crate::domain::repeat::{Once, Outcome, StoredOutcome};
    use crate::target::{CallerKind, Digest, Kind, Scope, Target, TenantId, Window};

    /// When the erasure is committed.
    const NOW_MS: u64 = 1_000_000;

    fn judged() -> Object {
        let target = Target {
            tenant: TenantId(1),
            kind: Kind::Photo,
            owner: "u-1".to_owned(),
            id: "p-1".to_owned(),
        };
        Object {
            created_at_ms: NOW_MS - 9,
            ..Object::new(target, 7, "image/png")
        }
    }

    fn erasure(once: bool, per_day: u64) -> Erasure {
        let mut budget = Budget::default();
        budget.tenant.per_day = per_day;
        let once = once.then(|| Once {
            id: Digest::of(b"id"),
            caller: Digest::of(b"caller"),
            meaning: Digest::of(b"meaning"),
            at_ms: NOW_MS,
            forgotten_ms: 0,
            most: 1,
        });
        Erasure {
            decision: Decision {
                id: uuid::Uuid::now_v7(),
                at_ms: NOW_MS,
                tenant: "pictures".parse().unwrap(),
                caller: DecisionCaller {
                    kind: CallerKind::SiteKey,
                    id: "k-1".to_owned(),
                    permissions: Vec::new(),
                },
                object: judged(),
                chain_revision: 1,
                reviews: Vec::new(),
                verdict: Verdict::Allowed,
            },
            at_ms: NOW_MS,
            owner: Owner::random(),
            lease_until_ms: NOW_MS,
            budget,
            once,
        }
    }

    /// What is held of an erasure of which so many of the day are spent.
    fn held(erasure: &Erasure, object: Option<Object>, spent: u64) -> Held {
        let latest = |_, window| {
            let start = Count::at(window, NOW_MS, None);
            let deletes = spent;
            Ok::<_, std::convert::Infallible>(Some(Count { deletes, ..start }))
        };
        let account = Account::at(NOW_MS, &erasure.budget, &[], latest);
        let Ok(account) = account;
        Held {
            object,
            first: None,
            account,
        }
    }

    #[test]
    fn what_stands_against_an_erasure_is_told_by_the_most_telling_reason() {
        let as_judged = || Some(judged());
        let with = |change: fn(&mut Object)| {
            let mut object = judged();
            change(&mut object);
            Some(object)
        };
        let over = Conflict::OverBudget(Exhausted {
            scope: Scope::Tenant,
            window: Window::Day,
            until_ms: 24 * 3600 * 1000,
        });
        let retained = with(|object| object.retain_until_ms = Some(NOW_MS + 1));
        let table = [
            ("as judged", as_judged(), 0, None),
            ("one is left", as_judged(), 4, None),
            ("none is left", as_judged(), 5, Some(over)),
            ("gone", None, 5, Some(Conflict::Gone)),
            (
                "held",
                with(|object| object.held = true),
                5,
                Some(Conflict::Held),
            ),
            (
                "retained",
                retained,
                5,
                Some(Conflict::RetainedUntil(NOW_MS + 1)),
            ),
            (
                "no more",
                with(|object| object.retain_until_ms = Some(NOW_MS)),
                0,
                None,
            ),
            (
                "changed",
                with(|object| object.version += 1),
                5,
                Some(Conflict::Changed),
            ),
            (
                "another",
                with(|object| object.created_at_ms += 1),
                0,
                Some(Conflict::Changed),
            ),
        ];
        for (case, object, spent, conflict) in table {
            let erasure = erasure(false, 5);
            let decided = decide(&erasure, &held(&erasure, object, spent));
            let found = match decided {
                Decided::Erase { counts } => {
                    assert_eq!(counts.len(), 1, "{case}");
                    None
                }
                Decided::Refuse {
                    conflict,
                    kept,
                    counts,
                } => {
                    assert_eq!((kept, counts), (None, Vec::new()), "{case}");
                    Some(conflict)
                }
            };
            assert_eq!(found, conflict, "{case}");
        }
    }

    #[test]
    fn a_repeat_is_decided_by_the_first_request_of_its_key_alone() {
        let erasure = erasure(true, 1);
        for first in [
            First::Kept(StoredOutcome {
                outcome: Outcome::Erased(Vec::new()),
                decision: None,
            }),
            First::Another,
            First::Full { until_ms: 9 },
        ] {
            for object in [None, Some(judged())] {
                let held = Held {
                    first: Some(first.clone()),
                    ..held(&erasure, object, 1)
                };
                let repeated = Decided::Refuse {
                    conflict: Conflict::Repeated,
                    kept: None,
                    counts: Vec::new(),
                };
                assert_eq!(decide(&erasure, &held), repeated);
            }
        }
    }

    proptest! {
        /// Nothing but an object as it was judged, without a hold, past its date and within the budget.
        #[test]
        fn only_what_may_go_is_erased_and_only_what_is_final_is_kept(
            there: bool, is_held: bool, newer: bool, once: bool,
            until_ms in proptest::option::of(NOW_MS - 2..NOW_MS + 2),
            spent in 0..4_u64, per_day in 0..4_u64,
        ) {
            let erasure = erasure(once, per_day);
            let object = there.then(|| Object {
                held: is_held,
                retain_until_ms: until_ms,
                version: judged().version + u64::from(newer),
                ..judged()
            });
            let may_go = there && !is_held && !newer
                && until_ms.is_none_or(|until_ms| until_ms <= NOW_MS)
                && (per_day == 0 || spent < per_day);
            match decide(&erasure, &held(&erasure, object, spent)) {
                Decided::Erase { .. } => prop_assert!(may_go),
                Decided::Refuse { conflict, kept, .. } => {
                    prop_assert!(!may_go);
                    let refused = Refused::from(conflict);
                    prop_assert_eq!(kept.is_some(), once && refused.is_final());
                }
            }
        }
    }
}
