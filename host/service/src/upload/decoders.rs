//! Turns at decoding photos.
//!
//! **Memory:** [`SLOTS`] pictures are decoded at once.
//!
//! **Invariant:** tenants share the slots by the time that they use them, so that one tenant's photos
//! keep another tenant's photo waiting for no longer than the pictures that are being decoded.
//! **Invariant:** a slot is free only when its decoder has come to its end, even if the client that
//! sent the photo has hung up.

use atropos::fair_queue::{self, FairQueue, Full, Room};
use atropos::target::TenantId;
use tokio::task::spawn_blocking;

/// How many pictures are decoded at once.
pub const SLOTS: usize = 2;

/// How many photos wait to be decoded at most, those of all tenants together. Their bytes wait on the
/// disk.
const WAITING: usize = 256;

/// The right to decode one picture.
pub(super) type Slot = fair_queue::Slot<TenantId>;

/// Who decodes, and who waits for that.
pub(super) struct Decoders {
    queue: FairQueue<TenantId>,
}

impl Decoders {
    pub(super) fn new() -> Self {
        Self {
            queue: FairQueue::new(SLOTS, Room::new(WAITING)),
        }
    }

    /// Waits for the tenant's turn.
    ///
    /// # Errors
    /// As many photos of this tenant wait as there is room for.
    pub(super) async fn slot(&self, tenant: TenantId) -> Result<Slot, Full> {
        self.queue.slot(tenant).await
    }
}

/// Does work in a slot, on a thread that serves nothing, and hands the slot back with its outcome. The
/// work and the slot go together where nobody waits for the outcome any more. `None` if it panicked.
pub(super) async fn run<T: Send + 'static>(
    slot: Slot,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<(T, Slot)> {
    spawn_blocking(move || (work(), slot)).await.ok()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::FutureExt as _;

    use super::*;

    const HOG: TenantId = TenantId(1);
    const MEEK: TenantId = TenantId(2);

    /// Takes every slot.
    async fn all(decoders: &Decoders, tenant: TenantId) -> Vec<Slot> {
        let mut slots = Vec::new();
        for _ in 0..SLOTS {
            slots.push(decoders.slot(tenant).await.unwrap());
        }
        slots
    }

    #[tokio::test]
    async fn a_photo_of_another_tenant_goes_before_those_that_wait_already() {
        let decoders = Decoders::new();
        let mut running = all(&decoders, HOG).await;
        let mut hogs: Vec<_> = (0..20).map(|_| Box::pin(decoders.slot(HOG))).collect();
        for waiting in &mut hogs {
            assert!(waiting.as_mut().now_or_never().is_none(), "no slot is free");
        }
        let mut meek = Box::pin(decoders.slot(MEEK));
        assert!(meek.as_mut().now_or_never().is_none(), "no slot is free");
        drop(running.pop());
        let next = meek.now_or_never();
        assert!(matches!(next, Some(Ok(_))), "its turn is next");
        assert!(
            hogs.iter_mut()
                .all(|one| one.as_mut().now_or_never().is_none())
        );
    }

    #[tokio::test]
    async fn a_client_that_hangs_up_frees_no_slot_while_its_decoder_goes_on() {
        let decoders = Decoders::new();
        let mut ends = Vec::new();
        for slot in all(&decoders, HOG).await {
            let (end, ended) = mpsc::channel::<()>();
            let (begin, begun) = tokio::sync::oneshot::channel();
            let mut decoding = Box::pin(run(slot, move || {
                begin.send(()).unwrap();
                ended.recv().unwrap_err();
            }));
            assert!(decoding.as_mut().now_or_never().is_none());
            begun.await.unwrap();
            drop(decoding);
            ends.push(end);
        }
        let mut next = Box::pin(decoders.slot(MEEK));
        assert!(next.as_mut().now_or_never().is_none(), "both still decode");
        drop(ends.pop());
        assert!(next.await.is_ok());
    }

    #[tokio::test]
    async fn one_tenant_does_not_take_all_the_room_for_waiting() {
        let decoders = Decoders::new();
        let _running = all(&decoders, HOG).await;
        let mut waiting = Vec::new();
        let refused = loop {
            let mut next = Box::pin(decoders.slot(HOG));
            match next.as_mut().now_or_never() {
                None => waiting.push(next),
                Some(outcome) => break outcome.err(),
            }
        };
        assert_eq!(refused, Some(Full));
        assert!(waiting.len() < WAITING);
        let other = decoders.slot(MEEK).now_or_never();
        assert!(other.is_none(), "another tenant waits");
    }
}
