//! Decisions that wait until shadows are asked about them, and how many were passed over.
//!
//! **Invariant:** what waits has at most [`BYTES`] in all, shadows included, and no tenant fills that
//! (a [`Room`]): one tenant's slow shadow drops no decision of another.
//! **Invariant:** however many decisions wait for one shadow, it is held once.
//! **Invariant:** each decision that is offered is either taken from the queue or counted as passed over.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::domain::decision::{Decision, PolicyReview, Question, Verdict};
use crate::domain::shadow::Shadow;
use crate::fair_queue::{Place, Room};
use crate::target::TenantId;

/// How much all that waits may hold.
pub const BYTES: usize = 16 << 20;

/// What one place in the room stands for. A decision has few hundred bytes, mostly.
const BYTES_PER_PLACE: usize = 1 << 10;

/// Decisions of all tenants, each tenant's in the order in which they were made.
pub(super) struct ShadowQueue {
    room: Room<TenantId>,
    waiting: Mutex<HashMap<TenantId, Waiting>>,
    passed_over: Mutex<HashMap<(TenantId, Uuid), u64>>,
    /// Told when a decision is passed over.
    passed: Notify,
}

/// What waits of one tenant.
struct Waiting {
    /// The shadow that its latest decision is shown to.
    shadow: Arc<Held>,
    decisions: VecDeque<Seen>,
}

/// A shadow that decisions wait for.
pub(super) struct Held {
    pub(super) shadow: Shadow,
    _place: Place<TenantId>,
}

/// A decision, and the shadow that is to be asked about it too.
pub(super) struct Seen {
    pub(super) shadow: Arc<Held>,
    pub(super) question: Arc<Question>,
    pub(super) decision: Uuid,
    pub(super) was: Verdict,
    /// The policy that settled it, and why.
    pub(super) settled: Option<(String, Vec<String>)>,
    _place: Place<TenantId>,
}

impl ShadowQueue {
    pub(super) fn new() -> Self {
        Self {
            room: Room::new(BYTES / BYTES_PER_PLACE),
            waiting: Mutex::default(),
            passed_over: Mutex::default(),
            passed: Notify::new(),
        }
    }

    /// Has a decision wait for `shadow`, or counts it as passed over if there is no room. Returns
    /// whether nothing of its tenant waited before: then somebody has to begin to take its decisions.
    pub(super) fn offer(&self, shadow: &Shadow, decision: &Decision) -> bool {
        let tenant = decision.target().tenant;
        let mut waiting = self.waiting.lock();
        let known = waiting.get(&tenant).map(|waiting| &waiting.shadow);
        let known = known.filter(|held| held.shadow.id == shadow.id).cloned();
        let held = known.or_else(|| self.hold(tenant, shadow));
        let seen = held.and_then(|held| self.seen(tenant, held, decision));
        let Some(seen) = seen else {
            drop(waiting);
            self.pass_over(tenant, shadow.id);
            return false;
        };
        let mut first = false;
        let of_tenant = waiting.entry(tenant).or_insert_with(|| {
            first = true;
            Waiting {
                shadow: Arc::clone(&seen.shadow),
                decisions: VecDeque::new(),
            }
        });
        of_tenant.shadow = Arc::clone(&seen.shadow);
        of_tenant.decisions.push_back(seen);
        first
    }

    fn hold(&self, tenant: TenantId, shadow: &Shadow) -> Option<Arc<Held>> {
        let texts = shadow
            .entries
            .iter()
            .map(|entry| size_of_val(entry) + entry.policy.len() + entry.settings.len());
        let place = self.place(tenant, texts.sum())?;
        Some(Arc::new(Held {
            shadow: shadow.clone(),
            _place: place,
        }))
    }

    fn seen(&self, tenant: TenantId, shadow: Arc<Held>, decision: &Decision) -> Option<Seen> {
        let last = decision.reviews.last();
        let settled = last.map(|review| (review.policy.clone(), PolicyReview::why(review)));
        let place = self.place(tenant, bytes(decision, settled.as_ref()))?;
        Some(Seen {
            shadow,
            question: Arc::new(decision.question()),
            decision: decision.id,
            was: decision.verdict.clone(),
            settled,
            _place: place,
        })
    }

    fn place(&self, tenant: TenantId, bytes: usize) -> Option<Place<TenantId>> {
        let places = bytes.div_ceil(BYTES_PER_PLACE);
        self.room.places(tenant, places).ok()
    }

    /// The next decision of a tenant. After `None` the next that is offered is its first again.
    pub(super) fn take(&self, tenant: TenantId) -> Option<Seen> {
        let mut waiting = self.waiting.lock();
        let next = waiting.get_mut(&tenant)?.decisions.pop_front();
        if next.is_none() {
            waiting.remove(&tenant);
        }
        next
    }

    /// Counts a decision that the shadow is not asked about.
    pub(super) fn pass_over(&self, tenant: TenantId, shadow: Uuid) {
        metrics::counter!("atropos_shadow_skipped_total").increment(1);
        let mut passed_over = self.passed_over.lock();
        *passed_over.entry((tenant, shadow)).or_default() += 1;
        drop(passed_over);
        self.passed.notify_one();
    }

