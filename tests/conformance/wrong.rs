//! A storage that is wrong in one of ten ways, as storages have been: the example's, with something between
//! it and whoever asks.

use std::sync::Arc;

use async_trait::async_trait;
use atropos::config::Budget;
use atropos::conformance::Subject;
use atropos::domain::decision::Decision;
use atropos::domain::{Claim, Doomed, Erasure, Owner, Removal, Shred};
use atropos::ports::{
    Blobs, Decisions, EraseError, Objects, Outcomes, Removals, Result, StoreError,
};
use atropos::target::{BlobKey, Object, Target};

use super::example;
use crate::embed::platform::Memory;

/// How it is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It says that it erased, and did not.
    ErasesNothing,
    /// It erases whatever is there now, and not what was judged.
    ForgetsTheVersion,
    /// It erases what is held.
    IgnoresHolds,
    /// It takes away the row and dooms one blob of several.
    DoomsTheOriginalOnly,
    /// It counts nothing.
    CountsNothing,
    /// It fails a whole group for one conflict.
    FailsTheGroup,
    /// It loses refusals.
    RecordsNoRefusal,
    /// It looks for an object by its id alone.
    IgnoresTheOwner,
    /// It hands the same removals to everybody.
    LeasesNothing,
    /// It answers removals in another order.
    AnswersInReverse,
}

impl Way {
    /// Every one, with the behaviour that it breaks.
    pub(super) const ALL: [(Self, &'static str); 10] = [
        (
            Self::ErasesNothing,
            "objects::an_erasure_takes_the_row_and_dooms_every_blob",
        ),
        (
            Self::ForgetsTheVersion,
            "objects::a_decision_on_a_predecessor_of_the_same_name_erases_nothing",
        ),
        (
            Self::IgnoresHolds,
            "objects::a_hold_that_came_after_the_decision_wins",
        ),
        (
            Self::DoomsTheOriginalOnly,
            "objects::an_erasure_takes_the_row_and_dooms_every_blob",
        ),
        (
            Self::CountsNothing,
            "budgets::a_group_erases_exactly_as_many_as_a_budget_allows",
        ),
        (
            Self::FailsTheGroup,
            "objects::an_erasure_that_conflicts_keeps_no_other_of_its_group",
        ),
        (
            Self::RecordsNoRefusal,
            "decisions::recorded_refusals_are_kept_and_erase_nothing",
        ),
        (
            Self::IgnoresTheOwner,
            "objects::a_foreign_name_finds_nothing",
        ),
        (
            Self::LeasesNothing,
            "removals::what_is_claimed_is_left_to_its_owner_until_the_lease_ends",
        ),
        (
            Self::AnswersInReverse,
            "removals::several_removals_are_answered_in_order",
        ),
    ];
}

/// The example's platform with this wrong.
pub(super) fn subject(way: Way) -> Subject {
    let memory = Arc::new(Memory::default());
    let wrong = Arc::new(Wrong {
        way,
        memory: memory.clone(),
    });
    Subject {
        rows: wrong.clone(),
        blobs: wrong,
        ..example::over(memory)
    }
}

struct Wrong {
    way: Way,
    memory: Arc<Memory>,
}

impl Wrong {
    /// Takes an object as it is now for the one that was judged.
    fn as_it_is(&self, erasure: &Erasure) -> Erasure {
        let mut erasure = erasure.clone();
        let target = erasure.decision.target().clone();
        if let Some((object, _)) = self.memory.rows.lock().get_mut(&target) {
            if self.way == Way::IgnoresHolds {
                object.held = false;
            }
            erasure.decision.object = object.clone();
        }
        erasure
    }
}

#[async_trait]
impl Objects for Wrong {
    async fn find(&self, target: &Target) -> Result<Option<Object>> {
        if self.way == Way::IgnoresTheOwner {
            let rows = self.memory.rows.lock();
            let mut objects = rows.values().map(|(object, _)| object);
            return Ok(objects.find(|one| one.target.id == target.id).cloned());
        }
        self.memory.find(target).await
    }

    async fn erase(&self, group: &[Erasure]) -> Result<Vec<Result<Doomed, EraseError>>> {
        let group: Vec<_> = match self.way {
            Way::ErasesNothing => {
                let nothing = |_| Ok(Doomed { blobs: Vec::new() });
                return Ok(group.iter().map(nothing).collect());
            }
            Way::ForgetsTheVersion | Way::IgnoresHolds => {
                group.iter().map(|erasure| self.as_it_is(erasure)).collect()
            }
            Way::CountsNothing => {
                let budget = Budget::default();
                let unlimited = |erasure: &Erasure| Erasure {
                    budget,
                    ..erasure.clone()
                };
                group.iter().map(unlimited).collect()
            }
            _ => group.to_vec(),
        };
        let mut outcomes = self.memory.erase(&group).await?;
        match self.way {
            Way::DoomsTheOriginalOnly => {
                for doomed in outcomes.iter_mut().flatten() {
                    doomed.blobs.truncate(1);
                }
            }
            Way::FailsTheGroup if outcomes.iter().any(Result::is_err) => {
                return Err(StoreError::Unavailable("a conflict".into()));
            }
            _ => {}
        }
        Ok(outcomes)
    }
}

#[async_trait]
impl Decisions for Wrong {
    async fn record(&self, decisions: &[Decision]) -> Result<Vec<Result<()>>> {
        if self.way == Way::RecordsNoRefusal {
            return Ok(decisions.iter().map(|_| Ok(())).collect());
        }
        self.memory.record(decisions).await
    }
}

impl Outcomes for Wrong {}

#[async_trait]
impl Removals for Wrong {
    async fn claim(&self, claim: &Claim) -> Result<Vec<Shred>> {
        let until_ms = match self.way {
            Way::LeasesNothing => 0,
            _ => claim.until_ms,
        };
        let claim = Claim { until_ms, ..*claim };
        self.memory.claim(&claim).await
    }

    async fn hasten(&self, erased_ms: u64, reserved_ms: u64) -> Result<()> {
        self.memory.hasten(erased_ms, reserved_ms).await
    }

    async fn shredded(&self, removed: &[(BlobKey, Removal)]) -> Result<Vec<Result<()>>> {
        self.memory.shredded(removed).await
    }

    async fn postpone(
        &self,
        owner: Owner,
        key: BlobKey,
        not_before_ms: u64,
        error: &str,
    ) -> Result<()> {
        let memory = &self.memory;
        memory.postpone(owner, key, not_before_ms, error).await
    }
}

#[async_trait]
impl Blobs for Wrong {
    async fn is_absent(&self, key: BlobKey) -> Result<bool> {
        self.memory.is_absent(key).await
    }

    async fn remove(&self, key: BlobKey) -> Result<Removal> {
        self.memory.remove(key).await
    }

    async fn remove_all(&self, keys: &[BlobKey]) -> Vec<Result<Removal>> {
        let mut removed = self.memory.remove_all(keys).await;
        if self.way == Way::AnswersInReverse {
            removed.reverse();
        }
        removed
    }

    async fn sync_removals(&self) -> Result<()> {
        self.memory.sync_removals().await
    }
}
