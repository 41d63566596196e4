//! What each value may be, and what is said of one that is not.

use super::{Config, ConfigError, LONGEST_UPLOAD_MS};

impl Config {
    /// # Errors
    /// The first value outside its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        const POSITIVE: &str = "greater than 0";
        let positive = [
            ("http.request-timeout-ms", self.http.request_timeout_ms),
            ("http.header-timeout-ms", self.http.header_timeout_ms),
            ("http.token-lifetime-ms", self.http.token_lifetime_ms),
            ("erase.max-queued", self.erase.max_queued.into()),
            ("erase.max-group", self.erase.max_group.into()),
            ("erase.shred-retry-max-ms", self.erase.shred_retry_max_ms),
            ("plugin.fuel", self.plugin.fuel),
            ("plugin.host-calls", self.plugin.host_calls.into()),
            ("plugin.transfer-bytes", self.plugin.transfer_bytes),
            ("policy.fuel", self.policy.fuel),
            ("policy.transfer-bytes", self.policy.transfer_bytes),
            ("ceiling.fuel", self.ceiling.fuel),
            ("components.max-queued", self.components.max_queued.into()),
            ("upload.max-photo-bytes", self.upload.max_photo_bytes),
            ("upload.max-photo-pixels", self.upload.max_photo_pixels),
            ("upload.max-document-bytes", self.upload.max_document_bytes),
            (
                "upload.standard-side-px",
                self.upload.standard_side_px.into(),
            ),
        ];
        if let Some((key, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::Range {
                key,
                expected: POSITIVE,
            });
        }
        type Range = (&'static str, u64, u64, u64, &'static str);
        let ranges: [Range; 27] = [
            (
                "upload.max-under-way",
                self.upload.max_under_way.into(),
                1,
                100_000,
                "1 to 100000",
            ),
            (
                "http.max-connections",
                self.http.max_connections.into(),
                16,
                1_000_000,
                "16 to 1000000",
            ),
            (
                "http.response-timeout-ms",
                self.http.response_timeout_ms,
                1000,
                86_400_000,
                "1000 to 86400000",
            ),
            (
                "auth.failures",
                self.auth.failures.into(),
                1,
                1000,
                "1 to 1000",
            ),
            (
                "auth.token-failures",
                self.auth.token_failures.into(),
                1,
                10_000,
                "1 to 10000",
            ),
            (
                "auth.window-ms",
                self.auth.window_ms,
                100,
                3_600_000,
                "100 to 3600000",
            ),
            (
                "auth.client-tokens",
                self.auth.client_tokens,
                1,
                1_000_000,
                "1 to 1000000",
            ),
            (
                "erase.max-in-flight",
                self.erase.max_in_flight.into(),
                1,
                1024,
                "1 to 1024",
            ),
            (
                "erase.shred-lease-ms",
                self.erase.shred_lease_ms,
                1000,
                3_600_000,
                "1000 to 3600000",
            ),
            (
                "erase.quarantine-ms",
                self.erase.quarantine_ms,
                1000,
                7_776_000_000,
                "1000 to 7776000000",
            ),
            (
                "erase.idempotency-ms",
                self.erase.idempotency_ms,
                60_000,
                604_800_000,
                "60000 to 604800000",
            ),
            (
                "erase.idempotency-outcomes",
                self.erase.idempotency_outcomes,
                1,
                100_000_000,
                "1 to 100000000",
            ),
            (
                "plugin.deadline-ms",
                self.plugin.deadline_ms,
                10,
                60_000,
                "10 to 60000",
            ),
            (
                "policy.deadline-ms",
                self.policy.deadline_ms,
                10,
                60_000,
                "10 to 60000",
            ),
            (
                "plugin.memory-bytes",
                self.plugin.memory_bytes,
                1 << 16,
                1 << 28,
                "64 KiB to 256 MiB",
            ),
            (
                "policy.memory-bytes",
                self.policy.memory_bytes,
                1 << 16,
                1 << 28,
                "64 KiB to 256 MiB",
            ),
            (
                "ceiling.deadline-ms",
                self.ceiling.deadline_ms,
                10,
                60_000,
                "10 to 60000",
            ),
            (
                "ceiling.memory-bytes",
                self.ceiling.memory_bytes,
                1 << 16,
                1 << 28,
                "64 KiB to 256 MiB",
            ),
            (
                "components.max-bytes",
                self.components.max_bytes,
                1 << 16,
                1 << 28,
                "64 KiB to 256 MiB",
            ),
            (
                "components.compilations",
                self.components.compilations.into(),
                0,
                256,
                "at most 256",
            ),
            (
                "components.deadline-ms",
                self.components.deadline_ms,
                1,
                3_600_000,
                "1 to 3600000",
            ),
            (
                "components.compiler-memory-bytes",
                self.components.compiler_memory_bytes,
                256 << 20,
                1 << 40,
                "256 MiB to 1 TiB",
            ),
            (
                "components.memory-bytes",
                self.components.memory_bytes,
                1 << 20,
                1 << 40,
                "1 MiB to 1 TiB",
            ),
            (
                "breaker.faults",
                self.breaker.faults.into(),
                1,
                1000,
                "1 to 1000",
            ),
            (
                "breaker.first-pause-ms",
                self.breaker.first_pause_ms,
                10,
                3_600_000,
                "10 to 3600000",
            ),
            (
                "breaker.longest-pause-ms",
                self.breaker.longest_pause_ms,
                self.breaker.first_pause_ms,
                86_400_000,
                "breaker.first-pause-ms to 86400000",
            ),
            (
                "upload.deadline-ms",
                self.upload.deadline_ms,
                60_000,
                LONGEST_UPLOAD_MS,
                "60000 to 86400000",
            ),
        ];
        let outside = |(_, value, low, high, _): &Range| !(low..=high).contains(&value);
        if let Some((key, .., expected)) = ranges.into_iter().find(outside) {
            return Err(ConfigError::Range { key, expected });
        }
        // Recovery looks as far ahead as the lease, and must not see an upload that still goes on.
        if self.erase.shred_lease_ms >= self.upload.deadline_ms {
            return Err(ConfigError::Range {
                key: "erase.shred-lease-ms",
                expected: "less than upload.deadline-ms",
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let config: Config = toml::from_str(text).unwrap();
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_within_their_ranges() {
        Config::default().check().unwrap();
    }

    #[test]
    fn a_value_outside_its_range_is_refused_by_its_key() {
        for (text, key) in [
            ("[erase]\nmax-in-flight = 0", "erase.max-in-flight"),
            ("[erase]\nshred-lease-ms = 999", "erase.shred-lease-ms"),
            ("[plugin]\nfuel = 0", "plugin.fuel"),
            ("[policy]\nmemory-bytes = 65535", "policy.memory-bytes"),
            ("[policy]\ndeadline-ms = 60001", "policy.deadline-ms"),
            ("[http]\nmax-connections = 15", "http.max-connections"),
            ("[ceiling]\nfuel = 0", "ceiling.fuel"),
            ("[components]\nmax-bytes = 65535", "components.max-bytes"),
            ("[auth]\nfailures = 0", "auth.failures"),
            ("[auth]\nwindow-ms = 99", "auth.window-ms"),
            ("[auth]\nclient-tokens = 0", "auth.client-tokens"),
            (
                "[erase]\nidempotency-outcomes = 0",
                "erase.idempotency-outcomes",
            ),
            ("[breaker]\nfaults = 0", "breaker.faults"),
            (
                "[breaker]\nlongest-pause-ms = 999",
                "breaker.longest-pause-ms",
            ),
            ("[upload]\nmax-photo-pixels = 0", "upload.max-photo-pixels"),
        ] {
            let refused = refused(text);
            assert!(refused.contains(&format!("`{key}`")), "{refused}");
        }
    }

    #[test]
    fn recovery_never_looks_ahead_into_uploads_under_way() {
        let text = "[erase]\nshred-lease-ms = 60000\n[upload]\ndeadline-ms = 60000";
        assert!(refused(text).contains("less than upload.deadline-ms"));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(toml::from_str::<Config>("[http]\nrequest-timeout = 1").is_err());
    }
}
