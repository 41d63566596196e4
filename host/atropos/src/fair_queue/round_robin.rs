//! A queue that takes turns between keys: one of each, then the next of each.
//!
//! **Invariant:** an item waits for at most as many items of another key as are before it of its own.
//! **Invariant:** of items that are taken together, no more than 16 are of one key unless all are. So what
//! is done with all of them at once is done soon for whoever has one among them.
//! **Invariant:** each item has places in a [`Room`], by its size, so that one key never fills the queue.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Key, Place, Room};

/// How many items of one key are taken together with those of others.
const OF_EACH: usize = 16;

/// The end into which items are put. Cheap to clone.
pub struct Sender<K: Key, T>(Arc<Open<K, T>>);

/// The end from which items are taken.
pub struct Receiver<K: Key, T>(Arc<Shared<K, T>>);

/// Why an item is not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The key has as many items queued as there is room for.
    #[error("the queue is full")]
    Full,
    /// Nothing is taken from it any more.
    #[error("the queue is closed")]
    Closed,
}

/// A queue that has senders still; it closes when the last of them is dropped.
struct Open<K: Key, T>(Arc<Shared<K, T>>);

struct Shared<K: Key, T> {
    queued: Mutex<Queued<K, T>>,
    room: Room<K>,
    /// How many places one item has at most: one that is alone always finds them.
    most_places: usize,
    came: Notify,
}

struct Queued<K: Key, T> {
    items: HashMap<K, VecDeque<(T, Place<K>)>>,
    /// The keys that have items, the next one first.
    turns: VecDeque<K>,
    closed: bool,
}

/// A queue with room for so many items.
pub fn queue<K: Key, T>(places: usize) -> (Sender<K, T>, Receiver<K, T>) {
    let queued = Queued {
        items: HashMap::new(),
        turns: VecDeque::new(),
        closed: false,
    };
    let shared = Arc::new(Shared {
        queued: Mutex::new(queued),
        room: Room::new(places),
        most_places: (places / 2).max(1),
        came: Notify::new(),
    });
    let open = Arc::new(Open(Arc::clone(&shared)));
    (Sender(open), Receiver(shared))
}

impl<K: Key, T> Clone for Sender<K, T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Key, T> Sender<K, T> {
    /// Queues an item that is worth so many places, one at least and half of all at most.
    ///
    /// # Errors
    /// [`SendError`]; the item is dropped.
    pub fn try_send(&self, key: K, places: usize, item: T) -> Result<(), SendError> {
        let Open(shared) = &*self.0;
        let mut queued = shared.queued.lock();
        if queued.closed {
            return Err(SendError::Closed);
        }
        let places = places.clamp(1, shared.most_places);
        let place = shared.room.places(key.clone(), places);
        let place = place.map_err(|_| SendError::Full)?;
        let items = queued.items.entry(key.clone()).or_default();
        items.push_back((item, place));
        if items.len() == 1 {
            queued.turns.push_back(key);
        }
        drop(queued);
        shared.came.notify_one();
        Ok(())
    }
}

impl<K: Key, T> Drop for Open<K, T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<K: Key, T> Shared<K, T> {
    fn close(&self) {
        self.queued.lock().closed = true;
        self.came.notify_one();
    }

    fn take(&self, into: &mut Vec<T>, most: usize) {
        let mut queued = self.queued.lock();
        let rounds = if queued.turns.len() > 1 {
            OF_EACH
        } else {
            most
        };
        for _ in 0..rounds {
            for _ in 0..queued.turns.len() {
                if into.len() == most {
                    return;
                }
                into.extend(queued.next());
            }
        }
    }
}

impl<K: Key, T> Queued<K, T> {
    /// The next item of the key whose turn it is.
    fn next(&mut self) -> Option<T> {
        let key = self.turns.pop_front()?;
        let items = self.items.get_mut(&key)?;
        let item = items.pop_front();
        match items.is_empty() {
            true => drop(self.items.remove(&key)),
            false => self.turns.push_back(key),
        }
        item.map(|(item, _)| item)
    }
}

