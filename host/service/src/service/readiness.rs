//! Whether a delete would be served now: what it needs is asked part by part, as a delete would use it.
//!
//! | what | how it is asked |
//! |---|---|
//! | plugin | it is loaded, and is if it was not |
//! | database | its files are those that were opened |
//! | writer | one row is written, once a second at most |
//! | bytes | their place is the right one, and can be written |
//! | the parts of the commit, the clock of the guests | a probe goes through them; none has just panicked |
//!
//! **Invariant:** that costs the same however many rows there are.
//! **Invariant:** at most one look is under way, however many ask and hang up.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use atropos::commit::shred::chain;
use atropos::erase::Atropos;
use atropos::parts::Part;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::storage::Storage;

/// How long each of them may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a write counts.
const FRESH: Duration = Duration::from_secs(1);

/// What a delete needs and does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    /// Which part, by a stable name.
    pub part: &'static str,
    /// What is wrong with it.
    pub reason: String,
    /// What the machine said, for the operator alone.
    pub causes: Option<String>,
}

/// Who looks. Cheap to clone.
#[derive(Clone)]
pub struct Readiness {
    storage: Storage,
    atropos: Atropos,
    last: Arc<Mutex<Last>>,
}

#[derive(Default)]
struct Last {
    /// When the latest look began, and what was missing.
    look: Option<(Instant, Vec<Missing>)>,
    /// When a write was last begun that succeeded.
    written: Option<Instant>,
}

impl Readiness {
    pub(super) fn new(storage: Storage, atropos: Atropos) -> Self {
        Self {
            storage,
            atropos,
            last: Arc::default(),
        }
    }

    /// What is missing; nothing if a delete would be served.
    pub async fn missing(&self) -> Vec<Missing> {
        let asked = Instant::now();
        let mut last = Arc::clone(&self.last).lock_owned().await;
        // While this one waited, somebody looked for all who did.
        if let Some((_, missing)) = last.look.as_ref().filter(|(began, _)| *began >= asked) {
            return missing.clone();
        }
        let this = self.clone();
        // Who hangs up lets go of neither the lock nor what is asked.
        let looking = tokio::spawn(async move {
            let began = Instant::now();
            let missing = this.look(&mut last.written).await;
            last.look = Some((began, missing.clone()));
            missing
        });
        looking
            .await
            .unwrap_or_else(|_| vec![Missing::silent("readiness")])
    }

    async fn look(&self, written: &mut Option<Instant>) -> Vec<Missing> {
        let Storage { rows, bytes } = &self.storage;
        let write = async {
            if written.is_some_and(|written| written.elapsed() < FRESH) {
                return Ok(());
            }
            *written = None;
            let began = Instant::now();
            rows.probe().await.inspect(|()| *written = Some(began))
        };
        let (plugin, written, bytes, parts) = tokio::join!(
            asked("plugin", self.atropos.sandbox().probe()),
            asked("writer", write),
            asked("bytes", bytes.probe()),
            self.atropos.probe(PATIENCE),
        );
        let database = rows.prove().await;
        let database = database.map_err(|error| Missing::new("database", &error));
        // What is wrong with the files says more than what that means for those who read and write.
        let (plugin, written) = match database {
            Ok(()) => (plugin, written),
            Err(wrong) => (Ok(()), Err(wrong)),
        };
        // Looked at last: the probes may have had one panic.
        let fares = self.atropos.parts().fare();
        let unwell = fares.iter().filter(|one| one.part.is_needed() && !one.well);
        let mut missing: Vec<_> = unwell.map(|one| Missing::unwell(one.part)).collect();
        missing.extend([plugin, written, bytes].into_iter().filter_map(Result::err));
        missing.extend(parts.into_iter().map(|part| Missing::silent(part.name())));
        let mut named = HashSet::new();
        missing.retain(|one| named.insert(one.part));
        missing
    }
}

impl Missing {
    fn new(part: &'static str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self {
            part,
            reason: error.to_string(),
            causes: error.source().map(chain),
        }
    }

    fn unwell(part: Part) -> Self {
        Self {
            part: part.name(),
            reason: "it panicked, and is being started again".to_owned(),
            causes: None,
        }
    }

    fn silent(part: &'static str) -> Self {
        Self {
            part,
            reason: "it does not answer".to_owned(),
            causes: None,
        }
    }
}

async fn asked<E: std::error::Error + 'static>(
    part: &'static str,
    asking: impl Future<Output = Result<(), E>>,
) -> Result<(), Missing> {
    match timeout(PATIENCE, asking).await {
        Ok(answer) => answer.map_err(|error| Missing::new(part, &error)),
        Err(_) => Err(Missing::silent(part)),
    }
}
