//! The settings of the policies that come with the program. What passes the check is what the policy
//! judges by, and a word too many never passes.

#![no_main]

use atropos_sdk::{Judgement, Outcome, Policy, Request, Verdict, check, judge, sample, text};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

// The policies' own sources: what is shipped are components.
#[path = "../../../guest/policies/allow-all/src/lib.rs"]
mod allow_all;
#[path = "../../../guest/policies/change-freeze/src/lib.rs"]
mod change_freeze;
#[path = "../../../guest/policies/labels/src/lib.rs"]
mod labels;
#[path = "../../../guest/policies/retention/src/lib.rs"]
mod retention;

fuzz_target!(|settings: &str| {
    holds::<allow_all::AllowAll>(settings);
    holds::<change_freeze::ChangeFreeze>(settings);
    holds::<labels::Labels>(settings);
    holds::<retention::Retention>(settings);
});

fn holds<P: Policy>(settings: &str) {
    let problems = check::<P>(settings).err();
    for request in [sample::photo(), sample::document(), labelled()] {
        let judgement = judge::<P>(&request, settings);
        keeps_to_the_contract(&judgement);
        let unfit = judgement.findings[0].rule == "settings";
        assert_eq!(unfit, problems.is_some(), "checked and judged differently");
    }
    match problems {
        Some(problems) => {
            assert!(!problems.is_empty());
            assert!(problems.iter().all(|problem| problem.message.len() <= 512));
        }
        None => is_an_object_that_takes_nothing_more::<P>(settings),
    }
}

fn labelled() -> Request {
    let mut request = sample::photo();
    request.object.labels = ["a", "in-order"].map(str::to_owned).to_vec();
    request.at_ms = 1_798_000_000_000;
    request
}

fn keeps_to_the_contract(judgement: &Judgement) {
    let findings = &judgement.findings;
    assert!((1..=64).contains(&findings.len()));
    for finding in findings {
        assert!((1..=64).contains(&finding.rule.len()));
        assert!(finding.detail.len() <= 512);
        assert!(text::is_plain(&finding.rule) && text::is_plain(&finding.detail));
    }
    let failed = findings.iter().any(|it| it.outcome == Outcome::Failed);
    assert_eq!(failed, judgement.verdict == Verdict::Deny);
}

fn is_an_object_that_takes_nothing_more<P: Policy>(settings: &str) {
    let object: Map<String, Value> = serde_json::from_str(settings).expect("an object");
    let rewritten = Value::Object(object.clone()).to_string();
    assert_eq!(check::<P>(&rewritten), Ok(()), "{rewritten}");
    let mut more = object;
    more.insert("not-known".to_owned(), Value::Null);
    assert!(check::<P>(&Value::Object(more).to_string()).is_err());
}
