//! Chance that can be repeated.

use std::time::{SystemTime, UNIX_EPOCH};

/// Numbers that look random and come again with the same `ATROPOS_SEED`.
pub(crate) struct Random(u64);

impl Random {
    /// Begins with the seed of the environment, or another each time, and says which.
    pub(crate) fn from_environment(test: &str) -> Self {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH);
        let seed = match std::env::var("ATROPOS_SEED") {
            Ok(seed) => seed.parse().expect("ATROPOS_SEED is a number"),
            Err(_) => now().map_or(1, |since| since.as_nanos() as u64 >> 10),
        };
        eprintln!("{test}: ATROPOS_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From 0 up to the bound, which is not among them.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
