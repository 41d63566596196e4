//! Decisions on record: there before the answer, found, explained and exported.

use std::path::Path;

use atropos_test_guests as guests;
use serde_json::{Map, Value};

use crate::support::demo::{Demo, Object, contract, deleted, hills, payslip, rings, sunset};
use crate::support::site::Site;
use crate::support::{self, PHOTO_USER, TENANT, WEBSITE, run, verb};

const KEEP_PHOTOS: &str = r#"retention={"minimum-age-days":{"photo":30}}"#;
const KEEP_EVIDENCE: &str = r#"labels={"forbidden":["payroll"]}"#;

/// Every field of a decision, as programs know them.
const FIELDS: [&str; 19] = [
    "atMs",
    "caller",
    "chainRevision",
    "createdAtMs",
    "held",
    "id",
    "kind",
    "labels",
    "mediaType",
    "objectId",
    "objectVersion",
    "policy",
    "retainUntilMs",
    "reviews",
    "sizeBytes",
    "tenant",
    "user",
    "verdict",
    "why",
];
const REVIEW_FIELDS: [&str; 8] = [
    "digest",
    "durationUs",
    "findings",
    "fuel",
    "limits",
    "outcome",
    "policy",
    "settings",
];

fn list(data_dir: &Path, more: &[&str]) -> Vec<Value> {
    let list = ["decision", "list", "--tenant", TENANT];
    let listed = verb(data_dir, &[&list, more].concat());
    listed.as_array().expect("an array").clone()
}

fn ids(decisions: &[Value]) -> Vec<&str> {
    let ids = decisions.iter().map(|one| one["id"].as_str());
    ids.map(|id| id.expect("an id")).collect()
}

/// Two allowed, two denied, one held, one retained: in this order.
fn six_decisions(demo: &Demo) -> Vec<Value> {
    let (photo, other, label, kept) = (sunset(), hills(), payslip(), contract());
    let refused = |object: &Object| assert_ne!(demo.delete(object), deleted(), "{object:?}");
    assert_eq!(demo.delete(&rings()), deleted());
    demo.assign(TENANT, &[KEEP_EVIDENCE, KEEP_PHOTOS]);
    refused(&photo);
    refused(&label);
    demo.on(&other, &["hold", "place"], &["--reason", "a case"]);
    refused(&other);
    let until = ["--retain-until", "2100-01-01"];
    demo.on(&kept, &["object", "change"], &until);
    refused(&kept);
    demo.on(&kept, &["object", "change"], &["--retain-until", "none"]);
    assert_eq!(demo.delete(&kept), deleted());
    let mut decisions = list(demo.server.data_dir(), &[]);
    decisions.reverse();
    let verdicts: Vec<_> = decisions.iter().map(|one| &one["verdict"]).collect();
    let expected = ["allowed", "denied", "denied", "held", "retained", "allowed"];
    assert_eq!(verdicts, expected, "each is on record once it is answered");
    decisions
}

#[test]
fn a_refusal_whose_decision_cannot_be_recorded_is_answered_as_unavailable() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let file = site.folder().join("beach.png");
    std::fs::write(&file, support::photos::picture(4, 4)).expect("a file");
    let put = ["object", "put", "photo", file.to_str().expect("UTF-8")];
    let of = ["--tenant", TENANT, "--user", PHOTO_USER];
    let photo = verb(&data_dir, &[&put[..], &of].concat());
    let photo = photo["id"].as_str().expect("an id").to_owned();
    let issued = verb(&data_dir, &["key", "issue", "--tenant", TENANT]);
    let key = support::site::secret(&issued);
    let assign = ["policy", "assign", "--tenant", TENANT];
    verb(
        &data_dir,
        &[&assign[..], &["--policy", KEEP_PHOTOS]].concat(),
    );

    let failing = [("FAILPOINTS", "rows.record=2*return".to_owned())];
    let server = site.serve_in("", &failing);
    let ask = |once: Option<&str>| {
        let query = format!("userId={PHOTO_USER}&photoId={photo}");
        let path = format!("/api/4/UploadImage/DeleteUserPhoto?{query}");
        let request = server.http.get(server.url(&path));
        let request = request.header("websiteId", WEBSITE);
        let mut request = request.header("webApiClientKey", &key);
        if let Some(once) = once {
            request = request.header("Idempotency-Key", once);
        }
        request.send().expect("an answer").status().as_u16()
    };
    assert_eq!(ask(None), 503);
    assert_eq!(ask(Some("k-1")), 503, "and nothing is kept for repeats");
    assert!(list(&data_dir, &[]).is_empty());
    assert_eq!(ask(Some("k-1")), 403);
    assert_eq!(ask(None), 403);
    assert_eq!(list(&data_dir, &["--verdict", "denied"]).len(), 2);
}

