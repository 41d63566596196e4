//! Budgets, counted in the transaction that erases.

use super::subject::Subject;
use crate::config::{Budget, Rates};
use crate::domain::budget::Exhausted;
use crate::domain::{Conflict, Doomed, Erasure};
use crate::target::{Object, Scope, Window};

/// 2023-11-15T12:00:00Z, a Wednesday.
pub(super) const NOON_MS: u64 = 1_700_049_600_000;
pub(super) const DAY_MS: u64 = 24 * 3600 * 1000;
pub(super) const MIDNIGHT_MS: u64 = NOON_MS + DAY_MS / 2;

/// So many a day for the tenant, and for each caller.
pub(super) fn per_day(tenant: u64, caller: u64) -> Budget {
    let rates = |per_day| Rates {
        per_day,
        ..Rates::default()
    };
    Budget {
        tenant: rates(tenant),
        caller: rates(caller),
    }
}

/// An erasure at noon.
pub(super) fn erasure_within(subject: &Subject, object: &Object, budget: Budget) -> Erasure {
    Erasure {
        at_ms: NOON_MS,
        budget,
        ..subject.erasure(object)
    }
}

pub(super) fn by(caller: &str, mut erasure: Erasure) -> Erasure {
    erasure.decision.caller.id = caller.to_owned();
    erasure
}

pub(super) async fn uploads(subject: &Subject, count: usize) -> Vec<Object> {
    let mut objects = Vec::new();
    for n in 0..count {
        objects.push(subject.upload(&format!("p{n}"), b"bytes").await);
    }
    objects
}

/// Which of a group were erased.
pub(super) async fn erased(subject: &Subject, group: &[Erasure]) -> Vec<bool> {
    let outcomes = subject.erase(group).await;
    outcomes.iter().map(Result::is_ok).collect()
}

pub(super) fn over(scope: Scope, window: Window, until_ms: u64) -> Result<Doomed, Conflict> {
    Err(Conflict::OverBudget(Exhausted {
        scope,
        window,
        until_ms,
    }))
}

pub(super) async fn a_group_erases_exactly_as_many_as_a_budget_allows(subject: &Subject) {
    let objects = uploads(subject, 5).await;
    let within = |object| erasure_within(subject, object, per_day(3, 0));
    let group: Vec<_> = objects.iter().map(within).collect();
    let outcomes = subject.erase(&group).await;
    assert!(outcomes[..3].iter().all(Result::is_ok));
    let refused = over(Scope::Tenant, Window::Day, MIDNIGHT_MS);
    assert_eq!(outcomes[3..], [refused.clone(), refused]);
    for object in &objects[3..] {
        let found = subject.find(&object.target).await;
        assert_eq!(found.as_ref(), Some(object), "it is as it was");
    }
    assert_eq!(subject.decisions().await.len(), 3);
}

pub(super) async fn only_a_committed_erasure_is_counted(subject: &Subject) {
    let objects = uploads(subject, 2).await;
    let within = |object| erasure_within(subject, object, per_day(1, 1));
    let mut stale = within(&objects[0]);
    stale.decision.object.version = 7;
    let (mut absent, object) = (within(&objects[0]), &objects[1]);
    absent.decision.object.target.id = "p9".to_owned();
    let group = [stale.clone(), absent.clone(), within(object), stale, absent];
    let outcomes = subject.erase(&group).await;
    assert!(outcomes[2].is_ok());
    // What could not go in any case is told so, whatever is left of the budget.
    let conflicts = [Err(Conflict::Changed), Err(Conflict::Gone)];
    assert_eq!(outcomes[..2], conflicts);
    assert_eq!(outcomes[3..], conflicts);
    // Nothing else was counted: the budget of one is used up by the one that went.
    let again = subject.erase(&[within(&objects[0])]).await;
    assert!(matches!(again[..], [Err(Conflict::OverBudget(_))]));
}

pub(super) async fn of_several_budgets_the_one_that_lasts_longest_is_told(subject: &Subject) {
    let objects = uploads(subject, 2).await;
    let budget = Budget {
        tenant: Rates {
            per_second: 1,
            per_day: 2,
            ..Rates::default()
        },
        caller: Rates {
            per_minute: 1,
            per_hour: 1,
            ..Rates::default()
        },
    };
    let group: Vec<_> = objects
        .iter()
        .map(|object| erasure_within(subject, object, budget))
        .collect();
    let outcomes = subject.erase(&group).await;
    let hour = NOON_MS + 3_600_000;
    assert_eq!(outcomes[1], over(Scope::Caller, Window::Hour, hour));
}

pub(super) async fn a_window_that_begins_brings_a_budget_of_its_own(subject: &Subject) {
    let objects = uploads(subject, 4).await;
    let at = |index: usize, at_ms| Erasure {
        at_ms,
        ..erasure_within(subject, &objects[index], per_day(0, 1))
    };
    let group = [
        at(0, NOON_MS),
        at(1, MIDNIGHT_MS - 1),
        at(1, MIDNIGHT_MS),
        at(2, MIDNIGHT_MS + 1),
        // The clock is set back, first a little and then a lot.
        at(2, MIDNIGHT_MS - 1),
        at(2, MIDNIGHT_MS - 9 * DAY_MS),
        at(2, MIDNIGHT_MS - 8 * DAY_MS),
    ];
    let expected = [true, false, true, false, false, false, true];
    let mut erased = Vec::new();
    for erasure in group {
        let outcomes = subject.erase(&[erasure]).await;
        erased.push(outcomes[0].is_ok());
    }
    assert_eq!(erased, expected);
}

pub(super) async fn a_budget_of_one_caller_is_no_matter_of_another(subject: &Subject) {
    let objects = uploads(subject, 5).await;
    let within = |index: usize, caller| {
        let erasure = erasure_within(subject, &objects[index], per_day(3, 1));
        by(caller, erasure)
    };
    let group = [
        within(0, "k1"),
        within(1, "k1"),
        within(2, "k2"),
        within(3, "k3"),
        within(4, "k4"),
    ];
    let expected = [true, false, true, true, false];
    assert_eq!(erased(subject, &group).await, expected);
}
