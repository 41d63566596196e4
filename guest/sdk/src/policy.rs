//! The trait a policy implements, and what its three exports do with it.

use serde::de::DeserializeOwned;

use crate::settings::{self, Problems};
use crate::{Description, Findings, Judgement, Request, SettingsProblem};

/// May this object be erased? One rule or a few, configured by a tenant's settings.
pub trait Policy {
    /// Lower-case name, such as `retention`. 1 to 64 bytes.
    const NAME: &'static str;
    /// One sentence that tells what the policy forbids. At most 512 bytes.
    const SUMMARY: &'static str;
    /// JSON Schema of the settings. At most 64 KiB.
    const SCHEMA: &'static str;
    /// The settings. Refuse what you do not know (`deny_unknown_fields`): a misspelt name would
    /// otherwise silently forbid nothing.
    type Settings: DeserializeOwned;

    /// Reports what the type of the settings cannot express, such as an empty list. Settings with a
    /// problem never reach [`review`](Policy::review).
    fn validate(settings: &Self::Settings, problems: &mut Problems) {
        let _ = (settings, problems);
    }

    /// Judges one request. It must record at least one finding; a failed one keeps the object.
    fn review(request: &Request, settings: &Self::Settings, findings: &mut Findings);
}

/// What a policy says of itself.
pub fn describe<P: Policy>(version: &str) -> Description {
    Description {
        name: P::NAME.to_owned(),
        version: version.to_owned(),
        summary: P::SUMMARY.to_owned(),
        settings_schema: P::SCHEMA.to_owned(),
    }
}

/// Checks settings, given as JSON.
///
/// # Errors
/// Everything that is wrong with them, by path.
pub fn check<P: Policy>(settings: &str) -> Result<(), Vec<SettingsProblem>> {
    validate::<P>(&settings::explain(settings)?)
}

/// Judges one request under settings, given as JSON. Settings that do not pass [`check`] keep the
/// object.
pub fn judge<P: Policy>(request: &Request, settings: &str) -> Judgement {
    let mut findings = Findings::default();
    match settings::parse(settings).filter(|settings| validate::<P>(settings).is_ok()) {
        Some(settings) => P::review(request, &settings, &mut findings),
        None => findings.failed("settings", "the settings are not valid"),
    }
    findings.into()
}

fn validate<P: Policy>(settings: &P::Settings) -> Result<(), Vec<SettingsProblem>> {
    let mut problems = Problems::default();
    P::validate(settings, &mut problems);
    problems.into_result()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Verdict, sample};

    struct Even;

    #[derive(serde::Deserialize)]
    struct Settings {
        number: u32,
    }

    impl Policy for Even {
        const NAME: &'static str = "even";
        const SUMMARY: &'static str = "";
        const SCHEMA: &'static str = "{}";
        type Settings = Settings;

        fn validate(settings: &Settings, problems: &mut Problems) {
            problems.unless(settings.number.is_multiple_of(2), "number", || {
                "must be even".to_owned()
            });
        }

        fn review(_: &Request, _: &Settings, findings: &mut Findings) {
            findings.passed("even", "");
        }
    }

    #[test]
    fn valid_settings_reach_the_policy() {
        assert_eq!(
            judge::<Even>(&sample::photo(), r#"{"number":2}"#).verdict,
            Verdict::Allow
        );
    }

    #[test]
    fn settings_that_are_not_valid_keep_the_object() {
        for settings in ["", "x", "{}", r#"{"number":3}"#, r#"{"number":"2"}"#] {
            let judgement = judge::<Even>(&sample::photo(), settings);
            assert_eq!(judgement.verdict, Verdict::Deny, "{settings}");
            assert_eq!(judgement.findings[0].rule, "settings");
        }
    }

    #[test]
    fn a_problem_found_by_the_policy_is_reported() {
        assert_eq!(
            check::<Even>(r#"{"number":3}"#).unwrap_err()[0].message,
            "must be even"
        );
    }
}
