//! Chains that are changed: deployed, looked back upon, taken back, tried beside others, held to a replay.

use serde_json::{Value, json};

use crate::support::demo::{Demo, deleted, hills, refused, rings, sunset};
use crate::support::{TENANT, atropos, eventually, failure, run, system_user, verb};

const KEEP: &str = r#"{"minimum-age-days":{"photo":30}}"#;
const KEEP_EVIDENCE: &str = r#"labels={"forbidden":["in-order","holiday"]}"#;

/// The policies of a chain, as a verb showed it.
fn policies(chain: &Value) -> Vec<&str> {
    let chain = chain["chain"].as_array().expect("a chain");
    chain
        .iter()
        .filter_map(|entry| entry["policy"].as_str())
        .collect()
}

fn tenant(words: &[&'static str], more: &[&'static str]) -> Vec<&'static str> {
    [words, &["--tenant", TENANT], more].concat()
}

/// Runs a verb that must be refused, and returns its code.
fn code(demo: &Demo, args: &[&str]) -> String {
    let output = run(demo.server.data_dir(), &[args, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let failure = failure(&output);
    failure["error"]["code"]
        .as_str()
        .expect("a code")
        .to_owned()
}

#[test]
fn a_change_is_by_the_system_user_whatever_the_environment_says() {
    let demo = Demo::start();
    let mut assign = atropos(demo.server.data_dir());
    assign.args([
        "policy",
        "assign",
        "--tenant",
        TENANT,
        "--policy",
        "allow-all",
    ]);
    for name in ["USER", "LOGNAME", "SUDO_USER"] {
        assign.env(name, "mallory");
    }
    let assigned = assign.output().expect("the binary runs");
    assert!(assigned.status.success(), "{assigned:?}");
    let history = verb(demo.server.data_dir(), &tenant(&["policy", "history"], &[]));
    assert_eq!(history[0]["by"], system_user());
}

#[test]
fn a_deployed_policy_takes_its_place_and_the_rest_of_the_chain_stays() {
    let demo = Demo::start();
    demo.assign(TENANT, &[KEEP_EVIDENCE]);
    let retention = atropos::guest::BUILT_IN_POLICIES[1].1;
    let file = demo.component("mine", retention);
    let deploy = |settings: &str| {
        let args = [
            "policy",
            "deploy",
            &file,
            "--tenant",
            TENANT,
            "--settings",
            settings,
        ];
        demo.verb(&args)
    };
    let chain = deploy(KEEP);
    assert_eq!(policies(&chain), ["labels", "retention"]);
    let again = deploy(r#"{"minimum-age-days":{"photo":60}}"#);
    assert_eq!(policies(&again), ["labels", "retention"]);
    assert_eq!(again["chain"][0], chain["chain"][0]);
    assert_eq!(again["chain"][1]["digest"], chain["chain"][1]["digest"]);
    let why = "retention: minimum-age: the photo is 0 days old and must be 60; 60 days missing";
    let denied = refused(403, "403", &format!("Denied by policy {why}."));
    assert_eq!(demo.delete(&sunset()), denied);
}

#[test]
fn settings_that_a_policy_refuses_change_nothing() {
    let demo = Demo::start();
    let before = demo.verb(&tenant(&["policy", "show"], &[]));
    let settings = r#"{"minimum-age-days":{"photo":0}}"#;
    let args = [
        "policy",
        "deploy",
        "retention",
        "--tenant",
        TENANT,
        "--settings",
        settings,
    ];
    assert_eq!(code(&demo, &args), "settings-refused");
    assert_eq!(
        code(&demo, &[&args[..], &["--shadow"]].concat()),
        "settings-refused"
    );
    assert_eq!(demo.verb(&tenant(&["policy", "show"], &[])), before);
}

#[test]
fn history_tells_who_changed_the_chain_when_and_why_and_one_verb_takes_it_back() {
    let demo = Demo::start();
    let first = demo.verb(&tenant(&["policy", "show"], &[]));
    let change = [
        "--by",
        "ada",
        "--why",
        "a new contract",
        "--fuel",
        "1000000",
    ];
    let deploy = [
        "policy",
        "deploy",
        "retention",
        "--tenant",
        TENANT,
        "--settings",
        KEEP,
    ];
    demo.verb(&[&deploy[..], &change].concat());
    assert!(demo.delete(&sunset()) != deleted());
    let back = demo.verb(&tenant(&["policy", "rollback"], &["--by", "bob"]));
    assert_eq!(back["chain"], first["chain"]);
    assert_eq!(back["limits"], json!({}), "limits go back as well");
    assert_eq!(demo.delete(&sunset()), deleted());

    let history = demo.verb(&tenant(&["policy", "history"], &[]));
    let row = |revision: &Value| {
        let field = |name: &str| revision[name].clone();
        ["revision", "origin", "by", "why"].map(field)
    };
    let rows: Vec<_> = history.as_array().expect("rows").iter().map(row).collect();
    let expected = [
        [
            json!(3),
            json!("rolled-back"),
            json!("bob"),
            json!("back to revision 1"),
        ],
        [
            json!(2),
            json!("deployed"),
            json!("ada"),
            json!("a new contract"),
        ],
        [json!(1), json!("created"), json!("demo"), json!("")],
    ];
    assert_eq!(rows, expected);
    assert_eq!(history[1]["limits"], json!({ "fuel": 1_000_000 }));
    let times = [0, 1, 2].map(|at: usize| history[at]["atMs"].as_u64().expect("a time"));
    assert!(
        times.is_sorted_by(|later, earlier| later >= earlier),
        "{times:?}"
    );

    let again = demo.verb(&tenant(&["policy", "rollback"], &["--to", "2"]));
    assert_eq!(policies(&again), ["allow-all", "retention"]);
    let gone = tenant(&["policy", "rollback"], &["--to", "9"]);
    assert_eq!(code(&demo, &gone), "not-found");
}

#[test]
fn what_a_tenants_policies_may_consume_is_part_of_its_chain() {
    let demo = Demo::start();
    let starved = tenant(&["policy", "deploy", "retention"], &["--settings", KEEP]);
    demo.verb(&[&starved[..], &["--fuel", "100000"]].concat());
    // Enough to check settings, and not to be told of by default.
    let limits = demo.verb(&tenant(&["policy", "show"], &[]))["limits"].clone();
    assert_eq!(limits, json!({ "fuel": 100_000 }));
    assert_eq!(demo.delete(&sunset()).1, "403");
    let decision = &demo.decisions(TENANT)[0];
    assert_eq!(decision["reviews"][0]["limits"]["fuel"], 100_000);
    let args = [&starved[..], &["--fuel", "10"]].concat();
    assert_eq!(code(&demo, &args), "component-refused");
}

#[test]
fn a_chain_is_tried_on_live_requests_without_effect_and_promoted() {
    let demo = Demo::start();
    demo.assign(TENANT, &[KEEP_EVIDENCE]);
    let retention = format!("retention={KEEP}");
    let assign = [
        "policy", "assign", "--tenant", TENANT, "--policy", &retention,
    ];
    let shadow = ["--shadow", "--by", "ada", "--why", "try"];
    demo.verb(&[&assign[..], &shadow].concat());
    // What is in force decides: the one goes, the others are refused for their labels.
    assert_eq!(demo.delete(&sunset()), deleted());
    for object in [hills(), rings()] {
        assert_eq!(demo.delete(&object).0, 403);
        assert!(demo.has(&object));
    }
    let tally = eventually("what the shadow said", || {
        let tally = demo.verb(&tenant(&["policy", "shadow"], &[]));
        (tally["compared"] == 3).then_some(tally)
    });
    assert_eq!(
        (&tally["allowToDeny"], &tally["denyToAllow"]),
        (&json!(1), &json!(0))
    );
    let [flip] = &tally["differences"].as_array().expect("an array")[..] else {
        panic!("one difference: {tally:#}");
    };
    assert_eq!(flip["flip"], "allow-to-deny");
    assert_eq!(
        (&flip["was"], &flip["would"]),
        (&json!("allowed"), &json!("denied"))
    );
    let why = "minimum-age: the photo is 0 days old and must be 30; 30 days missing";
    assert_eq!(
        (&flip["policy"], &flip["why"]),
        (&json!("retention"), &json!([why]))
    );
    let decision = &demo.decisions(TENANT)[2];
    assert_eq!(flip["decision"], decision["id"]);

    let promoted = demo.verb(&tenant(&["policy", "promote"], &[]));
    assert_eq!(
        (policies(&promoted), &promoted["origin"]),
        (vec!["retention"], &json!("promoted"))
    );
    let told = promoted["why"].as_str().expect("a reason");
    assert!(told.starts_with("try; asked about 3 decisions"), "{told}");
    let denied = demo.delete(&hills());
    assert!(denied.2.contains("retention"), "{denied:?}");
    assert_eq!(
        code(&demo, &tenant(&["policy", "promote"], &[])),
        "not-found"
    );
}

#[test]
fn what_would_be_allowed_that_was_refused_is_listed_first() {
    let demo = Demo::start();
    demo.assign(TENANT, &[KEEP_EVIDENCE]);
    let other = r#"labels={"forbidden":["nothing"]}"#;
    let shadow = tenant(&["policy", "assign"], &["--shadow", "--policy"]);
    demo.verb(&[&shadow[..], &[other]].concat());
    for object in [rings(), sunset(), hills()] {
        demo.delete(&object);
    }
    let tally = eventually("what the shadow said", || {
        let tally = demo.verb(&tenant(&["policy", "shadow"], &[]));
        (tally["compared"] == 3).then_some(tally)
    });
    assert_eq!(tally["denyToAllow"], 2);
    let why = "forbidden-label: bears the label `holiday`";
    assert_eq!(tally["differences"][0]["why"], json!([why]));
    assert_eq!(tally["differences"][0]["flip"], "deny-to-allow");
    demo.verb(&tenant(&["policy", "withdraw"], &[]));
    assert_eq!(
        code(&demo, &tenant(&["policy", "shadow"], &[])),
        "not-found"
    );
    assert!(demo.has(&rings()), "it had no effect");
}

#[test]
fn a_tenant_can_want_a_replay_before_a_change_that_may_allow_more() {
    let demo = Demo::start();
    demo.assign(TENANT, &[KEEP_EVIDENCE]);
    demo.verb(&tenant(&["policy", "require-replay", "on"], &[]));
    let stricter = demo.verb(&tenant(
        &["policy", "deploy", "retention"],
        &["--settings", KEEP],
    ));
    assert_eq!(policies(&stricter), ["labels", "retention"]);
    let wider = tenant(&["policy", "assign"], &["--policy", "allow-all"]);
    assert_eq!(code(&demo, &wider), "replay-wanted");
    assert_eq!(
        code(&demo, &tenant(&["policy", "rollback"], &[])),
        "replay-wanted"
    );
    demo.verb(&[&wider[..], &["--shadow"]].concat());
    assert_eq!(
        code(&demo, &tenant(&["policy", "promote"], &[])),
        "replay-wanted"
    );
    let unknown = ["--report", "0b54a9d2-8c1f-4f6e-9a37-5d2c7e10b4a1"];
    assert_eq!(code(&demo, &[&wider[..], &unknown].concat()), "not-found");
    let output = run(demo.server.data_dir(), &[&wider[..], &["--json"]].concat());
    let told = failure(&output)["error"]["remedy"].to_string();
    assert!(told.contains("atropos replay"), "{told}");
    assert_eq!(demo.delete(&rings()).0, 403);
    let replay = tenant(&["replay"], &["--policy", "allow-all"]);
    let with = |found: &Value| {
        let id = found["report"]["id"].as_str().expect("an id");
        [&wider[..], &["--report", id]]
            .concat()
            .iter()
            .map(|arg| (*arg).to_owned())
            .collect()
    };
    let since = [&replay[..], &["--since", "1d"]].concat();
    let partial: Vec<String> = with(&demo.verb(&since));
    let partial: Vec<_> = partial.iter().map(String::as_str).collect();
    assert_eq!(code(&demo, &partial), "partial-report");
    let found = demo.verb(&replay);
    assert_eq!(found["report"]["denyToAllow"], 1, "{found}");
    let whole: Vec<String> = with(&found);
    let whole: Vec<_> = whole.iter().map(String::as_str).collect();
    let revised = demo.verb(&whole);
    assert_eq!(policies(&revised), ["allow-all"]);
    assert_eq!(revised["report"], found["report"]["id"]);
    demo.verb(&tenant(&["policy", "require-replay", "off"], &[]));
    demo.verb(&tenant(&["policy", "rollback"], &["--to", "1"]));
}

#[test]
fn a_server_knows_of_a_change_by_its_next_request() {
    let demo = Demo::start();
    let denied = |days: u32| {
        let why = format!(
            "retention: minimum-age: the photo is 0 days old and must be {days}; {days} days missing"
        );
        refused(403, "403", &format!("Denied by policy {why}."))
    };
    let deploy = tenant(&["policy", "deploy", "retention"], &["--settings"]);
    for days in [30, 31] {
        let settings = format!(r#"{{"minimum-age-days":{{"photo":{days}}}}}"#);
        demo.verb(&[&deploy[..], &[&settings]].concat());
        assert_eq!(demo.delete(&sunset()), denied(days));
    }
    demo.verb(&tenant(&["policy", "rollback"], &[]));
    assert_eq!(demo.delete(&sunset()), denied(30));
    demo.verb(&tenant(&["policy", "rollback"], &["--to", "1"]));
    assert_eq!(demo.delete(&sunset()), deleted());
}