#[test]
fn decisions_are_found_by_what_they_are_about_and_paged_without_a_gap() {
    let demo = Demo::start();
    let data_dir = demo.server.data_dir();
    let made = six_decisions(&demo);
    let all = ids(&made);
    let labels = made[2]["reviews"][0]["digest"].as_str().expect("a digest");
    let caller = made[0]["caller"]["id"].as_str().expect("an id");
    let revision = made[5]["chainRevision"].to_string();
    let table: [(&[&str], &[usize]); 12] = [
        (&["--user", PHOTO_USER], &[3, 1, 0]),
        (&["--kind", "document"], &[5, 4, 2]),
        (&["--object", &sunset().id], &[1]),
        (&["--caller", caller], &[3, 1, 0]),
        (&["--verdict", "denied"], &[2, 1]),
        (&["--verdict", "policy-fuel"], &[]),
        (&["--policy", "retention"], &[5, 1]),
        (&["--digest", labels], &[5, 2, 1]),
        (&["--revision", &revision], &[5, 4, 3, 2, 1]),
        (&["--since", "1h"], &[5, 4, 3, 2, 1, 0]),
        (&["--until", "1h"], &[]),
        (&["--verdict", "denied", "--kind", "photo"], &[1]),
    ];
    for (filter, expected) in table {
        let found = list(data_dir, filter);
        let expected: Vec<_> = expected.iter().map(|&place| all[place]).collect();
        assert_eq!(ids(&found), expected, "{filter:?}");
    }
    let (mut seen, mut after) = (Vec::new(), Vec::new());
    loop {
        let part = list(data_dir, &[&["--limit", "2"][..], &after].concat());
        let Some(last) = part.last() else { break };
        let last = last["id"].as_str().expect("an id");
        seen.extend(ids(&part).into_iter().map(str::to_owned));
        after = vec![
            "--after",
            all[all.iter().position(|id| *id == last).expect("known")],
        ];
    }
    seen.reverse();
    assert_eq!(seen, all);
    let nowhere = ["decision", "list", "--tenant", TENANT, "--after"];
    let unknown = "6f1c2c6e-0000-4000-8000-000000000000";
    assert_eq!(
        run(data_dir, &[&nowhere[..], &[unknown]].concat())
            .status
            .code(),
        Some(1)
    );
}

