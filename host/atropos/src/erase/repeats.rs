//! Requests that have a key: a repeat learns what became of the first, and has no effect of its own.
//!
//! **Invariant:** only who is authenticated, and let through by the plugin, learns what became of an
//! earlier request; everybody else leaves nothing and learns nothing.
//! **Invariant:** a caller of whom as many outcomes are kept as may be is refused under a new key, before
//! anything is erased: an outcome that is kept is never forgotten early.
//! **Invariant:** a repeat is told of success only once the bytes that the first one doomed are gone.

use std::sync::Arc;
use std::time::Duration;

use super::answer::Answer;
use crate::config;
use uuid::Uuid;

use crate::domain::repeat::{Outcome, StoredOutcome};
use crate::domain::{First, Once, Retention};
use crate::error::{Reason, Refused};
use crate::guest::Served;
use crate::platform::Platform;
use crate::ports::{Blobs, Rows, StoreError};
use crate::request::{IdempotencyKey, Request};
use crate::target::{BlobKey, now_ms};

/// The first pause between two looks for bytes that are about to go; each is twice as long as the one
/// before.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// How often is looked; the pauses add up to 2.5 s.
const LOOKS: u32 = 9;

pub(super) struct Repeats {
    rows: Arc<dyn Rows>,
    blobs: Arc<dyn Blobs>,
    retention: Retention,
}

impl Repeats {
    pub(super) fn new(platform: Platform, config: &config::Erase) -> Self {
        Self {
            rows: platform.rows,
            blobs: platform.blobs,
            retention: Retention {
                for_ms: config.idempotency_ms,
                outcomes: config.idempotency_outcomes,
            },
        }
    }

    /// The request as one that may be repeated: it has a key, and a caller who was let through.
    pub(super) fn once(
        &self,
        request: &Request,
        key: Option<&IdempotencyKey>,
        served: &Served,
    ) -> Option<Once> {
        let (key, caller) = key.zip(served.caller.as_ref())?;
        let meaning = request.meaning();
        let once = || Once::new(caller, key, meaning, now_ms(), self.retention);
        let_through(served).then(once)
    }

    /// The answer to a repeat.
    pub(super) async fn first(&self, once: Option<&Once>) -> Option<Answer> {
        match self.rows.first(once?).await {
            Ok(first) => Some(self.tell(first?).await),
            Err(error) => Some(unavailable(&error)),
        }
    }

    /// The answer to a refused request. If it may be repeated, the refusal is kept first; should a
    /// repeat have been quicker, the answer is that one's.
    pub(super) async fn refuse(
        &self,
        once: Option<&Once>,
        refused: Refused,
        decision: Option<Uuid>,
    ) -> Answer {
        let Some(once) = once.filter(|_| refused.is_final()) else {
            return Answer::new(Err(refused)).by(decision);
        };
        let first = self.rows.keep(once, &refused, decision).await;
        let refused = Outcome::Refused(refused);
        match first {
            Ok(First::Kept(kept)) if kept.outcome == refused => {
                self.answer(kept).await.by(decision)
            }
            Ok(first) => self.tell(first).await,
            Err(error) => unavailable(&error),
        }
    }

    async fn tell(&self, first: First) -> Answer {
        match first {
            First::Another => Answer::new(Err(Refused::KeyReused)),
            First::Full { until_ms } => Answer::new(Err(Refused::TooManyKeys { until_ms })),
            First::Kept(kept) => {
                let decision = kept.decision;
                let answer = self.answer(kept).await;
                Answer {
                    repeated: true,
                    ..answer.by(decision)
                }
            }
        }
    }

    async fn answer(&self, kept: StoredOutcome) -> Answer {
        Answer::new(match kept.outcome {
            Outcome::Refused(refused) => Err(refused),
            Outcome::Erased(doomed) if self.gone(&doomed).await => Ok(()),
            Outcome::Erased(_) => Err(Refused::Pending),
        })
    }

    /// Waits, as the first does, for those who remove the bytes. It looks and does not remove, or they
    /// would find the bytes absent, and say so.
    async fn gone(&self, doomed: &[BlobKey]) -> bool {
        let mut pause = FIRST_PAUSE;
        for look in 1..=LOOKS {
            if self.absent(doomed).await {
                return true;
            }
            if look < LOOKS {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        false
    }

    async fn absent(&self, doomed: &[BlobKey]) -> bool {
        for key in doomed {
            match self.blobs.is_absent(*key).await {
                Ok(true) => {}
                Ok(false) => return false,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "whether bytes are gone cannot be told"
                    );
                    return false;
                }
            }
        }
        true
    }
}

/// Whether the plugin let the caller through to the object, as far as its answer tells.
fn let_through(served: &Served) -> bool {
    match &served.staged {
        Ok(_) => true,
        Err(Refused::Plugin { reason, .. }) => match reason {
            Reason::NotFound | Reason::Denied | Reason::Held | Reason::Unavailable(_) => true,
            Reason::InvalidRequest
            | Reason::Unauthenticated
            | Reason::Forbidden
            | Reason::Throttled(_)
            | Reason::Other(_) => false,
        },
        Err(_) => false,
    }
}

fn unavailable(error: &StoreError) -> Answer {
    tracing::error!(
        error = error as &dyn std::error::Error,
        "what became of a request cannot be told or kept"
    );
    Answer::new(Err(error.into()))
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::domain::Removal;
    use crate::memory::Memory;

    /// Bytes of a platform whose uploads and downloads go another way, and that may be able to tell
    /// what is gone.
    struct Elsewhere {
        tells: Option<bool>,
    }

    #[async_trait]
    impl Blobs for Elsewhere {
        async fn is_absent(&self, _: BlobKey) -> Result<bool, StoreError> {
            let what = "answer";
            self.tells.ok_or(StoreError::Missing { what })
        }

        async fn remove(&self, _: BlobKey) -> Result<Removal, StoreError> {
            Ok(Removal::Removed)
        }

        async fn sync_removals(&self) -> Result<(), StoreError> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_repeat_asks_whether_bytes_are_absent_and_never_opens_them() {
        let table = [
            (Some(true), Ok(())),
            (Some(false), Err(Refused::Pending)),
            (None, Err(Refused::Pending)),
        ];
        for (tells, outcome) in table {
            let repeats = Repeats {
                rows: Arc::new(Memory::default()),
                blobs: Arc::new(Elsewhere { tells }),
                retention: Retention {
                    for_ms: 1,
                    outcomes: 1,
                },
            };
            let stored = StoredOutcome {
                outcome: Outcome::Erased(vec![BlobKey::random()]),
                decision: None,
            };
            let told = repeats.tell(First::Kept(stored)).await;
            assert_eq!((told.outcome, told.repeated), (outcome, true), "{tells:?}");
        }
    }
}
