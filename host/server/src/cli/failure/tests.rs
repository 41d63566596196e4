//! How a verb that fails ends, and what it says.

use atropos::error::{Fault, FaultKind, Guest};

use super::*;

fn refused(refused: Refused) -> Failure {
    Failure::Refused {
        refused,
        outcome: "denied".to_owned(),
        decision: None,
    }
}

fn plugin(reason: Reason) -> Failure {
    refused(Refused::Plugin {
        reason,
        code: "327".to_owned(),
        message: "Invalid Photo Id".to_owned(),
    })
}

fn busy() -> StoreError {
    StoreError::Unavailable("database is locked".into())
}

#[test]
fn a_refusal_ends_with_1() {
    let failures = [
        plugin(Reason::NotFound),
        plugin(Reason::Denied),
        plugin(Reason::InvalidRequest),
        plugin(Reason::Throttled(5)),
        refused(Refused::Held),
        Failure::Store(StoreError::Taken { what: "subdomain" }),
        Failure::Settings(Vec::new()),
        Failure::NotFound {
            what: "tenant",
            name: "acme".to_owned(),
        },
        Failure::Upload {
            path: "x.png".into(),
            source: UploadError::NotAPicture,
        },
    ];
    for failure in failures {
        assert_eq!(failure.exit(), Exit::Refused, "{failure}");
    }
}

#[test]
fn what_makes_no_sense_ends_with_2() {
    let config = ConfigError::Range {
        key: "plugin.fuel",
        expected: "greater than 0",
    };
    assert_eq!(Failure::Usage(String::new()).exit(), Exit::Usage);
    assert_eq!(Failure::Config(config).exit(), Exit::Usage);
}

#[test]
fn what_may_work_later_ends_with_3() {
    let fault = Fault {
        guest: Guest::Policy,
        kind: FaultKind::Deadline,
        digest: None,
    };
    let unavailable = [
        plugin(Reason::Unavailable(None)),
        refused(Refused::Fault(fault)),
        refused(Refused::Pending),
        Failure::Store(busy()),
        Failure::Upload {
            path: "x.png".into(),
            source: UploadError::Store(busy()),
        },
        Failure::Interrupted,
        Failure::ServerRunning {
            path: "data".into(),
            process: "7".to_owned(),
        },
    ];
    for failure in unavailable {
        assert_eq!(failure.exit(), Exit::Unavailable, "{failure}");
    }
}

#[test]
fn a_failure_is_one_line_and_its_causes() {
    assert_eq!(
        Failure::Store(busy()).text(),
        "error: the storage is not available\ncaused by: database is locked\n"
    );
}

#[test]
fn a_storage_that_can_be_mended_tells_how() {
    let what = "database file".to_owned();
    let failure = Failure::from(StorageError::Store {
        path: "data".into(),
        source: StoreError::Corrupt { what },
    });
    let text = failure.text();
    assert!(
        text.contains("remedy: restore it from a backup with `atropos restore"),
        "{text}"
    );
    assert!(failure.json()["error"]["remedy"].is_string());
    assert!(Failure::Store(busy()).json()["error"]["remedy"].is_null());
}

#[test]
fn a_cause_of_many_lines_is_told_in_one() {
    let failure = Failure::Store(StoreError::Unavailable("bad\n  \u{1b}[2J".into()));
    assert!(
        failure.text().ends_with("caused by: bad \\u{1b}[2J\n"),
        "{}",
        failure.text()
    );
}

#[test]
fn a_refused_delete_shows_the_code_that_callers_see() {
    let failure = plugin(Reason::NotFound);
    assert_eq!(failure.text(), "error: Invalid Photo Id (327)\n");
    assert_eq!(
        failure.json(),
        json!({ "error": {
            "code": "327",
            "message": "Invalid Photo Id",
            "outcome": "denied",
            "decision": null,
        } })
    );
}

#[test]
fn refused_settings_name_policy_path_and_message() {
    let failure = Failure::Settings(vec![SettingsRefusal {
        policy: "retention".to_owned(),
        path: "minimum-age-days.photo".to_owned(),
        message: "must be a whole number".to_owned(),
    }]);
    assert!(
        failure
            .text()
            .ends_with("  retention: minimum-age-days.photo: must be a whole number\n")
    );
    assert_eq!(
        failure.json()["error"]["problems"][0]["path"],
        "minimum-age-days.photo"
    );
}