    /// Waits until a decision is passed over.
    pub(super) async fn passed(&self) {
        self.passed.notified().await;
    }

    /// How many decisions were passed over since this was asked last, by tenant and shadow.
    pub(super) fn take_passed_over(&self) -> HashMap<(TenantId, Uuid), u64> {
        std::mem::take(&mut *self.passed_over.lock())
    }
}

/// About how much of the memory a decision takes while it waits.
fn bytes(decision: &Decision, settled: Option<&(String, Vec<String>)>) -> usize {
    let texts = |texts: &[String]| -> usize {
        let texts = texts.iter();
        texts.map(|text| size_of::<String>() + text.len()).sum()
    };
    let object = &decision.object;
    size_of::<Seen>()
        + size_of::<Question>()
        + decision.tenant.as_str().len()
        + decision.caller.id.len()
        + size_of_val(&*decision.caller.permissions)
        + object.target.owner.len()
        + object.target.id.len()
        + object.media_type.len()
        + texts(&object.labels)
        + decision.verdict.as_str().len()
        + settled.map_or(0, |(policy, why)| policy.len() + texts(why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decision::DecisionCaller;
    use crate::domain::{ChainEntry, PolicyLimits};
    use crate::target::{CallerKind, Kind, Object, Target};

    const BUSY: TenantId = TenantId(1);
    const QUIET: TenantId = TenantId(2);

    fn decision(tenant: TenantId) -> Decision {
        let target = Target {
            tenant,
            kind: Kind::Photo,
            owner: "u-1001".to_owned(),
            id: "p-1".to_owned(),
        };
        Decision {
            id: Uuid::new_v4(),
            at_ms: 1,
            tenant: "mytenant".parse().unwrap(),
            caller: DecisionCaller {
                kind: CallerKind::SiteKey,
                id: "key".to_owned(),
                permissions: Vec::new(),
            },
            object: Object::new(target, 1, "image/png"),
            chain_revision: 1,
            reviews: Vec::new(),
            verdict: Verdict::Allowed,
        }
    }

    fn shadow(settings_bytes: usize) -> Shadow {
        Shadow {
            id: Uuid::new_v4(),
            entries: vec![ChainEntry::new("labels", b"", "x".repeat(settings_bytes))],
            limits: PolicyLimits::default(),
        }
    }

    /// Offers decisions until one is passed over, and returns how many wait.
    fn fill(queue: &ShadowQueue, shadow: &Shadow, tenant: TenantId) -> usize {
        let mut waiting = 0;
        loop {
            queue.offer(shadow, &decision(tenant));
            if !queue.take_passed_over().is_empty() {
                return waiting;
            }
            waiting += 1;
        }
    }

    #[test]
    fn one_shadow_fills_no_more_than_its_part_and_another_tenant_s_decisions_find_room() {
        let queue = ShadowQueue::new();
        let waiting = fill(&queue, &shadow(10), BUSY);
        assert!(waiting * BYTES_PER_PLACE <= BYTES * 2 / 3, "{waiting}");
        assert!(waiting > 1000, "{waiting}");
        assert!(queue.offer(&shadow(10), &decision(QUIET)));
        assert!(queue.take_passed_over().is_empty());
    }

    #[test]
    fn a_shadow_is_held_and_charged_once_however_many_decisions_wait_for_it() {
        let queue = ShadowQueue::new();
        let large = shadow(BYTES / 3);
        let taken = |queue: &ShadowQueue| queue.room.taken() * BYTES_PER_PLACE;
        for _ in 0..100 {
            queue.offer(&large, &decision(BUSY));
        }
        assert!((BYTES / 3..BYTES / 2).contains(&taken(&queue)));
        let first = queue.take(BUSY).unwrap();
        let second = queue.take(BUSY).unwrap();
        assert!(Arc::ptr_eq(&first.shadow, &second.shadow));
        drop((first, second));
        while queue.take(BUSY).is_some() {}
        assert_eq!(taken(&queue), 0);
    }

    #[test]
    fn a_shadow_too_large_for_the_queue_passes_every_decision_over() {
        let queue = ShadowQueue::new();
        let large = shadow(BYTES);
        assert!(!queue.offer(&large, &decision(BUSY)));
        assert!(!queue.offer(&large, &decision(BUSY)));
        let passed_over = queue.take_passed_over();
        assert_eq!(passed_over, HashMap::from([((BUSY, large.id), 2)]));
        assert_eq!(queue.room.taken(), 0);
    }

    #[test]
    fn who_takes_until_nothing_is_left_is_told_of_the_next_first_one() {
        let queue = ShadowQueue::new();
        let (old, new) = (shadow(1), shadow(1));
        assert!(queue.offer(&old, &decision(BUSY)));
        assert!(!queue.offer(&new, &decision(BUSY)));
        let order = std::iter::from_fn(|| queue.take(BUSY).map(|seen| seen.shadow.shadow.id));
        assert_eq!(order.collect::<Vec<_>>(), [old.id, new.id]);
        assert!(queue.offer(&new, &decision(BUSY)));
    }
}
