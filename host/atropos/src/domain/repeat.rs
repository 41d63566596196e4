//! What is kept of requests that have a key, for their repeats.

use uuid::Uuid;

use crate::error::Refused;
use crate::request::IdempotencyKey;
use crate::target::{BlobKey, Caller, Digest};

/// How long outcomes are kept, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// For how long, in milliseconds.
    pub for_ms: u64,
    /// For how many keys of one caller at once.
    pub outcomes: u64,
}

/// One request of one caller, by the key that the caller gave it. What is stored of it are digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// Of the tenant, the caller and the key.
    pub id: Digest,
    /// Of the tenant and the caller.
    pub caller: Digest,
    /// Of what is asked for.
    pub meaning: Digest,
    /// When it is asked.
    pub at_ms: u64,
    /// An outcome from then or before is forgotten.
    pub forgotten_ms: u64,
    /// For how many keys of this caller outcomes are kept at once.
    pub most: u64,
}

impl Once {
    /// A request by `caller`, made at `at_ms`.
    pub fn new(
        caller: &Caller,
        key: &IdempotencyKey,
        meaning: Digest,
        at_ms: u64,
        retention: Retention,
    ) -> Self {
        let tenant = caller.tenant.id.0.to_be_bytes();
        let (kind, id) = (caller.kind.as_str(), caller.id.as_bytes());
        Self {
            id: Digest::of_parts([&tenant[..], kind.as_bytes(), id, key.as_str().as_bytes()]),
            caller: Digest::of_parts([&tenant[..], kind.as_bytes(), id]),
            meaning,
            at_ms,
            forgotten_ms: at_ms.saturating_sub(retention.for_ms),
            most: retention.outcomes,
        }
    }
}

impl Once {
    /// What a request of this key is told, and not served; nothing if it is the first. `kept` is what is
    /// stored under the key; `count` tells of how many keys of the caller something is stored, and `oldest`
    /// when the oldest of that was asked. Both are called only where they matter.
    ///
    /// # Errors
    /// What `count` or `oldest` failed with.
    pub fn first<E>(
        &self,
        kept: Option<Kept>,
        count: impl FnOnce() -> Result<u64, E>,
        oldest: impl FnOnce() -> Result<Option<u64>, E>,
    ) -> Result<Option<First>, E> {
        if let Some(kept) = kept.filter(|kept| kept.at_ms > self.forgotten_ms) {
            let same = kept.meaning == self.meaning;
            return Ok(Some(match same {
                true => First::Kept(kept.stored),
                false => First::Another,
            }));
        }
        if count()? < self.most {
            return Ok(None);
        }
        // What is forgotten makes room when the next is kept.
        let oldest = oldest()?.filter(|at_ms| *at_ms > self.forgotten_ms);
        let kept_for_ms = self.at_ms.saturating_sub(self.forgotten_ms);
        Ok(oldest.map(|at_ms| First::Full {
            until_ms: at_ms.saturating_add(kept_for_ms),
        }))
    }
}

/// What is stored of the first request of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What it asked for, as [`Once::meaning`].
    pub meaning: Digest,
    /// When it was asked.
    pub at_ms: u64,
    /// What became of it.
    pub stored: StoredOutcome,
}

/// What became of a request, and by which decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOutcome {
    /// What it came to.
    pub outcome: Outcome,
    /// The decision on record behind it; none of a request that came to no decision, and of an outcome that
    /// an earlier version kept.
    pub decision: Option<Uuid>,
}

/// What a request came to that has an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It erased. Named are those of its blobs whose removal is still pending.
    Erased(Vec<BlobKey>),
    /// It was refused.
    Refused(Refused),
}

/// What became of the first request of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// It is kept what became of it.
    Kept(StoredOutcome),
    /// It asked for something else.
    Another,
    /// There was none, and nothing can be kept of this one: as many outcomes of its caller are kept as
    /// may be.
    Full {
        /// When the oldest of them is forgotten, in milliseconds since the epoch.
        until_ms: u64,
    },
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn what_is_kept_answers_until_it_is_forgotten_and_a_full_account_until_its_oldest_is() {
        let once = Once {
            id: Digest::of(b"key"),
            caller: Digest::of(b"caller"),
            meaning: Digest::of(b"meaning"),
            at_ms: 1_000,
            forgotten_ms: 400,
            most: 2,
        };
        let held = StoredOutcome {
            outcome: Outcome::Refused(Refused::Held),
            decision: None,
        };
        let kept = |at_ms, meaning: &[u8]| {
            Some(Kept {
                meaning: Digest::of(meaning),
                at_ms,
                stored: held.clone(),
            })
        };
        let refused = Some(First::Kept(held.clone()));
        let full = |until_ms| Some(First::Full { until_ms });
        // What is kept of the key, of how many keys something is, since when, and what is told.
        let table = [
            (kept(401, b"meaning"), 9, Some(401), refused),
            (kept(401, b"other"), 9, Some(401), Some(First::Another)),
            (kept(400, b"meaning"), 1, Some(400), None),
            (kept(400, b"other"), 2, Some(400), None),
            (kept(400, b"meaning"), 2, Some(401), full(1_001)),
            (None, 0, None, None),
            (None, 1, Some(900), None),
            (None, 2, Some(900), full(1_500)),
            (None, 2, Some(400), None),
            (None, 2, None, None),
        ];
        for (kept, count, oldest, told) in table {
            let case = format!("{kept:?} {count} {oldest:?}");
            let first = once.first(kept, || Ok::<_, Infallible>(count), || Ok(oldest));
            assert_eq!(first, Ok(told), "{case}");
        }
    }
}