#[test]
fn an_explanation_names_rule_policy_settings_facts_and_what_would_have_to_change() {
    let demo = Demo::start();
    let made = six_decisions(&demo);
    let hold = format!("atropos hold release photo {} --tenant", hills().id);
    let date = format!("atropos object change document {} --tenant", contract().id);
    let table: [&[&str]; 6] = [
        &["was allowed: the one policy", "1. allow-all allowed"],
        &[
            "was refused: policy retention denied it by its rule minimum-age",
            "1. labels allowed",
            "2. retention denied",
            r#"settings: {"minimum-age-days":{"photo":30}}"#,
            "- failed minimum-age: the photo is 0 days old and must be 30",
            "Chain:     revision 2 of mytenant, in force since",
            "no labels; no hold; no retention date",
            "site-key",
            "What would have to change:\n- what the rule minimum-age of retention found",
            "atropos replay --tenant mytenant --candidate",
        ],
        &["policy labels denied it", "labels payroll"],
        &["a legal hold was on it, and no policy was asked", &hold],
        &[
            "its retention date lay ahead",
            "2100-01-01T00:00:00Z",
            &date,
        ],
        &["all 2 policies of the chain had nothing against it"],
    ];
    let data_dir = demo.server.data_dir();
    for (decision, phrases) in made.iter().zip(table) {
        let id = decision["id"].as_str().expect("an id");
        let explain = ["decision", "explain", id, "--tenant", TENANT];
        let text = run(data_dir, &explain);
        let text = String::from_utf8(text.stdout).expect("text");
        for phrase in phrases {
            assert!(text.contains(phrase), "{phrase}: {text}");
        }
        let allowed = decision["verdict"] == "allowed";
        assert_eq!(text.contains("would have to"), !allowed, "{text}");
        assert_eq!(verb(data_dir, &explain)["decision"], id);
        let shown = verb(data_dir, &["decision", "show", id, "--tenant", TENANT]);
        assert_eq!(&shown, decision);
        let text = run(data_dir, &["decision", "show", id, "--tenant", TENANT]);
        let text = String::from_utf8(text.stdout).expect("text");
        assert!(text.contains(id) && text.contains("FINDINGS"), "{text}");
    }
    let foreign = made[0]["id"].as_str().expect("an id");
    let foreign = ["decision", "show", foreign, "--tenant", "acme"];
    assert_eq!(run(data_dir, &foreign).status.code(), Some(1));
}

#[test]
fn a_fault_is_explained_by_its_limit() {
    let demo = Demo::start();
    demo.assign(TENANT, &[&demo.component("spin", guests::SPIN)]);
    demo.delete(&sunset());
    let data_dir = demo.server.data_dir();
    let id = list(data_dir, &["--verdict", "policy-fuel"])[0]["id"].clone();
    let explain = ["decision", "explain", id.as_str().expect("an id")];
    let text = run(data_dir, &[&explain[..], &["--tenant", TENANT]].concat());
    let text = String::from_utf8(text.stdout).expect("text");
    for phrase in [
        "did not judge (policy-fuel), which never allows",
        "would have to do with 20000000 fuel, or have more",
    ] {
        assert!(text.contains(phrase), "{phrase}: {text}");
    }
}

#[test]
fn an_export_has_every_decision_once_and_goes_on_where_it_ended() {
    let demo = Demo::start();
    let data_dir = demo.server.data_dir();
    let made = six_decisions(&demo);
    let export = |more: &[&str]| {
        let export = ["decision", "export", "--tenant", TENANT];
        let output = run(data_dir, &[&export, more].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let lines = |text: &str| -> Vec<Value> {
        let lines = text.lines().map(serde_json::from_str);
        lines.map(|line| line.expect("JSON")).collect()
    };
    let exported = lines(&export(&[]));
    assert_eq!(exported, made);
    let names = |value: &Value| -> Vec<String> {
        let fields: &Map<String, Value> = value.as_object().expect("an object");
        fields.keys().cloned().collect()
    };
    for decision in &exported {
        assert_eq!(names(decision), FIELDS);
        for review in decision["reviews"].as_array().expect("an array") {
            assert_eq!(names(review), REVIEW_FIELDS);
        }
    }
    let third = made[2]["id"].as_str().expect("an id");
    assert_eq!(lines(&export(&["--after", third])), made[3..]);
    let file = data_dir.with_file_name("exported.jsonl");
    let output = ["--output", file.to_str().expect("UTF-8")];
    let said = export(&[&["--verdict", "denied"][..], &output].concat());
    assert!(said.starts_with("exported 2 decisions to "), "{said}");
    let written = std::fs::read_to_string(&file).expect("a file");
    assert_eq!(lines(&written), made[1..3]);
    assert_eq!(export(&["--user", "nobody"]), "");
}
