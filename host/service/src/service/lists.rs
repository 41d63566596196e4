//! Lists for callers, whose long ones are read in turns.
//!
//! **Invariant:** callers share the slots for long reads by time, so that one caller's lists keep
//! another caller's list waiting for no more than the reads under way.
//! **Invariant:** long reads run on threads below the priority of those that serve.
//! **Invariant:** a read holds its slot until its thread is done with it, even if its caller has hung up.

use std::future::Future;
use std::sync::Arc;
use std::thread::available_parallelism;

use atropos::background::{Background, Priority};
use atropos::domain::{Activity, ObjectPage, Page, Stored};
use atropos::fair_queue::{FairQueue, Full, Room, Slot};
use atropos::ports::{Catalogue, StoreError};
use atropos::target::{Caller, CallerKind, Kind, TenantId};
use tokio::task::{JoinError, spawn_blocking};

/// How many long reads wait for a slot at most, those of all callers together.
const WAITING: usize = 256;

/// Who reads: one caller in one tenant.
type Reader = (TenantId, CallerKind, String);

/// The lists of objects and of what happened to them, for the callers of the service. Cheap to clone.
#[derive(Clone)]
pub struct Lists {
    catalogue: Arc<dyn Catalogue>,
    queue: FairQueue<Reader>,
    threads: Arc<Background>,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// As many lists wait already as there is room for. Trying again later is right.
    #[error("no room for another list")]
    Overloaded(#[from] Full),
    /// The storage failed.
    #[error("the list cannot be read")]
    Store(#[from] StoreError),
    /// The thread that read it broke off.
    #[error("the list was not read to its end")]
    BrokenOff(#[from] JoinError),
}

impl Lists {
    /// Reads from this catalogue.
    ///
    /// # Errors
    /// The machine has no more threads.
    pub fn new(catalogue: Arc<dyn Catalogue>) -> std::io::Result<Self> {
        let slots = Self::slots();
        Ok(Self {
            catalogue,
            queue: FairQueue::new(slots, Room::new(WAITING)),
            threads: Arc::new(Background::start(slots, Priority::Low)?),
        })
    }

    /// How many long lists are read at once: half as many as there are cores, one at least.
    pub fn slots() -> usize {
        let cores = available_parallelism().map_or(1, usize::from);
        (cores / 2).max(1)
    }

    /// A page of the objects of one owner, rendered by `render`. A long one is read and rendered on
    /// threads that serve nothing, when it is its caller's turn.
    ///
    /// # Errors
    /// The storage failed, or too many lists wait.
    pub async fn objects<T: Send + 'static>(
        &self,
        caller: &Caller,
        kind: Kind,
        owner: &str,
        page: ObjectPage,
        render: impl FnOnce(Vec<Stored>) -> T + Send + 'static,
    ) -> Result<T, ListError> {
        let tenant = caller.tenant.id;
        if page.is_short() {
            let listed = self.catalogue.list(tenant, kind, Some(owner), page).await?;
            return Ok(render(listed));
        }
        let (catalogue, owner) = (Arc::clone(&self.catalogue), owner.to_owned());
        let read = async move { catalogue.list(tenant, kind, Some(&owner), page).await };
        self.in_turn(caller, read, render).await
    }

    /// A page of what happened to the objects of one owner, latest first, rendered by `render`. It is
    /// always read and rendered as a long list is.
    ///
    /// # Errors
    /// As of [`Lists::objects`].
    pub async fn activity<T: Send + 'static>(
        &self,
        caller: &Caller,
        kind: Kind,
        owner: &str,
        page: Page,
        render: impl FnOnce(Vec<Activity>) -> T + Send + 'static,
    ) -> Result<T, ListError> {
        let (catalogue, owner) = (Arc::clone(&self.catalogue), owner.to_owned());
        let tenant = caller.tenant.id;
        let read = async move { catalogue.activity(tenant, Some(kind), &owner, page).await };
        self.in_turn(caller, read, render).await
    }

    async fn in_turn<R: Send + 'static, T: Send + 'static>(
        &self,
        caller: &Caller,
        read: impl Future<Output = Result<R, StoreError>> + Send + 'static,
        render: impl FnOnce(R) -> T + Send + 'static,
    ) -> Result<T, ListError> {
        let reader = (caller.tenant.id, caller.kind, caller.id.clone());
        // Who hangs up before the turn has come leaves the queue.
        let slot = self.queue.slot(reader).await?;
        // Who hangs up afterwards drops this function, and not the task, which has the slot.
        self.threads.run(take_turn(slot, read, render)).await?
    }
}

async fn take_turn<R: Send + 'static, T: Send + 'static>(
    slot: Slot<Reader>,
    read: impl Future<Output = Result<R, StoreError>>,
    render: impl FnOnce(R) -> T + Send + 'static,
) -> Result<T, ListError> {
    let listed = read.await?;
    let rendered = spawn_blocking(move || {
        let rendered = render(listed);
        drop(slot);
        rendered
    });
    Ok(rendered.await?)
}
