//! A set of so many keys at most, each of which belongs to an owner.
//!
//! **Invariant:** when the set is full, a key of the owner that has most goes for the new one. So an
//! owner that has no more than its part of the set loses nothing to another, however many keys that adds.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::fair_queue::Key;

/// How many keys of an owner are passed over at most, because they were used lately, before one goes.
const SECOND_CHANCES: usize = 16;

/// A set of keys, each with an owner.
pub struct FairCache<O: Key, K: Key> {
    capacity: usize,
    /// How long a key is kept that is not used.
    idle: Duration,
    state: Mutex<State<O, K>>,
}

struct State<O, K> {
    entries: HashMap<K, Entry>,
    owners: HashMap<O, Owned<K>>,
    /// The owners by how many keys each has.
    by_size: BTreeMap<(usize, u64), O>,
    next: u64,
}

struct Entry {
    used_at: Instant,
    /// Whether it was used since it was looked at to make room.
    used: bool,
}

/// The keys of one owner, the next to go first.
struct Owned<K> {
    number: u64,
    keys: VecDeque<K>,
}

impl<O: Key, K: Key> FairCache<O, K> {
    /// An empty set, with room for so many keys. What is not used for `idle` is not in it any more.
    pub fn new(capacity: usize, idle: Duration) -> Self {
        let state = State {
            entries: HashMap::new(),
            owners: HashMap::new(),
            by_size: BTreeMap::new(),
            next: 0,
        };
        Self {
            capacity: capacity.max(1),
            idle,
            state: Mutex::new(state),
        }
    }

    /// Whether the key is there, which counts as a use of it.
    pub fn contains(&self, key: &K) -> bool {
        let mut state = self.state.lock();
        let Some(entry) = state.entries.get_mut(key) else {
            return false;
        };
        if entry.used_at.elapsed() >= self.idle {
            return false;
        }
        entry.used_at = Instant::now();
        entry.used = true;
        true
    }

    /// Adds a key of this owner. One that is there already stays with the owner that it has.
    pub fn insert(&self, owner: O, key: K) {
        let mut state = self.state.lock();
        if let Some(entry) = state.entries.get_mut(&key) {
            entry.used_at = Instant::now();
            return;
        }
        if state.entries.len() >= self.capacity {
            state.make_room(self.idle);
        }
        state.add(owner, key);
    }
}

impl<O: Key, K: Key> State<O, K> {
    fn add(&mut self, owner: O, key: K) {
        let next = &mut self.next;
        let owned = self.owners.entry(owner.clone()).or_insert_with(|| {
            *next += 1;
            Owned {
                number: *next,
                keys: VecDeque::new(),
            }
        });
        let (size, number) = (owned.keys.len(), owned.number);
        owned.keys.push_back(key.clone());
        self.by_size.remove(&(size, number));
        self.by_size.insert((size + 1, number), owner);
        let entry = Entry {
            used_at: Instant::now(),
            used: false,
        };
        self.entries.insert(key, entry);
    }

    /// Takes away one key of the owner that has most.
    fn make_room(&mut self, idle: Duration) {
        let Some(((size, number), owner)) = self.by_size.pop_last() else {
            return;
        };
        let Some(owned) = self.owners.get_mut(&owner) else {
            return;
        };
        for chance in 0..=SECOND_CHANCES {
            let Some(key) = owned.keys.pop_front() else {
                break;
            };
            if chance < SECOND_CHANCES
                && let Some(entry) = self.entries.get_mut(&key)
                && std::mem::replace(&mut entry.used, false)
                && entry.used_at.elapsed() < idle
            {
                owned.keys.push_back(key);
                continue;
            }
            self.entries.remove(&key);
            break;
        }
        if owned.keys.is_empty() {
            self.owners.remove(&owner);
        } else {
            self.by_size.insert((size.saturating_sub(1), number), owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn left(cache: &FairCache<&'static str, u32>, keys: std::ops::Range<u32>) -> Vec<u32> {
        let state = cache.state.lock();
        keys.filter(|key| state.entries.contains_key(key)).collect()
    }

    #[test]
    fn an_owner_that_adds_without_end_pushes_out_nobody_else_s() {
        let cache = FairCache::new(100, DAY);
        for key in 0..20 {
            cache.insert("other", key);
        }
        for key in 1000..9000 {
            cache.insert("greedy", key);
        }
        assert_eq!(left(&cache, 0..20).len(), 20);
        assert_eq!(left(&cache, 1000..9000), (8920..9000).collect::<Vec<_>>());
        cache.insert("third", 20);
        assert!(cache.contains(&20), "one that comes later finds room");
        assert_eq!(left(&cache, 0..20).len(), 20);
    }

    #[test]
    fn owners_that_add_without_end_have_like_parts() {
        let cache = FairCache::new(90, DAY);
        for round in 0..1000 {
            for (owner, first) in [("a", 10_000), ("b", 20_000), ("c", 30_000)] {
                cache.insert(owner, first + round);
            }
        }
        for first in [10_000, 20_000, 30_000] {
            assert_eq!(left(&cache, first..first + 1000).len(), 30);
        }
        let state = cache.state.lock();
        let sizes: usize = state.by_size.keys().map(|(size, _)| size).sum();
        assert_eq!((state.entries.len(), sizes), (90, 90));
    }

    #[test]
    fn what_was_used_lately_goes_after_what_was_not() {
        let cache = FairCache::new(10, DAY);
        for key in 0..10 {
            cache.insert("one", key);
        }
        assert!(cache.contains(&0) && cache.contains(&1));
        for key in 10..14 {
            cache.insert("one", key);
        }
        assert_eq!(left(&cache, 0..6), [0, 1]);
    }

    #[test]
    fn what_is_not_used_for_long_is_not_there_any_more() {
        let cache = FairCache::new(10, Duration::ZERO);
        cache.insert("one", 1);
        assert!(!cache.contains(&1));
    }

    #[test]
    fn an_owner_whose_last_key_went_leaves_nothing_behind() {
        let cache = FairCache::new(1, DAY);
        for (owner, key) in [("a", 1), ("b", 2), ("c", 3)] {
            cache.insert(owner, key);
        }
        let state = cache.state.lock();
        assert_eq!((state.owners.len(), state.by_size.len()), (1, 1));
    }
}
