//! Rows that cannot be read, and are passed over so that the others are served.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How often at most the log tells of the rows of one table.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// When the log told last, by table.
static LOGGED: Mutex<BTreeMap<&'static str, Instant>> = Mutex::new(BTreeMap::new());

/// Counts and logs rows of `table` that were passed over. They are met again with every look.
pub(super) fn passed_over(table: &'static str, rows: u64) {
    if rows == 0 {
        return;
    }
    metrics::counter!("atropos_damaged_rows_total", "table" => table).increment(rows);
    let now = Instant::now();
    let mut logged = LOGGED.lock();
    if logged
        .get(table)
        .is_none_or(|at| now.duration_since(*at) >= LOG_EVERY)
    {
        logged.insert(table, now);
        tracing::error!(
            table,
            rows,
            "damaged rows are passed over; `atropos doctor` counts them"
        );
    }
}
