//! Policy `retention`: an object must have reached a minimum age, by kind.
//!
//! `{"minimum-age-days": {"photo": 30, "document": 2555}}`

use atropos_sdk::sentence::{Part, Sentence};
use atropos_sdk::{Findings, ObjectKind, Policy, Problems, Request, present, sentence};
use serde::Deserialize;

const DAY_MS: u64 = 86_400_000;

/// What a tenant sets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    minimum_age_days: MinimumAge,
}

/// Days since the upload, from 1. A kind that is not named has no minimum.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MinimumAge {
    #[serde(default, deserialize_with = "present")]
    photo: Option<u32>,
    #[serde(default, deserialize_with = "present")]
    document: Option<u32>,
}

/// The policy.
#[derive(Debug)]
pub struct Retention;

impl Policy for Retention {
    const NAME: &'static str = "retention";
    const SUMMARY: &'static str = "Forbids the erasure of objects below a minimum age.";
    const SCHEMA: &'static str = include_str!("settings.schema.json");
    type Settings = Settings;

    fn validate(
        Settings {
            minimum_age_days: days,
        }: &Settings,
        problems: &mut Problems,
    ) {
        if days.photo.or(days.document).is_none() {
            problems.add("minimum-age-days", "must name `photo`, `document` or both");
        }
        for (kind, days) in [("photo", days.photo), ("document", days.document)] {
            if days == Some(0) {
                let message = "must be at least 1; leave it out to set no minimum";
                problems.add(format!("minimum-age-days.{kind}"), message);
            }
        }
    }

    fn review(request: &Request, settings: &Settings, findings: &mut Findings) {
        let (kind, minimum) = match request.object.kind {
            ObjectKind::Photo => ("photo", settings.minimum_age_days.photo),
            ObjectKind::Document => ("document", settings.minimum_age_days.document),
        };
        let Some(minimum) = minimum.map(u64::from) else {
            let detail = sentence!["no minimum age is set for a ", kind];
            return findings.not_applicable("minimum-age", detail);
        };
        // An upload that lies in the future, by a clock set back, is 0 days old.
        let age = request.at_ms.saturating_sub(request.object.created_at_ms) / DAY_MS;
        let missing = minimum.saturating_sub(age);
        let mut detail = sentence![
            "the ",
            kind,
            " is ",
            Days(age),
            " old and must be ",
            minimum
        ];
        if missing > 0 {
            detail += &sentence!["; ", Days(missing), " missing"];
        }
        findings.check("minimum-age", missing == 0, detail);
    }
}

atropos_sdk::policy!(Retention);

/// So many days, in words.
struct Days(u64);

impl Part for Days {
    fn append(&self, sentence: &mut Sentence) {
        self.0.append(sentence);
        match self.0 {
            1 => sentence.push_str(" day"),
            _ => sentence.push_str(" days"),
        }
    }
}

#[cfg(test)]
mod tests {
    use atropos_sdk::{Outcome, Verdict, check, judge, sample};

    use super::*;

    const SETTINGS: &str = r#"{"minimum-age-days":{"photo":30}}"#;

    fn photo_of_age(ms: u64) -> Request {
        let mut photo = sample::photo();
        photo.object.created_at_ms = 1_000;
        photo.at_ms = 1_000 + ms;
        photo
    }

    #[test]
    fn a_photo_goes_from_the_millisecond_on_at_which_it_is_old_enough() {
        for (age_ms, verdict, detail) in [
            (
                0,
                Verdict::Deny,
                "the photo is 0 days old and must be 30; 30 days missing",
            ),
            (
                3 * DAY_MS,
                Verdict::Deny,
                "the photo is 3 days old and must be 30; 27 days missing",
            ),
            (
                30 * DAY_MS - 1,
                Verdict::Deny,
                "the photo is 29 days old and must be 30; 1 day missing",
            ),
            (
                30 * DAY_MS,
                Verdict::Allow,
                "the photo is 30 days old and must be 30",
            ),
            (
                u64::MAX - 1_000,
                Verdict::Allow,
                "the photo is 213503982334 days old and must be 30",
            ),
        ] {
            let judgement = judge::<Retention>(&photo_of_age(age_ms), SETTINGS);
            assert_eq!(judgement.verdict, verdict, "{age_ms}");
            assert_eq!(judgement.findings[0].detail, detail);
        }
    }

    #[test]
    fn an_upload_in_the_future_is_not_old_enough() {
        let request = Request {
            at_ms: 0,
            ..photo_of_age(0)
        };
        assert_eq!(
            judge::<Retention>(&request, SETTINGS).verdict,
            Verdict::Deny
        );
    }

    #[test]
    fn a_kind_that_is_not_named_has_no_minimum() {
        let judgement = judge::<Retention>(&sample::document(), SETTINGS);
        assert_eq!(judgement.verdict, Verdict::Allow);
        assert_eq!(judgement.findings[0].outcome, Outcome::NotApplicable);
    }

    #[test]
    fn settings_that_would_forbid_nothing_are_refused() {
        for (settings, path) in [
            ("{}", ""),
            (r#"{"minimum-age-days":{}}"#, "minimum-age-days"),
            (
                r#"{"minimum-age-days":{"photo":0}}"#,
                "minimum-age-days.photo",
            ),
            (
                r#"{"minimum-age-days":{"photo":1,"document":null}}"#,
                "minimum-age-days.document",
            ),
            (
                r#"{"minimum-age-days":{"foto":1}}"#,
                "minimum-age-days.foto",
            ),
            (
                r#"{"minimum-age-days":{"photo":"30d"}}"#,
                "minimum-age-days.photo",
            ),
            (
                r#"{"minimum-age-days":{"photo":-1}}"#,
                "minimum-age-days.photo",
            ),
        ] {
            assert_eq!(
                check::<Retention>(settings).unwrap_err()[0].path,
                path,
                "{settings}"
            );
        }
        assert!(check::<Retention>(r#"{"minimum-age-days":{"document":2555}}"#).is_ok());
    }
}
