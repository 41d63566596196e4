//! What the process may take of the machine's memory, by what takes it.
//!
//! **Invariant:** each part has a bound that settings or constants state, and is held to it by what it
//! is charged to; so the sum is a bound of the process. What a part takes usually is far less.

use std::fmt::{self, Display, Formatter};
use std::num::NonZero;
use std::thread::available_parallelism;

use atropos::commit::PLACE_BYTES;
use atropos::guest::{FIBER_STACK_BYTES, SHADOW_BYTES};
use atropos_service::config::Config;
use atropos_service::upload::{HELD_BYTES, decoders, picture};
use atropos_stores::sqlite::MEMORY_BYTES as DATABASE_BYTES;

use crate::http::CONNECTION_BYTES;

/// The program itself: its code, threads, figures, logs, and what the allocator keeps in hand.
const PROGRAM_BYTES: u64 = 96 << 20;

/// Tables that remember what was so lately: credentials, windows of guesses, components that failed,
/// policies that are slow. Each has a bound of its own in entries, 10,000 mostly.
const CACHES_BYTES: u64 = 32 << 20;

/// What a decision takes beside what its policies said.
const DECISION_BYTES: u64 = 4 << 10;

/// One part of what the process may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// What takes it.
    pub what: &'static str,
    /// How much it takes at most.
    pub bytes: u64,
    /// The settings that it follows from; empty if it is fixed.
    pub set_by: &'static [&'static str],
}

/// What the process may take at most. Components are compiled in another process, which is not
/// counted: it may take `components.compiler-memory-bytes` of address space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryBudget(Vec<Part>);

impl MemoryBudget {
    /// As it follows from a configuration.
    pub fn of(config: &Config) -> Self {
        let part = |what, bytes, set_by| Part {
            what,
            bytes,
            set_by,
        };
        Self(vec![
            part("program", PROGRAM_BYTES, &[]),
            part(
                "connections",
                u64::from(config.http.max_connections) * CONNECTION_BYTES,
                &["http.max-connections"],
            ),
            part(
                "uploads",
                u64::from(config.upload.max_under_way) * HELD_BYTES,
                &["upload.max-under-way"],
            ),
            part(
                "decoding photos",
                decoders::SLOTS as u64 * picture::memory_bytes(&config.upload),
                &[
                    "upload.max-photo-pixels",
                    "upload.max-photo-bytes",
                    "upload.standard-side-px",
                ],
            ),
            part(
                "guests",
                guests(config),
                &[
                    "erase.max-in-flight",
                    "plugin.memory-bytes",
                    "policy.memory-bytes",
                    "ceiling.memory-bytes",
                ],
            ),
            part(
                "components",
                config.components.memory_bytes,
                &["components.memory-bytes"],
            ),
            part(
                "decisions that wait for the disk",
                2 * u64::from(config.erase.max_queued) * (PLACE_BYTES as u64 + DECISION_BYTES),
                &["erase.max-queued"],
            ),
            part("decisions that wait for a shadow", SHADOW_BYTES as u64, &[]),
            part("database", DATABASE_BYTES, &[]),
            part("caches", CACHES_BYTES, &[]),
        ])
    }

    /// Its parts.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// All of it, in bytes.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|part| part.bytes).sum()
    }
}

/// A plugin and one policy at a time for each delete in the sandbox, and one policy for each core, which
/// replays or checks besides.
fn guests(config: &Config) -> u64 {
    let deletes = u64::from(config.erase.max_in_flight);
    let cores = available_parallelism().map_or(1, NonZero::get) as u64;
    let policy = config.allowance().most.memory_bytes;
    let delete = config.plugin.memory_bytes + policy + FIBER_STACK_BYTES as u64;
    deletes * delete + cores * policy
}

impl Display for MemoryBudget {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (position, part) in self.0.iter().enumerate() {
            let comma = if position > 0 { ", " } else { "" };
            write!(f, "{comma}{} {}", part.what, part.bytes.div_ceil(1 << 20))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_of_a_part_is_a_key_and_changes_it() {
        let budget = |text: &str| MemoryBudget::of(&toml::from_str(text).unwrap());
        let before = budget("");
        for part in before.parts() {
            for key in part.set_by {
                let (section, key) = key.split_once('.').unwrap();
                let after = budget(&format!("[{section}]\n{key} = 300000000\n"));
                let now = after.parts().iter().find(|now| now.what == part.what);
                assert!(now.unwrap().bytes > part.bytes, "{section}.{key}");
            }
        }
    }
}
