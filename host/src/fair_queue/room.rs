//! Room for so many who wait, shared between keys by a dynamic threshold.
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

/// A place of one key, given back when it is dropped.
pub struct Place<K: Key> {
    room: Room<K>,
    key: K,
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
        let mut places = self.0.lock();
        let taken = places.taken.get(&key).copied().unwrap_or_default();
        if taken >= places.left.saturating_mul(2) {
            return Err(Full);
        }
        places.left -= 1;
        places.taken.insert(key.clone(), taken + 1);
        drop(places);
        Ok(Place {
            room: self.clone(),
            key,
        })
    }

    /// How many places are taken.
    pub fn taken(&self) -> usize {
        self.0.lock().taken.values().sum()
    }
}

impl<K: Key> Drop for Place<K> {
    fn drop(&mut self) {
        let mut places = self.room.0.lock();
        places.left += 1;
        if let Some(taken) = places.taken.get_mut(&self.key) {
            *taken -= 1;
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
    fn a_place_that_is_given_back_leaves_nothing_behind() {
        let room = Room::new(2);
        for _ in 0..10 {
            drop(room.place(1));
        }
        assert_eq!(room.taken(), 0);
        assert!(room.0.lock().taken.is_empty());
    }
}
