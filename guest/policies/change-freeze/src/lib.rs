//! Policy `change-freeze`: nothing goes while a window of time is open.
//!
//! `{"windows": [{"from": "2026-12-20T00:00:00Z", "until": "2027-01-02T00:00:00Z",
//! "reason": "year end"}]}`

use atropos_sdk::{Findings, Policy, Problems, Request, sentence};
use serde::Deserialize;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// What a tenant sets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    windows: Vec<Window>,
}

/// From `from` on, until just before `until`. Both are RFC 3339, in UTC or with an offset.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Window {
    #[serde(with = "time::serde::rfc3339")]
    from: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
    reason: String,
}

impl Window {
    fn is_open(&self, at_ms: u64) -> bool {
        let at = i128::from(at_ms) * 1_000_000;
        (self.from.unix_timestamp_nanos()..self.until.unix_timestamp_nanos()).contains(&at)
    }
}

/// The policy.
#[derive(Debug)]
pub struct ChangeFreeze;

impl Policy for ChangeFreeze {
    const NAME: &'static str = "change-freeze";
    const SUMMARY: &'static str = "Forbids every erasure while a window of time is open.";
    const SCHEMA: &'static str = include_str!("settings.schema.json");
    type Settings = Settings;

    fn validate(Settings { windows }: &Settings, problems: &mut Problems) {
        if windows.is_empty() {
            problems.add("windows", "must have at least one window");
        }
        for (index, window) in windows.iter().enumerate() {
            if window.until <= window.from {
                problems.add(
                    format!("windows[{index}].until"),
                    "must be later than `from`",
                );
            }
            problems.plain(&window.reason, || format!("windows[{index}].reason"));
        }
    }

    fn review(request: &Request, Settings { windows }: &Settings, findings: &mut Findings) {
        let mut open = windows
            .iter()
            .filter(|window| window.is_open(request.at_ms))
            .peekable();
        if open.peek().is_none() {
            return findings.passed("change-freeze", "no window is open");
        }
        for Window { until, reason, .. } in open {
            // Every time that RFC 3339 can write can also be written back.
            let until = until
                .to_offset(UtcOffset::UTC)
                .format(&Rfc3339)
                .unwrap_or_default();
            findings.failed(
                "change-freeze",
                sentence!["nothing goes until ", until, ": ", reason],
            );
        }
    }
}

atropos_sdk::policy!(ChangeFreeze);

#[cfg(test)]
mod tests {
    use atropos_sdk::{Outcome, Verdict, check, judge, sample};

    use super::*;

    const SETTINGS: &str = r#"{"windows":[
        {"from":"2026-12-20T00:00:00Z","until":"2027-01-02T00:00:00Z","reason":"year end"},
        {"from":"2026-12-31T23:00:00+01:00","until":"2027-01-01T00:00:00.5Z","reason":"audit"}]}"#;

    fn details_at(at: &str) -> Vec<String> {
        let at = OffsetDateTime::parse(at, &Rfc3339).unwrap();
        let at_ms = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap();
        let judgement = judge::<ChangeFreeze>(
            &Request {
                at_ms,
                ..sample::photo()
            },
            SETTINGS,
        );
        let failed = judgement
            .findings
            .into_iter()
            .filter(|it| it.outcome == Outcome::Failed);
        let details: Vec<_> = failed.map(|finding| finding.detail).collect();
        assert_eq!(judgement.verdict == Verdict::Deny, !details.is_empty());
        details
    }

    #[test]
    fn a_window_is_open_from_its_first_instant_until_just_before_its_last() {
        const YEAR_END: &str = "nothing goes until 2027-01-02T00:00:00Z: year end";
        const AUDIT: &str = "nothing goes until 2027-01-01T00:00:00.5Z: audit";
        for (at, details) in [
            ("2026-12-19T23:59:59.999Z", &[][..]),
            ("2026-12-20T00:00:00Z", &[YEAR_END]),
            ("2026-12-31T21:59:59.999Z", &[YEAR_END]),
            ("2026-12-31T22:00:00Z", &[YEAR_END, AUDIT]),
            ("2027-01-01T00:00:00.5Z", &[YEAR_END]),
            ("2027-01-01T23:59:59.999Z", &[YEAR_END]),
            ("2027-01-02T00:00:00Z", &[]),
        ] {
            assert_eq!(details_at(at), details, "{at}");
        }
    }

    #[test]
    fn a_reason_that_is_not_one_plain_line_is_refused() {
        for (reason, plain) in [
            ("année, 年末", true),
            (r"year\nend", false),
            (r"year\u0000end", false),
            ("year\u{85}end", false),
            ("year\u{202e}end", false),
            (r"year\u2028end", false),
        ] {
            let settings = format!(
                r#"{{"windows":[{{"from":"2026-01-01T00:00:00Z","until":"2026-03-01T00:00:00Z","reason":"{reason}"}}]}}"#
            );
            let problems = check::<ChangeFreeze>(&settings).err().unwrap_or_default();
            let paths: Vec<_> = problems.iter().map(|problem| &*problem.path).collect();
            let expected: &[&str] = if plain { &[] } else { &["windows[0].reason"] };
            assert_eq!(paths, expected, "{reason:?}");
        }
    }

    #[test]
    fn settings_that_would_forbid_nothing_are_refused() {
        for (windows, path) in [
            (r#"[]"#, "windows"),
            (
                r#"[{"from":"2026-01-01T00:00:00Z","until":"2026-01-01T00:00:00Z","reason":""}]"#,
                "windows[0].until",
            ),
            (
                r#"[{"from":"2026-01-02T00:00:00Z","until":"2026-01-01T00:00:00Z","reason":""}]"#,
                "windows[0].until",
            ),
            (
                r#"[{"from":"2026-02-30T00:00:00Z","until":"2026-03-01T00:00:00Z","reason":""}]"#,
                "windows[0].from",
            ),
            (
                r#"[{"from":"2026-01-01T00:00:00","until":"2026-03-01T00:00:00Z","reason":""}]"#,
                "windows[0].from",
            ),
            (
                r#"[{"from":"2026-01-01","until":"2026-03-01T00:00:00Z","reason":""}]"#,
                "windows[0].from",
            ),
            (
                r#"[{"from":"2026-01-01T00:00:00Z","reason":""}]"#,
                "windows[0]",
            ),
            (
                r#"[{"from":"2026-01-01T00:00:00Z","until":"2026-03-01T00:00:00Z"}]"#,
                "windows[0]",
            ),
        ] {
            let problems =
                check::<ChangeFreeze>(&format!(r#"{{"windows":{windows}}}"#)).unwrap_err();
            assert_eq!(problems[0].path, path, "{windows}: {}", problems[0].message);
        }
        assert!(check::<ChangeFreeze>(SETTINGS).is_ok());
    }
}
