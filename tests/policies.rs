//! Chains that allow and refuse, swapped under a running server; holds and retention dates.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::demo::{
    Answer, Demo, OTHER_TENANT, Object, contract, deleted, hills, other_document, other_photo,
    payslip, refused, rings, sunset,
};
use crate::support::{self, TENANT, run};

const KEEP: &str = r#"retention={"minimum-age-days":{"photo":30,"document":2555}}"#;
const KEEP_PHOTOS: &str = r#"retention={"minimum-age-days":{"photo":30}}"#;
const KEEP_PHOTOS_LONGER: &str = r#"retention={"minimum-age-days":{"photo":60}}"#;
const KEEP_EVIDENCE: &str = r#"labels={"forbidden":["in-order","holiday"]}"#;
const FREEZE: &str = r#"change-freeze={"windows":[{"from":"2000-01-01T00:00:00Z","until":"2100-01-01T01:00:00+01:00","reason":"audit"}]}"#;
const FREEZE_BEFORE: &str = r#"change-freeze={"windows":[{"from":"2000-01-01T00:00:00Z","until":"2001-01-01T00:00:00Z","reason":"audit"}]}"#;

/// A name, what is to be deleted, and why it is not.
type Tried = (&'static str, Object, Option<&'static str>);

/// The answer to a delete that a policy of the chain denies.
fn denied(object: &Object, why: &str) -> Answer {
    let code = match object.kind {
        "photo" => "403",
        _ => "denied-by-policy",
    };
    refused(403, code, &format!("Denied by policy {why}."))
}

const PHOTO_TOO_YOUNG: &str =
    "retention: minimum-age: the photo is 0 days old and must be 30; 30 days missing";
const DOCUMENT_TOO_YOUNG: &str =
    "retention: minimum-age: the document is 0 days old and must be 2555; 2555 days missing";
const FROZEN: &str = "change-freeze: change-freeze: nothing goes until 2100-01-01T00:00:00Z: audit";

#[test]
fn a_chain_refuses_for_its_own_tenant_and_its_successor_serves_from_the_next_request() {
    let demo = Demo::start();
    demo.assign(TENANT, &[KEEP]);
    let (photo, document) = (sunset(), contract());
    for _ in 0..2 {
        assert_eq!(demo.delete(&photo), denied(&photo, PHOTO_TOO_YOUNG));
        assert_eq!(
            demo.delete(&document),
            denied(&document, DOCUMENT_TOO_YOUNG)
        );
    }
    assert_eq!(demo.delete(&other_photo()), deleted());
    assert_eq!(demo.delete(&other_document()), deleted());
    for kept in [&photo, &document] {
        assert!(demo.has(kept), "{kept:?}");
    }
    demo.assign(TENANT, &[FREEZE]);
    assert_eq!(demo.delete(&photo), denied(&photo, FROZEN));
    assert_eq!(demo.delete(&document), denied(&document, FROZEN));
    demo.assign(TENANT, &["allow-all"]);
    for gone in [&photo, &document] {
        assert_eq!(demo.delete(gone), deleted());
        assert!(!demo.has(gone), "{gone:?}");
    }
}

#[test]
fn every_policy_of_a_chain_must_allow_and_the_first_that_does_not_is_named() {
    let demo = Demo::start();
    let on_order = "labels: forbidden-label: bears the label `in-order`";
    let on_holiday = "labels: forbidden-label: bears the label `holiday`";
    let chains: [(&[&str], &[Tried]); 5] = [
        (
            &[KEEP_EVIDENCE],
            &[
                ("a forbidding label", rings(), Some(on_order)),
                ("another forbidding label", hills(), Some(on_holiday)),
            ],
        ),
        (
            &[FREEZE],
            &[
                ("a photo in a freeze", sunset(), Some(FROZEN)),
                ("a document in a freeze", contract(), Some(FROZEN)),
            ],
        ),
        (
            &[KEEP_EVIDENCE, KEEP_PHOTOS],
            &[
                ("only the last denies", sunset(), Some(PHOTO_TOO_YOUNG)),
                ("both deny, the label first", rings(), Some(on_order)),
                ("the last does not speak of documents", payslip(), None),
            ],
        ),
        (
            &[KEEP_PHOTOS, KEEP_EVIDENCE],
            &[("both deny, the age first", rings(), Some(PHOTO_TOO_YOUNG))],
        ),
        (
            &[FREEZE_BEFORE, KEEP_EVIDENCE],
            &[
                ("only the last denies again", hills(), Some(on_holiday)),
                ("both allow", sunset(), None),
            ],
        ),
    ];
    for (chain, cases) in chains {
        demo.assign(TENANT, chain);
        for (name, object, why) in cases {
            let expected = why.map_or_else(deleted, |why| denied(object, why));
            assert_eq!(demo.delete(object), expected, "{name}");
            assert_eq!(demo.has(object), why.is_some(), "{name}");
        }
    }
}

