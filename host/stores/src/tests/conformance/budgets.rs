//! Budgets, counted in the transaction that erases.

use atropos::config::Rates;
use atropos::store::budget::{Exhausted, Limit, Spent};
use atropos::target::{Scope, Window};

use crate::tests::*;

/// 2023-11-15T12:00:00Z, a Wednesday.
const NOON_MS: u64 = 1_700_049_600_000;
const DAY_MS: u64 = 24 * 3600 * 1000;
const MIDNIGHT_MS: u64 = NOON_MS + DAY_MS / 2;

/// So many a day for the tenant, and for each caller.
fn per_day(tenant: u64, caller: u64) -> Budget {
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
fn erasure_within(object: &Object, budget: Budget) -> Erasure {
    Erasure {
        at_ms: NOON_MS,
        budget,
        ..erasure(object)
    }
}

fn by(caller: &str, mut erasure: Erasure) -> Erasure {
    erasure.decision.caller.id = caller.to_owned();
    erasure
}

async fn uploads(backend: &Backend, count: usize) -> Vec<Object> {
    let mut objects = Vec::new();
    for n in 0..count {
        objects.push(backend.upload(&format!("p{n}"), b"bytes").await);
    }
    objects
}

/// Which of a group were erased.
async fn erased(backend: &Backend, group: &[Erasure]) -> Vec<bool> {
    let outcomes = backend.erase(group).await;
    outcomes.iter().map(Result::is_ok).collect()
}

fn over(scope: Scope, window: Window, until_ms: u64) -> Result<Doomed, Conflict> {
    Err(Conflict::OverBudget(Exhausted {
        scope,
        window,
        until_ms,
    }))
}

async fn spent(backend: &Backend, at_ms: u64) -> Vec<Spent> {
    let spent = backend.tenants.spent(backend.tenant.id, at_ms);
    spent.await.unwrap()
}

pub(super) async fn a_group_erases_exactly_as_many_as_a_budget_allows(backend: &Backend) {
    let objects = uploads(backend, 5).await;
    let within = |object| erasure_within(object, per_day(3, 0));
    let group: Vec<_> = objects.iter().map(within).collect();
    let outcomes = backend.erase(&group).await;
    assert!(outcomes[..3].iter().all(Result::is_ok));
    let refused = over(Scope::Tenant, Window::Day, MIDNIGHT_MS);
    assert_eq!(outcomes[3..], [refused.clone(), refused]);
    for object in &objects[3..] {
        let found = backend.objects.find(&object.target).await.unwrap();
        assert_eq!(found.as_ref(), Some(object), "it is as it was");
    }
    let events = backend
        .catalogue
        .activity(backend.tenant.id, None, "user-6", FIRST);
    assert_eq!(events.await.unwrap().len(), 3);
    assert_eq!(decisions(backend).await.len(), 3);
}

pub(super) async fn a_budget_of_one_is_no_matter_of_another(backend: &Backend) {
    let other = NewTenant {
        subdomain: "other".parse().unwrap(),
        website_id: WebsiteId::new(8).unwrap(),
        chain: vec![entry("allow-all")],
        at_ms: 1,
        by: String::new(),
    };
    let other = backend.tenants.create_tenant(other).await.unwrap();
    let mut objects = uploads(backend, 5).await;
    for name in ["q1", "q2"] {
        let mut foreign = backend.new_object(name, b"bytes").await;
        foreign.object.target.tenant = other.id;
        backend.catalogue.insert(foreign.clone()).await.unwrap();
        objects.push(foreign.object);
    }
    let within = |index: usize, caller| {
        let erasure = erasure_within(&objects[index], per_day(3, 1));
        by(caller, erasure)
    };
    // The same caller's name in another tenant is another caller.
    let group = [
        within(0, "k1"),
        within(1, "k1"),
        within(5, "k1"),
        within(2, "k2"),
        within(3, "k3"),
        within(4, "k4"),
        within(6, "k4"),
    ];
    let expected = [true, false, true, true, true, false, true];
    assert_eq!(erased(backend, &group).await, expected);
}

pub(super) async fn only_a_committed_erasure_is_counted(backend: &Backend) {
    let objects = uploads(backend, 2).await;
    let within = |object| erasure_within(object, per_day(1, 1));
    let mut stale = within(&objects[0]);
    stale.decision.object.version = 7;
    let (mut absent, object) = (within(&objects[0]), &objects[1]);
    absent.decision.object.target.id = "p9".to_owned();
    let group = [stale.clone(), absent.clone(), within(object), stale, absent];
    let outcomes = backend.erase(&group).await;
    assert!(outcomes[2].is_ok());
    // What could not go in any case is told so, whatever is left of the budget.
    let conflicts = [Err(Conflict::Changed), Err(Conflict::Gone)];
    assert_eq!(outcomes[..2], conflicts);
    assert_eq!(outcomes[3..], conflicts);
    let counts: Vec<_> = spent(backend, NOON_MS).await;
    let counts: Vec<_> = counts.iter().map(|one| one.deletes).collect();
    assert_eq!(counts, [1, 1]);
}

pub(super) async fn of_several_budgets_the_one_that_lasts_longest_is_told(backend: &Backend) {
    let objects = uploads(backend, 2).await;
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
        .map(|object| erasure_within(object, budget))
        .collect();
    let outcomes = backend.erase(&group).await;
    let hour = NOON_MS + 3_600_000;
    assert_eq!(outcomes[1], over(Scope::Caller, Window::Hour, hour));
}

pub(super) async fn a_window_that_begins_brings_a_budget_of_its_own(backend: &Backend) {
    let objects = uploads(backend, 4).await;
    let at = |index: usize, at_ms| Erasure {
        at_ms,
        ..erasure_within(&objects[index], per_day(0, 1))
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
        let outcomes = backend.erase(&[erasure]).await;
        erased.push(outcomes[0].is_ok());
    }
    assert_eq!(erased, expected);
}

pub(super) async fn a_limit_set_for_a_tenant_stands_in_place_of_the_configured_one(
    backend: &Backend,
) {
    let (tenant, objects) = (backend.tenant.id, uploads(backend, 6).await);
    let within = |index: usize| erasure_within(&objects[index], per_day(1, 0));
    let limit = |scope, window, deletes| Limit {
        scope,
        window,
        deletes,
    };
    let day = |deletes| [limit(Scope::Tenant, Window::Day, deletes)];
    let set = |limits: [Limit; 1]| async move {
        let set = backend.tenants.set_limits(tenant, &limits).await;
        set.unwrap();
    };
    assert_eq!(
        erased(backend, &[within(0), within(1)]).await,
        [true, false]
    );
    set(day(Some(2))).await;
    assert_eq!(
        erased(backend, &[within(1), within(2)]).await,
        [true, false]
    );
    set(day(Some(0))).await;
    assert_eq!(erased(backend, &[within(2), within(3)]).await, [true, true]);
    // It holds in the narrower scope as well, and beside what is configured.
    set([limit(Scope::Caller, Window::Week, Some(1))]).await;
    assert_eq!(
        erased(backend, &[within(4), within(5)]).await,
        [true, false]
    );
    let both = [
        limit(Scope::Caller, Window::Week, Some(1)),
        limit(Scope::Tenant, Window::Day, Some(0)),
    ];
    assert_eq!(backend.tenants.limits(tenant).await.unwrap(), both);
    set([limit(Scope::Caller, Window::Week, None)]).await;
    set(day(None)).await;
    assert_eq!(backend.tenants.limits(tenant).await.unwrap(), []);
    assert_eq!(erased(backend, &[within(5)]).await, [false]);
    let nobody = TenantId(tenant.0 + 1);
    let refused = backend.tenants.set_limits(nobody, &both).await;
    assert!(matches!(
        refused,
        Err(StoreError::Missing { what: "tenant" })
    ));
}

pub(super) async fn a_window_without_a_limit_is_not_counted(backend: &Backend) {
    let objects = uploads(backend, 2).await;
    let unlimited = erasure_within(&objects[0], Budget::default());
    let limited = erasure_within(&objects[1], per_day(1, 0));
    assert_eq!(erased(backend, &[unlimited]).await, [true]);
    assert_eq!(spent(backend, NOON_MS).await, []);
    assert_eq!(erased(backend, &[limited]).await, [true]);
    let counted = Spent {
        caller: None,
        window: Window::Day,
        deletes: 1,
        until_ms: MIDNIGHT_MS,
    };
    assert_eq!(spent(backend, NOON_MS).await, [counted]);
    assert_eq!(spent(backend, MIDNIGHT_MS).await, [], "the day is over");
}

pub(super) async fn counts_of_long_ago_are_forgotten(backend: &Backend) {
    let objects = uploads(backend, 5).await;
    for (days, object) in [0, 1, 15, 16].into_iter().zip(&objects) {
        let caller = format!("k{days}");
        let erasure = Erasure {
            at_ms: NOON_MS + days * DAY_MS,
            ..erasure_within(object, per_day(0, 1))
        };
        assert_eq!(erased(backend, &[by(&caller, erasure)]).await, [true]);
    }
    // Seen from the first day, what came later lies ahead and what is kept still counts.
    let kept = spent(backend, NOON_MS).await;
    let kept: Vec<_> = kept.iter().map(|one| one.caller.as_deref()).collect();
    assert_eq!(kept, [Some("k15"), Some("k16")]);
}
