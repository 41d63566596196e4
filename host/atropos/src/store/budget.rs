//! Budgets: how many deletes a tenant, or one caller of it, may have within a window of time.
//!
//! A budget is counted from when it has a limit; what has none is not counted.
//!
//! **Invariant:** a clock that is set back opens no new budget.

use serde::Serialize;

use crate::target::{Scope, Window};

const SECOND_MS: u64 = 1000;
const DAY_MS: u64 = 24 * 3600 * SECOND_MS;

/// From the first Monday of the epoch's calendar to its first day, which was a Thursday.
const MONDAY_TO_EPOCH_MS: u64 = 3 * DAY_MS;

/// A limit that the operator has set for one tenant, in place of the configuration's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Whose deletes.
    pub scope: Scope,
    /// Within which time.
    pub window: Window,
    /// How many; 0 is unlimited, and nothing is as many as the configuration says.
    pub deletes: Option<u64>,
}

/// What has been counted in a window that goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spent {
    /// Public id of the caller; nothing for all of the tenant together.
    pub caller: Option<String>,
    /// Within which time.
    pub window: Window,
    /// How many deletes.
    pub deletes: u64,
    /// When the window ends.
    pub until_ms: u64,
}

/// A budget that leaves nothing for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// Whose.
    pub scope: Scope,
    /// Which of its windows.
    pub window: Window,
    /// When that ends.
    pub until_ms: u64,
}

/// How many deletes one window has had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// When the window began, in milliseconds since the epoch.
    pub start_ms: u64,
    /// How many.
    pub deletes: u64,
}

impl Count {
    /// What counts at `at_ms`, given the latest window that was counted.
    ///
    /// By a clock that was set back, that window lies ahead. If it is the next one, counting goes on
    /// in it. If it is farther off, the clock had been wrong, and nobody should have to wait until it
    /// would have been right: the count is taken over into the window of now.
    pub fn at(window: Window, at_ms: u64, latest: Option<Self>) -> Self {
        let start_ms = start_ms(window, at_ms);
        let ahead = |latest: &Self| latest.start_ms.checked_sub(start_ms);
        match latest.and_then(|latest| Some((ahead(&latest)?, latest))) {
            None => Self {
                start_ms,
                deletes: 0,
            },
            Some((ahead, latest)) if ahead <= length_ms(window) => latest,
            Some((_, latest)) => Self { start_ms, ..latest },
        }
    }

    /// When the window ends.
    pub fn until_ms(self, window: Window) -> u64 {
        self.start_ms.saturating_add(length_ms(window))
    }
}

/// How long a window lasts.
fn length_ms(window: Window) -> u64 {
    match window {
        Window::Second => SECOND_MS,
        Window::Minute => 60 * SECOND_MS,
        Window::Hour => 3600 * SECOND_MS,
        Window::Day => DAY_MS,
        Window::Week => 7 * DAY_MS,
    }
}

/// When the window that `at_ms` lies in began; 0 for one that began before the epoch.
fn start_ms(window: Window, at_ms: u64) -> u64 {
    let offset = match window {
        Window::Week => MONDAY_TO_EPOCH_MS,
        _ => 0,
    };
    let into = at_ms.saturating_add(offset) % length_ms(window);
    at_ms.saturating_sub(into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(time: &str) -> u64 {
        let time: jiff::Timestamp = time.parse().unwrap();
        u64::try_from(time.as_millisecond()).unwrap()
    }

    #[test]
    fn a_window_begins_at_a_multiple_of_its_length_and_a_week_on_monday() {
        let table = [
            (
                Window::Second,
                "2026-11-22T23:59:59Z",
                "2026-11-23T00:00:00Z",
            ),
            (
                Window::Minute,
                "2026-11-22T23:59:00Z",
                "2026-11-23T00:00:00Z",
            ),
            (Window::Hour, "2026-11-22T23:00:00Z", "2026-11-23T00:00:00Z"),
            (Window::Day, "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"),
            // The 23rd was a Monday.
            (Window::Week, "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
        ];
        for (window, start, until) in table {
            let count = Count::at(window, ms("2026-11-22T23:59:59.999Z"), None);
            assert_eq!(count.start_ms, ms(start), "{window}");
            assert_eq!(count.until_ms(window), ms(until), "{window}");
            let next = Count::at(window, ms(until), None);
            assert_eq!(next.start_ms, ms(until), "{window}");
        }
        assert_eq!(start_ms(Window::Week, DAY_MS), 0);
        assert_eq!(start_ms(Window::Week, 4 * DAY_MS), 4 * DAY_MS);
    }

    #[test]
    fn what_was_counted_counts_until_the_window_ends_however_the_clock_is_set() {
        let noon = ms("2026-11-25T12:00:00Z");
        for window in Window::ALL {
            let length = length_ms(window);
            let start_ms = start_ms(window, noon);
            let spent = Count {
                start_ms,
                deletes: 5,
            };
            let at = |at_ms| Count::at(window, at_ms, Some(spent));
            // The clock, the start that is counted in, and how many count.
            let table = [
                (start_ms, start_ms, 5),
                (start_ms + length - 1, start_ms, 5),
                (start_ms + length, start_ms + length, 0),
                (start_ms + 10 * length, start_ms + 10 * length, 0),
                // Set back a little, the budget of then is still used up.
                (start_ms - 1, start_ms, 5),
                (start_ms - length, start_ms, 5),
                // Set back a lot, that of now is.
                (start_ms - length - 1, start_ms - 2 * length, 5),
                (start_ms - 10 * length, start_ms - 10 * length, 5),
            ];
            for (clock, start_ms, deletes) in table {
                let expected = Count { start_ms, deletes };
                assert_eq!(at(clock), expected, "{window} at {clock}");
            }
        }
    }
}
