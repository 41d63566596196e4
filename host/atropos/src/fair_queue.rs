//! Fair queueing: slots that are shared by time between keys, such as tenants or callers.
//!
//! A slot goes to the key that has used least of them of late, so that a key with a thousand requests
//! and one with a single request each get the same share. This is start-time fair queueing (Goyal,
//! Vin and Cheng, 1996) with costs that are known only afterwards: a grant is charged with what the
//! key's last slot cost, and corrected when the slot is given back.
//!
//! **Invariant:** a key that waits is granted a slot before any key that has used more time than it
//! since both began to wait.
//! **Invariant:** each request that waits has a place in a [`Room`], which one key never fills.

mod room;
pub mod round_robin;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

pub use self::room::{Place, Room};

/// What a key is charged for its first slot until that is given back.
const FIRST_COST: Duration = Duration::from_millis(1);

/// From so many keys on, those that neither wait nor have used more than others are forgotten.
const KEYS_KEPT: usize = 256;

/// Slots and who waits for them. Cheap to clone.
pub struct FairQueue<K: Key> {
    state: Arc<Mutex<State<K>>>,
    room: Room<K>,
}

/// What slots are shared between.
pub trait Key: Clone + Eq + Hash + Send + 'static {}
impl<K: Clone + Eq + Hash + Send + 'static> Key for K {}

/// The right to run. The time until it is dropped is charged to its key.
pub struct Slot<K: Key> {
    queue: FairQueue<K>,
    key: K,
    began: Instant,
    charged: Duration,
}

/// More requests of a key wait than there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests wait for a slot already")]
pub struct Full;

struct State<K: Key> {
    free: usize,
    /// The virtual time: where the key stood that was granted a slot last.
    now: Duration,
    next: u64,
    shares: HashMap<K, Share<K>>,
    /// The keys that wait, by what they have used and then by when they came.
    order: BTreeMap<(Duration, u64), K>,
}

/// What is known of one key.
struct Share<K: Key> {
    /// How much it has used, in virtual time.
    used: Duration,
    last_cost: Duration,
    running: usize,
    waiting: VecDeque<Waiter<K>>,
    /// Where it stands in the order, while it waits.
    place: Option<(Duration, u64)>,
}

struct Waiter<K: Key> {
    number: u64,
    tell: oneshot::Sender<Slot<K>>,
    _place: Place<K>,
}

impl<K: Key> Clone for FairQueue<K> {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            room: self.room.clone(),
        }
    }
}

impl<K: Key> FairQueue<K> {
    /// So many slots, at least one, and room for those that wait for one.
    pub fn new(slots: usize, room: Room<K>) -> Self {
        let state = State {
            free: slots.max(1),
            now: Duration::ZERO,
            next: 0,
            shares: HashMap::new(),
            order: BTreeMap::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            room,
        }
    }

    /// Waits for a slot. Who stops waiting leaves the queue.
    ///
    /// # Errors
    /// [`Full`]: too many requests of this key wait already, for all that there are of others.
    pub async fn slot(&self, key: K) -> Result<Slot<K>, Full> {
        let (tell, granted) = oneshot::channel();
        let number = {
            let mut state = self.state.lock();
            if state.free > 0 && state.order.is_empty() {
                let charged = state.grant(&key);
                return Ok(self.begin(key, charged));
            }
            let place = self.room.place(key.clone())?;
            state.wait(&key, tell, place)
        };
        let _waiting = Waiting {
            queue: self,
            key: &key,
            number,
        };
        // A sender is dropped unsent only together with its place in the queue.
        granted.await.map_err(|_| Full)
    }

    fn begin(&self, key: K, charged: Duration) -> Slot<K> {
        Slot {
            queue: self.clone(),
            key,
            began: Instant::now(),
            charged,
        }
    }

