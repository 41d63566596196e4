//! Room for so many who wait, or for so much that is kept for them, shared between keys by a dynamic
//! threshold.
//!
//! **Invariant:** a key has at most twice as many places as are left over. So one key alone has at most
//! two thirds of the room, each of `n` keys that ask for more than they get has `2 / (2n + 1)` of it, and
//! a key that comes later finds some.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Full, Key};

/// Room for waiting. Cheap to clone.
pub struct Room<K: Key>(Arc<Mutex<Places<K>>>);

/// One or more places of one key, given back when this is dropped.
pub struct Place<K: Key> {
    room: Room<K>,
    key: K,
    count: usize,
}

struct Places<K> {
    left: usize,
    taken: HashMap<K, usize>,
}

impl<K: Key> Clone for Room<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Key> Room<K> {
    /// Room for so many.
    pub fn new(places: usize) -> Self {
        Self(Arc::new(Mutex::new(Places {
            left: places,
            taken: HashMap::new(),
        })))
    }

    /// Takes a place.
    ///
    /// # Errors
    /// [`Full`]: the key has twice as many as are left over.
    pub fn place(&self, key: K) -> Result<Place<K>, Full> {
        self.places(key, 1)
    }

    /// Takes `count` places at once, as if they were taken one by one, or none.
    ///
    /// # Errors
    /// [`Full`]: the key would come to have more than twice as many as are left over.
    pub fn places(&self, key: K, count: usize) -> Result<Place<K>, Full> {
        let mut places = self.0.lock();
        let taken = places.taken.get(&key).copied().unwrap_or_default();
        let left = places.left.checked_sub(count).ok_or(Full)?;
        // What is left over before the last of them is taken.
        let last = left.saturating_add(1).saturating_mul(2);
        if count > 0 && taken.saturating_add(count) > last {
            return Err(Full);
        }
        places.left = left;
        places.taken.insert(key.clone(), taken + count);
        drop(places);
        Ok(Place {
            room: self.clone(),
            key,
            count,
        })
    }

    /// How many places are taken.
    #[cfg(test)]
    pub fn taken(&self) -> usize {
        self.0.lock().taken.values().sum()
    }
}

impl<K: Key> Drop for Place<K> {
    fn drop(&mut self) {
        let mut places = self.room.0.lock();
        places.left += self.count;
        if let Some(taken) = places.taken.get_mut(&self.key) {
            *taken -= self.count;
            if *taken == 0 {
                places.taken.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many places a key gets, added to those that are kept.
    fn fill(room: &Room<u32>, key: u32, kept: &mut Vec<Place<u32>>) -> usize {
        let before = kept.len();
        kept.extend(std::iter::from_fn(|| room.place(key).ok()));
        kept.len() - before
    }

    #[test]
    fn each_of_those_that_want_more_has_a_like_part_of_the_room() {
        let room = Room::new(105);
        let mut kept = Vec::new();
        assert_eq!(fill(&room, 1, &mut kept), 70, "two thirds");
        assert_eq!(fill(&room, 2, &mut kept), 24, "two thirds of what is left");
        // As places are given back they are shared anew.
        for _ in 0..200 {
            for key in [1, 2, 3] {
                let first = kept.iter().position(|place| place.key == key);
                drop(first.map(|first| kept.remove(first)));
                fill(&room, key, &mut kept);
            }
        }
        let of = |key| kept.iter().filter(|place| place.key == key).count();
        assert_eq!([of(1), of(2), of(3)], [30, 30, 30], "2 of 7 parts each");
    }

    #[test]
    fn however_many_keys_there_are_the_next_finds_a_place() {
        let room = Room::new(120);
        let mut kept = Vec::new();
        for key in 0..100 {
            assert!(
                fill(&room, key, &mut kept) >= 1 || kept.len() >= 119,
                "{key}"
            );
        }
    }

    #[test]
    fn many_places_at_once_are_as_many_as_one_by_one() {
        for count in 0..20 {
            let (at_once, one_by_one) = (Room::new(15), Room::new(15));
            let places: Result<Vec<_>, _> = (0..count).map(|_| one_by_one.place(1)).collect();
            let place = at_once.places(1, count);
            assert_eq!(place.is_ok(), places.is_ok(), "{count}");
            let taken = if count <= 10 { count } else { 0 };
            assert_eq!(at_once.taken(), taken);
            drop((place, places));
            assert_eq!((at_once.taken(), one_by_one.taken()), (0, 0));
        }
    }

    #[test]
    fn a_place_that_is_given_back_leaves_nothing_behind() {
        let room = Room::new(2);
        for _ in 0..10 {
            drop(room.place(1));
        }
        assert_eq!(room.taken(), 0);
        assert!(room.0.lock().taken.is_empty());
    }
}
