//! Components of the contract that is kept: built once, never again, and served as ever.

use atropos::domain::decision::{Finding, FindingOutcome};
use atropos::target::Kind;
use atropos_service::config::GuestLimits;

use super::question;
use crate::support::demo::{Demo, contract, deleted, payslip, refused, sunset};
use crate::support::stage::Stage;
use crate::support::{TENANT, failure, run};

const RETENTION: &[u8] = include_bytes!("0.1.0/retention.wasm");
const STANDARD: &[u8] = include_bytes!("0.1.0/standard.wasm");

const SETTINGS: &str = r#"{"minimum-age-days":{"photo":30}}"#;

#[tokio::test]
async fn a_kept_policy_judges_as_ever() {
    let stage = Stage::set();
    let retention = stage
        .atropos
        .sandbox()
        .judge(RETENTION)
        .await
        .expect("a policy");
    let limits = GuestLimits::default();
    let said = retention.describe(limits).expect("a description");
    assert_eq!((&*said.name, &*said.version), ("retention", "0.1.0"));
    assert_eq!(
        said.summary,
        "Forbids the erasure of objects below a minimum age."
    );

    let problems = [
        (
            "{}",
            "",
            "missing field `minimum-age-days` at line 1 column 2",
        ),
        (
            r#"{"minimum-age-days":{"photo":0}}"#,
            "minimum-age-days.photo",
            "must be at least 1; leave it out to set no minimum",
        ),
    ];
    for (settings, path, message) in problems {
        let said = retention.validate(settings, limits).expect("an answer");
        assert_eq!(
            (&*said[0].path, &*said[0].message),
            (path, message),
            "{settings}"
        );
    }
    assert!(
        retention
            .validate(SETTINGS, limits)
            .expect("an answer")
            .is_empty()
    );

    let day_ms = 24 * 3600 * 1000;
    let table = [
        (
            Kind::Photo,
            3 * day_ms,
            FindingOutcome::Failed,
            "the photo is 3 days old and must be 30; 27 days missing",
        ),
        (
            Kind::Photo,
            30 * day_ms,
            FindingOutcome::Passed,
            "the photo is 30 days old and must be 30",
        ),
        (
            Kind::Document,
            0,
            FindingOutcome::NotApplicable,
            "no minimum age is set for a document",
        ),
    ];
    for (kind, at_ms, outcome, detail) in table {
        let mut question = question(kind);
        question.at_ms = at_ms;
        let answer = retention.ask(&question, SETTINGS, limits).answer;
        let answer = answer.expect("an answer");
        let finding = Finding {
            rule: "minimum-age".to_owned(),
            outcome,
            detail: detail.to_owned(),
        };
        assert_eq!(answer.allows, outcome != FindingOutcome::Failed, "{detail}");
        assert_eq!(answer.findings, [finding]);
    }
}

#[test]
fn a_kept_plugin_and_a_kept_policy_serve_beside_today_s() {
    let demo = Demo::start();
    let plugin = demo.component("standard", STANDARD);
    let policy = demo.component("retention", RETENTION);
    demo.verb(&["component", "choose", &plugin]);
    demo.assign(TENANT, &["allow-all", &format!("{policy}={SETTINGS}")]);

    let denied = "Denied by policy retention: minimum-age: the photo is 0 days old and must be 30; \
        30 days missing.";
    assert_eq!(demo.delete(&sunset()), refused(403, "403", denied));
    assert!(demo.has(&sunset()));
    assert_eq!(demo.delete(&contract()), deleted());
    assert!(!demo.has(&contract()));

    let mut absent = sunset();
    absent.id = "nothing".to_owned();
    assert_eq!(
        demo.delete(&absent),
        refused(404, "327", "Invalid Photo Id")
    );
    let mut malformed = payslip();
    malformed.id = "no GUID".to_owned();
    let answer = demo.delete(&malformed);
    assert_eq!((answer.0, &*answer.1), (400, "invalid-file-guid"));

    let wrong = format!(r#"{policy}={{"minimum-age-days":{{"photo":"30d"}}}}"#);
    let assign = [
        "policy", "assign", "--tenant", TENANT, "--policy", &wrong, "--json",
    ];
    let said = failure(&run(demo.server.data_dir(), &assign));
    assert!(
        said.to_string().contains("minimum-age-days.photo"),
        "{said}"
    );

    demo.assign(
        TENANT,
        &[
            "allow-all",
            "retention={\"minimum-age-days\":{\"document\":1}}",
        ],
    );
    assert_eq!(demo.delete(&sunset()), deleted());
}