    /// Takes a slot back that cost so much, and grants it to the next who waits.
    fn give_back(&self, key: &K, charged: Duration, cost: Duration) {
        let mut granted = Vec::new();
        let mut state = self.state.lock();
        state.settle(key, charged, cost);
        while state.free > 0
            && let Some((next, waiter)) = state.pop()
        {
            let charged = state.grant(&next);
            granted.push((waiter.tell, self.begin(next, charged)));
        }
        drop(state);
        for (tell, slot) in granted {
            // If its waiter gave up at this moment the slot is dropped, which gives it back.
            drop(tell.send(slot));
        }
    }
}

impl<K: Key> Drop for Slot<K> {
    fn drop(&mut self) {
        let cost = self.began.elapsed();
        self.queue.give_back(&self.key, self.charged, cost);
    }
}

/// A place in the queue, which is left when this is dropped.
struct Waiting<'a, K: Key> {
    queue: &'a FairQueue<K>,
    key: &'a K,
    number: u64,
}

impl<K: Key> Drop for Waiting<'_, K> {
    fn drop(&mut self) {
        self.queue.state.lock().leave(self.key, self.number);
    }
}

impl<K: Key> State<K> {
    fn share(&mut self, key: &K) -> &mut Share<K> {
        let now = self.now;
        let share = self.shares.entry(key.clone()).or_insert_with(|| Share {
            used: now,
            last_cost: FIRST_COST,
            running: 0,
            waiting: VecDeque::new(),
            place: None,
        });
        if share.running == 0 && share.waiting.is_empty() {
            // Who used nothing for a while saves nothing up.
            share.used = share.used.max(now);
        }
        share
    }

    fn wait(&mut self, key: &K, tell: oneshot::Sender<Slot<K>>, place: Place<K>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.share(key).waiting.push_back(Waiter {
            number,
            tell,
            _place: place,
        });
        self.stand(key, number);
        number
    }

    /// Puts a key where it belongs in the order, or takes it out if nothing of it waits.
    fn stand(&mut self, key: &K, number: u64) {
        let Some(share) = self.shares.get_mut(key) else {
            return;
        };
        let number = share.place.map_or(number, |(_, number)| number);
        let place = (!share.waiting.is_empty()).then_some((share.used, number));
        let before = std::mem::replace(&mut share.place, place);
        if let Some(before) = before {
            self.order.remove(&before);
        }
        if let Some(place) = place {
            self.order.insert(place, key.clone());
        }
    }

    /// The request that is next; its key stays where it stood until it is granted a slot.
    fn pop(&mut self) -> Option<(K, Waiter<K>)> {
        let (_, key) = self.order.first_key_value()?;
        let key = key.clone();
        let share = self.shares.get_mut(&key)?;
        let waiter = share.waiting.pop_front()?;
        Some((key, waiter))
    }

    /// Takes a slot for a key, and tells what that is charged with.
    fn grant(&mut self, key: &K) -> Duration {
        self.free = self.free.saturating_sub(1);
        let share = self.share(key);
        let (stood, charged) = (share.used, share.last_cost);
        share.running += 1;
        share.used += charged;
        self.now = self.now.max(stood);
        let number = self.next;
        self.next += 1;
        self.stand(key, number);
        charged
    }

    fn settle(&mut self, key: &K, charged: Duration, cost: Duration) {
        self.free += 1;
        if let Some(share) = self.shares.get_mut(key) {
            share.running = share.running.saturating_sub(1);
            share.used = share.used.saturating_sub(charged) + cost;
            if cost > Duration::ZERO {
                share.last_cost = cost;
            }
        }
        self.stand(key, 0);
        self.forget();
    }

    /// Takes a request out, if it still waits.
    fn leave(&mut self, key: &K, number: u64) {
        let Some(share) = self.shares.get_mut(key) else {
            return;
        };
        let before = share.waiting.len();
        share.waiting.retain(|waiter| waiter.number != number);
        if share.waiting.len() < before {
            self.stand(key, number);
            self.forget();
        }
    }