#[test]
fn a_chain_that_is_refused_leaves_the_old_one_in_force() {
    let demo = Demo::start();
    let chain = demo.assign(TENANT, &[KEEP]);
    let plugin = demo.component("plugin", atropos_test_guests::REFUSE_EVERYTHING);
    let foreign = demo.component("foreign", atropos_test_guests::WASI_IMPORT);
    let unknown = "0".repeat(64);
    let problem = |policy: &str, path: &str, message: &str| json!({ "policy": policy, "path": path, "message": message });
    let none = Value::Null;
    let cases: [(&[&str], i32, &str, Value); 12] = [
        (
            &[r#"retention={"minimum-age-days":{"photo":0}}"#],
            1,
            "settings-refused",
            json!([problem(
                "retention",
                "minimum-age-days.photo",
                "must be at least 1; leave it out to set no minimum"
            )]),
        ),
        (
            &[r#"labels={"forbidden":["a",""]}"#],
            1,
            "settings-refused",
            json!([problem(
                "labels",
                "forbidden[1]",
                "must be a label of 1 to 64 bytes"
            )]),
        ),
        (
            &[
                "allow-all",
                r#"labels={"forbidden":[]}"#,
                r#"change-freeze={"windows":[]}"#,
            ],
            1,
            "settings-refused",
            json!([
                problem("labels", "forbidden", "must name at least one label"),
                problem("change-freeze", "windows", "must have at least one window"),
            ]),
        ),
        (
            &["allow-all=5"],
            1,
            "settings-refused",
            json!([problem("allow-all", "", "must be a JSON object")]),
        ),
        (&["allow-everything"], 2, "usage", none.clone()),
        (&["allow-all", "allow-everything"], 2, "usage", none.clone()),
        (&[&unknown], 1, "not-found", none.clone()),
        (&["./no-such-file.wasm"], 3, "io", none.clone()),
        (&["allow-all=@no-such-file.json"], 3, "io", none.clone()),
        (&[&plugin], 1, "component-refused", none.clone()),
        (&[&foreign], 1, "component-refused", none.clone()),
        (&["allow-all", &foreign], 1, "component-refused", none),
    ];
    let photo = sunset();
    for (links, exit, code, problems) in cases {
        let mut args = vec!["policy", "assign", "--json", "--tenant", TENANT];
        args.extend(links.iter().flat_map(|link| ["--policy", link]));
        let output = run(demo.server.data_dir(), &args);
        let said: Value = support::failure(&output);
        assert_eq!(output.status.code(), Some(exit), "{links:?}: {said}");
        assert_eq!(said["error"]["code"], code, "{links:?}: {said}");
        assert_eq!(said["error"]["problems"], problems, "{links:?}");
        let shown = demo.verb(&["policy", "show", "--tenant", TENANT]);
        assert_eq!(shown, chain, "{links:?}");
        assert_eq!(
            demo.delete(&photo),
            denied(&photo, PHOTO_TOO_YOUNG),
            "{links:?}"
        );
    }
    let unnamed = [
        "policy",
        "assign",
        "--tenant",
        TENANT,
        "--policy",
        "allow-everything",
    ];
    let output = run(demo.server.data_dir(), &unnamed);
    let said = String::from_utf8_lossy(&output.stderr);
    for policy in [
        "allow-everything",
        "allow-all",
        "retention",
        "labels",
        "change-freeze",
    ] {
        assert!(said.contains(policy), "{policy}: {said}");
    }
}

#[test]
fn the_record_tells_by_which_chain_and_why_a_delete_was_refused_and_allowed() {
    let demo = Demo::start();
    let photo = sunset();
    let refusing = demo.assign(TENANT, &[KEEP_EVIDENCE, KEEP_PHOTOS]);
    assert_eq!(demo.delete(&photo), denied(&photo, PHOTO_TOO_YOUNG));
    let allowing = demo.assign(TENANT, &[KEEP_EVIDENCE]);
    assert_eq!(demo.delete(&photo), deleted());

    let decisions = demo.decisions(TENANT);
    let [allowed, denied] = &decisions[..] else {
        panic!("two decisions: {decisions:#?}");
    };
    let free = json!({
        "rule": "forbidden-label", "outcome": "passed", "detail": "bears no forbidden label",
    });
    let young = json!({
        "rule": "minimum-age", "outcome": "failed",
        "detail": "the photo is 0 days old and must be 30; 30 days missing",
    });
    let why = json!(["minimum-age: the photo is 0 days old and must be 30; 30 days missing"]);
    let expected = [
        (
            allowed,
            &allowing,
            "allowed",
            Value::Null,
            json!([]),
            vec![("allow", &free)],
        ),
        (
            denied,
            &refusing,
            "denied",
            json!("retention"),
            why,
            vec![("allow", &free), ("deny", &young)],
        ),
    ];
    for (decision, chain, verdict, policy, why, reviews) in expected {
        assert_eq!(decision["verdict"], verdict);
        assert_eq!(decision["chainRevision"], chain["revision"], "{verdict}");
        assert_eq!(decision["policy"], policy, "{verdict}");
        assert_eq!(decision["why"], why, "{verdict}");
        assert_eq!(decision["objectId"], photo.id.as_str(), "{verdict}");
        assert_eq!(decision["user"], photo.user, "{verdict}");
        assert_eq!(decision["caller"]["kind"], "site-key", "{verdict}");
        let recorded = decision["reviews"].as_array().expect("an array");
        assert_eq!(recorded.len(), reviews.len(), "{verdict}");
        let links = chain["chain"].as_array().expect("an array");
        for ((review, link), (outcome, finding)) in recorded.iter().zip(links).zip(reviews) {
            assert_eq!(review["outcome"], outcome, "{verdict}");
            assert_eq!(review["findings"], json!([finding]), "{verdict}");
            for field in ["policy", "digest", "settings"] {
                assert_eq!(review[field], link[field], "{verdict}: {field}");
            }
            assert!(review["fuel"].as_u64() > Some(0), "{verdict}");
        }
    }
    let activity = demo.verb(&["activity", "--tenant", TENANT, "--user", photo.user]);
    assert_eq!(activity[0]["activity"], "User Photo Delete");
    assert_eq!(activity[0]["decisionId"], allowed["id"]);
    assert_eq!(demo.decisions(OTHER_TENANT), [] as [Value; 0]);
}

#[test]
fn a_hold_and_a_retention_date_win_over_a_chain_that_allows() {
    let demo = Demo::start();
    let cases = [
        (
            sunset(),
            "423",
            "423",
            "The photo is on legal hold",
            "The photo",
        ),
        (
            contract(),
            "held",
            "retained",
            "The document is on legal hold.",
            "The document",
        ),
    ];
    for (object, held, retained, on_hold, it) in cases {
        let on = |words: &[&str], more: &[&str]| demo.on(&object, words, more);
        on(&["hold", "place"], &["--reason", "case 2026/17"]);
        assert_eq!(demo.delete(&object), refused(423, held, on_hold));
        on(&["hold", "place"], &["--reason", "case 2026/18"]);
        on(&["object", "change"], &["--retain-until", "2100-01-01"]);
        assert_eq!(demo.delete(&object), refused(423, held, on_hold));
        assert_eq!(on(&["hold", "release"], &[])["released"], 2);
        let kept = format!("{it} must be kept until 2100-01-01T00:00:00Z.");
        assert_eq!(demo.delete(&object), refused(423, retained, &kept));
        assert!(demo.has(&object));
        on(&["object", "change"], &["--retain-until", "2001-01-01"]);
        assert_eq!(demo.delete(&object), deleted());
        assert!(!demo.has(&object));
    }
    let decisions = demo.decisions(TENANT);
    let verdicts: Vec<_> = decisions
        .iter()
        .map(|decision| &decision["verdict"])
        .collect();
    let each = ["allowed", "retained", "held", "held"];
    assert_eq!(verdicts, [each, each].concat());
}

#[test]
fn no_request_falls_between_two_chains_and_every_decision_names_the_one_it_was_made_by() {
    let demo = Demo::start();
    let chains = [KEEP_PHOTOS, KEEP_PHOTOS_LONGER];
    let mut settings = std::collections::HashMap::new();
    let mut swap = |link: &str| {
        let chain = demo.assign(TENANT, &[link]);
        let revision = chain["revision"].as_u64().expect("a revision");
        settings.insert(revision, chain["chain"][0]["settings"].clone());
    };
    swap(chains[0]);
    let done = AtomicBool::new(false);
    let answered: usize = std::thread::scope(|scope| {
        let ask = || {
            let mut answered = 0;
            while !done.load(Ordering::Relaxed) {
                let Answer(status, _, message) = demo.delete(&rings());
                let known = [
                    "must be 30; 30 days missing.",
                    "must be 60; 60 days missing.",
                ];
                let known = known.iter().any(|end| message.ends_with(end));
                assert!(status == 403 && known, "{status} {message}");
                answered += 1;
            }
            answered
        };
        let asking = [scope.spawn(ask), scope.spawn(ask)];
        for round in 1..=4 {
            swap(chains[round % 2]);
        }
        done.store(true, Ordering::Relaxed);
        asking
            .into_iter()
            .map(|asked| asked.join().expect("no panic"))
            .sum()
    });
    let decisions = demo.decisions(TENANT);
    assert_eq!(decisions.len(), answered);
    for decision in decisions {
        let revision = decision["chainRevision"].as_u64().expect("a revision");
        assert_eq!(
            decision["reviews"][0]["settings"], settings[&revision],
            "{decision}"
        );
    }
}
