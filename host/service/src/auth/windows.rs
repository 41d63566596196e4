//! What was tried at each subject within a window.
//!
//! **Invariant:** when all places are taken, the window with the fewest guesses goes for a new one, and
//! none that has as many as are checked. So naming many subjects ends no window that keeps guesses off;
//! if each of them does, a new subject has to wait.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The beginning of a credential's digest: enough to tell guesses apart.
pub(super) type Guess = [u8; 8];

/// What was tried of late at subjects of the type `S`.
pub(super) struct Windows<S> {
    capacity: usize,
    length: Duration,
    state: Mutex<State<S>>,
}

/// A guess is not to be checked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany {
    /// How long to wait.
    pub(super) left: Duration,
    /// Whether it is the first of its window.
    pub(super) first: bool,
}

struct State<S> {
    windows: HashMap<S, Window>,
    /// The subjects by how much was tried.
    by_guesses: BTreeMap<(usize, u64), S>,
    /// The subjects by when their windows began.
    by_age: BTreeMap<u64, S>,
    next: u64,
}

/// What was tried at one subject since the first credential that was not known.
struct Window {
    number: u64,
    began: Instant,
    /// How many are checked.
    most: usize,
    /// Those that were wrong or are being checked.
    guesses: Vec<Guess>,
    warned: bool,
}

impl<S: Copy + Eq + Hash> Windows<S> {
    pub(super) fn new(capacity: usize, length: Duration) -> Self {
        let state = State {
            windows: HashMap::new(),
            by_guesses: BTreeMap::new(),
            by_age: BTreeMap::new(),
            next: 0,
        };
        Self {
            capacity,
            length,
            state: Mutex::new(state),
        }
    }

    /// Counts a guess at a subject, of which `most` different ones are checked within a window. The same
    /// again counts once.
    pub(super) fn attempt(&self, subject: S, guess: Guess, most: usize) -> Result<(), TooMany> {
        let mut state = self.state.lock();
        state.end_old(self.length);
        if !state.windows.contains_key(&subject) {
            if state.windows.len() >= self.capacity {
                state.make_room(self.length)?;
            }
            state.begin(subject, most);
        }
        let Some(window) = state.windows.get_mut(&subject) else {
            return Ok(());
        };
        if window.guesses.len() >= most {
            return Err(TooMany {
                left: window.left(self.length),
                first: !std::mem::replace(&mut window.warned, true),
            });
        }
        if !window.guesses.contains(&guess) {
            window.guesses.push(guess);
            let (guesses, number) = (window.guesses.len(), window.number);
            state.by_guesses.remove(&(guesses - 1, number));
            state.by_guesses.insert((guesses, number), subject);
        }
        Ok(())
    }

    /// Takes a guess back that turned out to be none.
    pub(super) fn forgive(&self, subject: S, guess: Guess) {
        let mut state = self.state.lock();
        let Some(window) = state.windows.get_mut(&subject) else {
            return;
        };
        let (before, number) = (window.guesses.len(), window.number);
        window.guesses.retain(|known| *known != guess);
        let guesses = window.guesses.len();
        state.by_guesses.remove(&(before, number));
        state.by_guesses.insert((guesses, number), subject);
    }
}

impl Window {
    fn left(&self, length: Duration) -> Duration {
        length.saturating_sub(self.began.elapsed())
    }
}

impl<S: Copy + Eq + Hash> State<S> {
    fn begin(&mut self, subject: S, most: usize) {
        let number = self.next;
        self.next += 1;
        let window = Window {
            number,
            began: Instant::now(),
            most,
            guesses: Vec::new(),
            warned: false,
        };
        self.windows.insert(subject, window);
        self.by_guesses.insert((0, number), subject);
        self.by_age.insert(number, subject);
    }

    fn end(&mut self, subject: S) {
        if let Some(window) = self.windows.remove(&subject) {
            self.by_guesses
                .remove(&(window.guesses.len(), window.number));
            self.by_age.remove(&window.number);
        }
    }

    fn end_old(&mut self, length: Duration) {
        while let Some((_, subject)) = self.by_age.first_key_value() {
            let subject = *subject;
            let window = self.windows.get(&subject);
            if window.is_some_and(|window| window.left(length) > Duration::ZERO) {
                return;
            }
            self.end(subject);
        }
    }

    /// Ends the window with the fewest guesses.
    fn make_room(&mut self, length: Duration) -> Result<(), TooMany> {
        let Some((&(guesses, _), &subject)) = self.by_guesses.first_key_value() else {
            return Ok(());
        };
        let fewest = self.windows.get(&subject);
        if fewest.is_some_and(|window| guesses < window.most) {
            self.end(subject);
            return Ok(());
        }
        let oldest = self.by_age.values().next();
        let oldest = oldest.and_then(|subject| self.windows.get(subject));
        Err(TooMany {
            left: oldest.map_or(length, |window| window.left(length)),
            first: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const MOST: usize = 3;

    fn guess(nth: u32) -> Guess {
        u64::from(nth).to_be_bytes()
    }

    /// How many of so many guesses at a subject are checked.
    fn checked(windows: &Windows<u32>, subject: u32, guesses: u32) -> usize {
        let attempts = (0..guesses).map(|nth| windows.attempt(subject, guess(nth), MOST));
        attempts.filter(Result::is_ok).count()
    }

    #[test]
    fn naming_many_subjects_ends_no_window_that_keeps_guesses_off() {
        let windows = Windows::new(100, HOUR);
        assert_eq!(checked(&windows, 0, 10), MOST);
        for other in 1..10_000 {
            assert_eq!(checked(&windows, other, 1), 1);
        }
        assert_eq!(checked(&windows, 0, 10), 0);
        // What is half used up stays longer than what is hardly begun.
        checked(&windows, 20_000, 2);
        for other in 30_000..40_000 {
            checked(&windows, other, 1);
        }
        let later = (10..13).map(|nth| windows.attempt(20_000, guess(nth), MOST));
        assert_eq!(later.filter(Result::is_ok).count(), 1);
        let state = windows.state.lock();
        assert_eq!(state.windows.len(), 100);
        assert_eq!((state.by_guesses.len(), state.by_age.len()), (100, 100));
    }

    #[test]
    fn where_every_window_keeps_guesses_off_a_new_subject_waits() {
        let windows = Windows::new(10, HOUR);
        for subject in 0..10 {
            checked(&windows, subject, 5);
        }
        let refused = windows.attempt(10, guess(1), MOST).unwrap_err();
        assert!(refused.left > Duration::ZERO && refused.left <= HOUR);
        for subject in 0..10 {
            assert_eq!(checked(&windows, subject, 1), 0);
        }
        windows.forgive(3, guess(1));
        assert_eq!(checked(&windows, 10, 1), 1);
    }

    #[test]
    fn a_window_that_is_over_makes_room_by_itself() {
        let windows = Windows::new(2, Duration::ZERO);
        for subject in 0..10 {
            assert_eq!(checked(&windows, subject, 5), 5, "each begins anew");
        }
        assert!(windows.state.lock().windows.len() <= 1);
    }
}