    fn forget(&mut self) {
        let now = self.now;
        let idle = |share: &Share<K>| share.running == 0 && share.waiting.is_empty();
        if self.order.is_empty() && self.shares.values().all(idle) {
            self.shares.clear();
        } else if self.shares.len() > KEYS_KEPT {
            self.shares
                .retain(|_, share| !idle(share) || share.used > now);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    type Queue = FairQueue<&'static str>;

    /// One slot, and room for so many.
    fn queue(room: usize) -> Queue {
        Queue::new(1, Room::new(room))
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Grants slots one after the other, each of which costs what `cost` says of its key, and tells
    /// the keys in the order of their grants.
    fn order(
        queue: &Queue,
        cost: impl Fn(&str) -> Duration,
        waiting: Vec<&'static str>,
    ) -> Vec<&'static str> {
        let mut running = queue.slot("first").now_or_never().unwrap().ok();
        let mut futures: Vec<_> = waiting
            .into_iter()
            .map(|key| Box::pin(queue.slot(key)))
            .collect();
        for future in &mut futures {
            assert!(
                future.as_mut().now_or_never().is_none(),
                "the slot is taken"
            );
        }
        let mut order = Vec::new();
        while let Some(slot) = running.take() {
            // Time is a parameter of what counts: nothing here takes any.
            let (key, charged) = (slot.key, slot.charged);
            std::mem::forget(slot);
            queue.give_back(&key, charged, cost(key));
            let mut next = None;
            futures.retain_mut(|future| match future.as_mut().now_or_never() {
                None => true,
                Some(granted) => {
                    next = granted.ok();
                    false
                }
            });
            order.extend(next.as_ref().map(|slot| slot.key));
            running = next;
        }
        order
    }

    #[test]
    fn whoever_used_least_is_next_however_many_requests_another_has() {
        let queue = queue(100);
        let waiting = vec!["hog", "hog", "hog", "hog", "meek"];
        assert_eq!(
            order(&queue, |_| ms(5), waiting),
            ["hog", "meek", "hog", "hog", "hog"]
        );
    }

    #[test]
    fn shares_are_of_time_and_not_of_requests() {
        let queue = queue(100);
        let cost = |key: &str| ms(if key == "slow" { 100 } else { 10 });
        let waiting = [vec!["slow"; 3], vec!["quick"; 12]].concat();
        let order = order(&queue, cost, waiting);
        let second = order.iter().skip(1).position(|key| *key == "slow");
        assert!(
            second.is_some_and(|quick| quick >= 9),
            "ten quick ones cost what one slow one does: {order:?}"
        );
    }

    #[test]
    fn whoever_comes_late_has_saved_nothing_up() {
        let queue = queue(100);
        order(&queue, |_| ms(1000), vec!["old"; 5]);
        let waiting = [vec!["old"; 2], vec!["new"; 2]].concat();
        assert_eq!(
            order(&queue, |_| ms(10), waiting),
            ["old", "new", "old", "new"]
        );
    }

    #[test]
    fn whoever_stops_waiting_leaves_nothing_behind() {
        let queue = queue(2);
        let running = queue.slot("first").now_or_never().unwrap();
        for _ in 0..10 {
            let mut slot = Box::pin(queue.slot("gone"));
            assert!(slot.as_mut().now_or_never().is_none());
        }
        assert_eq!(queue.room.taken(), 0);
        drop(running);
        assert!(queue.slot("next").now_or_never().unwrap().is_ok());
        assert!(queue.state.lock().shares.is_empty(), "a key is remembered");
    }

    #[test]
    fn a_slot_that_nobody_takes_goes_to_the_next() {
        let queue = queue(10);
        let running = queue.slot("first").now_or_never().unwrap();
        let mut gone = Box::pin(queue.slot("gone"));
        let mut next = Box::pin(queue.slot("next"));
        assert!(gone.as_mut().now_or_never().is_none());
        assert!(next.as_mut().now_or_never().is_none());
        drop(running);
        drop(gone);
        assert!(next.as_mut().now_or_never().unwrap().is_ok());
    }
}