impl<K: Key, T> Receiver<K, T> {
    /// Takes what is queued, until `into` holds `most`; waits for the first of it. Returns how many were
    /// taken: none once the queue is closed and empty.
    pub async fn recv_many(&mut self, into: &mut Vec<T>, most: usize) -> usize {
        let before = into.len();
        loop {
            let came = self.0.came.notified();
            let closed = self.is_closed();
            self.0.take(into, most);
            let taken = into.len() - before;
            if taken > 0 || closed {
                return taken;
            }
            came.await;
        }
    }

    /// Takes on nothing new.
    pub fn close(&mut self) {
        self.0.close();
    }

    /// Whether nothing new is taken on.
    pub fn is_closed(&self) -> bool {
        self.0.queued.lock().closed
    }
}

impl<K: Key, T> Drop for Receiver<K, T> {
    fn drop(&mut self) {
        self.0.close();
        // Those that wait for their items are told at once.
        self.0.queued.lock().items.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keys_take_turns_however_many_items_one_has() {
        let (sender, mut receiver) = queue(100);
        for item in ["a1", "a2", "a3", "a4", "b1", "c1", "c2"] {
            sender.try_send(item.as_bytes()[0], 1, item).unwrap();
        }
        let mut taken = Vec::new();
        assert_eq!(receiver.recv_many(&mut taken, 4).await, 4);
        assert_eq!(taken, ["a1", "b1", "c1", "a2"]);
        sender.try_send(b'd', 1, "d1").unwrap();
        taken.clear();
        assert_eq!(receiver.recv_many(&mut taken, 100).await, 4);
        assert_eq!(taken, ["c2", "a3", "d1", "a4"]);
    }

    #[tokio::test]
    async fn one_key_has_a_bounded_part_of_what_is_taken_with_others() {
        let (sender, mut receiver) = queue(1000);
        let send = |key, count| {
            for _ in 0..count {
                sender.try_send(key, 1, key).unwrap();
            }
        };
        send('a', 100);
        send('b', 1);
        let mut taken = Vec::new();
        assert_eq!(receiver.recv_many(&mut taken, 256).await, OF_EACH + 1);
        assert_eq!(taken[..2], ['a', 'b']);
        taken.clear();
        let left = 100 - OF_EACH;
        assert_eq!(receiver.recv_many(&mut taken, 256).await, left, "alone");
        send('a', 100);
        send('b', 100);
        taken.clear();
        assert_eq!(receiver.recv_many(&mut taken, OF_EACH).await, OF_EACH);
    }

    #[tokio::test]
    async fn one_key_does_not_fill_the_queue() {
        let (sender, mut receiver) = queue(9);
        let fill = |key| {
            (0..)
                .take_while(|_| sender.try_send(key, 1, ()).is_ok())
                .count()
        };
        assert_eq!(fill(1), 6, "two thirds");
        assert_eq!(sender.try_send(1, 1, ()), Err(SendError::Full));
        assert!(fill(2) > 0, "another finds room");
        receiver.recv_many(&mut Vec::new(), 100).await;
        assert_eq!(fill(1), 6, "what was taken made room");
    }

    #[tokio::test]
    async fn a_large_item_has_the_places_of_several_and_one_that_is_alone_fits() {
        let (sender, mut receiver) = queue(9);
        for _ in 0..3 {
            sender.try_send(1, 100, ()).unwrap();
            assert_eq!(sender.try_send(1, 100, ()), Err(SendError::Full));
            sender.try_send(2, 1, ()).unwrap();
            assert_eq!(receiver.recv_many(&mut Vec::new(), 9).await, 2);
        }
    }

    #[tokio::test]
    async fn what_is_queued_is_taken_after_the_end_and_nothing_else() {
        let (sender, mut receiver) = queue(9);
        sender.try_send(1, 1, "last").unwrap();
        receiver.close();
        assert_eq!(sender.try_send(1, 1, "late"), Err(SendError::Closed));
        let mut taken = Vec::new();
        assert_eq!(receiver.recv_many(&mut taken, 9).await, 1);
        assert_eq!(receiver.recv_many(&mut taken, 9).await, 0);
        assert_eq!(taken, ["last"]);

        let (sender, mut receiver) = queue::<u8, ()>(9);
        let waiting = tokio::spawn(async move { receiver.recv_many(&mut Vec::new(), 1).await });
        tokio::task::yield_now().await;
        drop(sender.clone());
        drop(sender);
        assert_eq!(waiting.await.unwrap(), 0, "the last sender is gone");
    }
}
