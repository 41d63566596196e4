//! Budgets: how many deletes a tenant, or one caller of it, may have within a window of time.
//!
//! A budget is counted from when it has a limit; what has none is not counted.
//!
//! **Invariant:** a clock that is set back opens no new budget.

use serde::Serialize;

use crate::config::Budget;
use crate::target::{Scope, Window};

const SECOND_MS: u64 = 1000;
const DAY_MS: u64 = 24 * 3600 * SECOND_MS;

/// How long a count is kept from the beginning of its window.
const KEPT_MS: u64 = 14 * DAY_MS;

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

impl Spent {
    /// What the latest count of a window comes to at `at_ms`; nothing if that window is over.
    pub fn at(at_ms: u64, caller: Option<String>, window: Window, latest: Count) -> Option<Self> {
        let count = Count::at(window, at_ms, Some(latest));
        (count.deletes > 0).then(|| Self {
            caller,
            window,
            deletes: count.deletes,
            until_ms: count.until_ms(window),
        })
    }
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

/// One budget as it is for a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Whose deletes.
    pub scope: Scope,
    /// Within which time.
    pub window: Window,
    /// How many; 0 is unlimited.
    pub deletes: u64,
    /// Whether it was set for this tenant, and not by the configuration for all.
    pub is_own: bool,
}

/// Every budget of a tenant: what was set for it, else what is configured for all.
pub fn in_force(configured: &Budget, limits: &[Limit]) -> impl Iterator<Item = InForce> {
    let budgets = Scope::ALL
        .into_iter()
        .flat_map(|scope| Window::ALL.map(|window| (scope, window)));
    budgets.map(move |(scope, window)| {
        let mut set = limits.iter();
        let set = set.find(|limit| (limit.scope, limit.window) == (scope, window));
        let own = set.and_then(|limit| limit.deletes);
        InForce {
            scope,
            window,
            deletes: own.unwrap_or_else(|| configured.deletes(scope, window)),
            is_own: own.is_some(),
        }
    })
}

/// The limited budgets that one erasure counts against, with what is spent of them.
///
/// **Invariant:** only a committed erasure is counted, and none is committed beyond a limit.
#[derive(Clone, Debug)]
pub struct Account(Vec<Counted>);

#[derive(Clone, Copy, Debug)]
struct Counted {
    budget: InForce,
    /// What counts now.
    count: Count,
    /// Whether it was taken over from a window that a clock set back left ahead.
    is_taken_over: bool,
}

/// A count to be written, in place of the one of its scope and window.
pub type Noted = (Scope, Window, Count);

impl Account {
    /// The account at `at_ms`, given the latest count of each limited budget.
    ///
    /// # Errors
    /// Those of `latest`.
    pub fn at<E>(
        at_ms: u64,
        configured: &Budget,
        limits: &[Limit],
        mut latest: impl FnMut(Scope, Window) -> Result<Option<Count>, E>,
    ) -> Result<Self, E> {
        let limited = in_force(configured, limits).filter(|budget| budget.deletes > 0);
        let counted = limited.map(|budget| {
            let latest = latest(budget.scope, budget.window)?;
            let count = Count::at(budget.window, at_ms, latest);
            Ok(Counted {
                budget,
                count,
                is_taken_over: latest.is_some_and(|latest| latest.start_ms > count.start_ms),
            })
        });
        Ok(Self(counted.collect::<Result<_, E>>()?))
    }

    /// The budget that leaves nothing; of several, the one that lasts longest.
    pub fn exhausted(&self) -> Option<Exhausted> {
        let used_up = |one: &&Counted| one.count.deletes >= one.budget.deletes;
        let exhausted = self.0.iter().filter(used_up).map(|one| Exhausted {
            scope: one.budget.scope,
            window: one.budget.window,
            until_ms: one.count.until_ms(one.budget.window),
        });
        exhausted.max_by_key(|one| one.until_ms)
    }

    /// What is to be written even if nothing is erased, or a count would be taken over again and again.
    pub fn taken_over(&self) -> impl Iterator<Item = Noted> {
        let taken_over = self.0.iter().filter(|one| one.is_taken_over);
        taken_over.map(|one| (one.budget.scope, one.budget.window, one.count))
    }

    /// What is to be written with the erasure.
    pub fn spent(&self) -> impl Iterator<Item = Noted> {
        self.0.iter().map(|one| {
            let deletes = one.count.deletes.saturating_add(1);
            let count = Count {
                deletes,
                ..one.count
            };
            (one.budget.scope, one.budget.window, count)
        })
    }

    /// Whether the erasure is the first that counts in a window: then counts may be forgotten that no
    /// clock set back by some days needs any more, those that began before the returned time.
    pub fn forgotten_ms(&self, at_ms: u64) -> Option<u64> {
        let is_first = |one: &Counted| one.count.deletes == 0;
        let anew = self.0.iter().any(is_first);
        anew.then(|| at_ms.saturating_sub(KEPT_MS))
    }
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
