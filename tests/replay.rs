//! Recorded decisions, judged again: as they were, after somebody has tampered with them, and by other
//! policies.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::Instant;

use atropos::domain::{NewObject, Rendition};
use atropos::erase::{PhotoRequest, Request};
use atropos::target::{BlobKey, Kind, Object as Facts, Target, now_ms};
use atropos_service::config::Config;
use atropos_service::service::Service;
use atropos_test_guests as guests;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::demo::{
    Demo, Object, contract, deleted, hills, other_photo, payslip, rings, sunset,
};
use crate::support::site::{Site, secret};
use crate::support::stage::patient;
use crate::support::{PHOTO_USER, TENANT, WEBSITE, failure, run, verb};

const KEEP_PHOTOS: &str = r#"retention={"minimum-age-days":{"photo":30}}"#;
const KEEP_EVIDENCE: &str = r#"labels={"forbidden":["in-order"]}"#;
const FREEZE: &str = r#"change-freeze={"windows":[{"from":"2000-01-01T00:00:00Z","until":"2001-01-01T00:00:00Z","reason":"audit"}]}"#;
/// Lets photos go, and keeps documents.
const KEEP_DOCUMENTS: &str = r#"{"minimum-age-days":{"document":2555}}"#;

fn replay(data_dir: &Path, more: &[&str]) -> Output {
    let replay = ["replay", "--tenant", TENANT, "--json"];
    run(data_dir, &[&replay, more].concat())
}

fn found(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {said}"))
}

/// Counts of a replay: all, identical, differing, not reproducible.
fn counts(found: &Value) -> [u64; 4] {
    ["decisions", "identical", "differing", "notReproducible"]
        .map(|count| found[count].as_u64().expect("a count"))
}

/// Deletes what can be deleted under several chains. Three photos denied by `retention`, one by
/// `labels`, a document allowed, one held, and one left to a policy that spins.
fn seven_decisions(demo: &Demo) {
    let refused = |object: &Object| assert_ne!(demo.delete(object), deleted(), "{object:?}");
    demo.assign(TENANT, &[KEEP_EVIDENCE, KEEP_PHOTOS, FREEZE]);
    refused(&sunset());
    refused(&sunset());
    refused(&hills());
    refused(&rings());
    assert_eq!(demo.delete(&payslip()), deleted());
    demo.on(&hills(), &["hold", "place"], &["--reason", "a case"]);
    refused(&hills());
    let spins = demo.component("spin", guests::SPIN);
    demo.assign(TENANT, &["allow-all", &spins]);
    refused(&contract());
    demo.assign(TENANT, &[KEEP_EVIDENCE, KEEP_PHOTOS, FREEZE]);
}

#[test]
fn every_decision_comes_out_again_bit_for_bit() {
    let demo = Demo::start();
    let data_dir = demo.server.data_dir();
    seven_decisions(&demo);
    // Nobody replays what is another's.
    demo.delete(&other_photo());
    let output = replay(data_dir, &[]);
    let same = found(&output);
    assert!(output.status.success(), "{same}");
    assert_eq!(counts(&same), [7, 7, 0, 0], "{same}");
    assert_eq!(same["differences"], json!([]));
    let some = found(&replay(data_dir, &["--until", "1h"]));
    assert_eq!(counts(&some), [0, 0, 0, 0]);
    // What an earlier version recorded had no limits.
    let database = Connection::open(data_dir.join("atropos.db")).expect("the database");
    let forget = "UPDATE decisions SET reviews = json_remove(reviews, '$[0].limits')
        WHERE json_array_length(reviews) > 0";
    assert_eq!(database.execute(forget, []).expect("rows"), 7);
    let output = replay(data_dir, &[]);
    assert_eq!(counts(&found(&output)), [7, 7, 0, 0]);
}

#[test]
fn whatever_was_tampered_with_is_found() {
    let denied =
        "(SELECT seq FROM decisions WHERE verdict = 'denied' AND json_array_length(reviews) = 2
        ORDER BY seq LIMIT 1)";
    let table = [
        ("verdict = 'allowed'", &["verdict"][..]),
        ("reviews = json_set(reviews, '$[1].fuel', 7)", &["fuel"]),
        (
            "reviews = json_set(reviews, '$[1].findings[0].detail', 'is new')",
            &["findings"],
        ),
        (
            "reviews = json_set(reviews, '$[1].outcome', 'allow')",
            &["outcome"],
        ),
        ("reviews = json_remove(reviews, '$[1]')", &["verdict"]),
        (
            r#"reviews = json_set(reviews, '$[1].settings', '{"minimum-age-days":{"document":1}}')"#,
            &["outcome", "findings", "fuel", "verdict"],
        ),
        ("created_at_ms = 1000", &["outcome", "findings", "verdict"]),
    ];
    let demo = Demo::start();
    let data_dir = demo.server.data_dir();
    seven_decisions(&demo);
    let database = Connection::open(data_dir.join("atropos.db")).expect("the database");
    database
        .execute_batch("CREATE TEMP TABLE before AS SELECT * FROM decisions")
        .expect("a copy");
    for (tampering, expected) in table {
        let tamper = format!("UPDATE decisions SET {tampering} WHERE seq = {denied}");
        let id = format!("SELECT id FROM decisions WHERE seq = {denied}");
        let id: String = database.query_row(&id, [], |row| row.get(0)).expect("one");
        assert_eq!(database.execute(&tamper, []).expect("a row"), 1);
        let output = replay(data_dir, &[]);
        assert_eq!(output.status.code(), Some(1), "{tampering}");
        assert_eq!(failure(&output)["error"]["code"], "not-reproduced");
        let found = found(&output);
        assert_eq!(counts(&found), [7, 6, 1, 0], "{tampering}");
        let differences = found["differences"].as_array().expect("an array");
        let what: Vec<_> = differences.iter().map(|one| &one["what"]).collect();
        for expected in expected {
            assert!(what.contains(&&json!(expected)), "{tampering}: {found}");
        }
        assert!(differences.iter().all(|one| one["decision"] == *id));
        let restore = "UPDATE decisions SET (verdict, reviews, created_at_ms) =
            (SELECT verdict, reviews, created_at_ms FROM before WHERE before.seq = decisions.seq)";
        database.execute(restore, []).expect("rows");
    }
    assert_eq!(counts(&found(&replay(data_dir, &[]))), [7, 7, 0, 0]);
}

#[test]
fn what_depends_on_the_moment_is_told_apart() {
    let demo = Demo::start();
    let data_dir = demo.server.data_dir();
    demo.assign(TENANT, &[&demo.component("deny-all", guests::DENY_ALL)]);
    demo.delete(&sunset());
    demo.assign(TENANT, &[KEEP_PHOTOS]);
    demo.delete(&sunset());
    let database = Connection::open(data_dir.join("atropos.db")).expect("the database");
    let digest: String = database
        .query_row(
            "SELECT reviews ->> '$[0].digest' FROM decisions ORDER BY seq LIMIT 1",
            [],
            |row| row.get(0),
        )
        .expect("a digest");
    let late = "UPDATE decisions SET verdict = 'policy-deadline',
        reviews = json_set(reviews, '$[0].outcome', 'policy-deadline')
        WHERE seq = (SELECT max(seq) FROM decisions)";
    database.execute(late, []).expect("a row");
    assert_eq!(counts(&found(&replay(data_dir, &[]))), [2, 1, 0, 1]);
    database
        .execute("DELETE FROM components WHERE name = 'deny-all'", [])
        .expect("a row");
    let output = replay(data_dir, &[]);
    let without = found(&output);
    assert!(output.status.success(), "{without}");
    assert_eq!(counts(&without), [2, 0, 0, 2]);
    assert_eq!(without["components"], json!({ digest: "policy-missing" }));
}

#[test]
fn another_policy_flips_exactly_what_it_judges_otherwise_and_the_report_lets_it_in() {
    let demo = Demo::start();
    let data_dir = demo.server.data_dir();
    seven_decisions(&demo);
    let ids = |policy: &str, verdict: &str| -> Vec<Value> {
        let list = ["decision", "list", "--tenant", TENANT];
        let of = ["--policy", policy, "--verdict", verdict];
        let listed = demo.verb(&[&list[..], &of].concat());
        let listed = listed.as_array().expect("an array").iter().rev();
        listed.map(|one| one["id"].clone()).collect()
    };
    let candidate = ["--candidate", "retention", "--settings", KEEP_DOCUMENTS];
    let output = replay(data_dir, &candidate);
    let flips = found(&output);
    assert!(output.status.success(), "{flips}");
    assert_eq!(
        (&flips["decisions"], &flips["unasked"], &flips["same"]),
        (&json!(6), &json!(1), &json!(1)),
        "{flips}"
    );
    let young = ids("retention", "denied");
    assert_eq!(young.len(), 3);
    let (kept, spun) = (ids("retention", "allowed"), ids("spin", "policy-fuel"));
    let group = |flip: &str, policy: &str, rule: &str, examples: &[Value]| {
        json!({
            "flip": flip, "policy": policy, "rule": rule, "decisions": examples.len(),
            "examples": examples,
        })
    };
    let expected = [
        group("deny-to-allow", "retention", "minimum-age", &young),
        group("allow-to-deny", "retention", "minimum-age", &kept),
        group("from-fault", "retention", "minimum-age", &spun),
    ];
    assert_eq!(flips["groups"], json!(expected));
    let report = &flips["report"];
    assert_eq!(
        (
            &report["denyToAllow"],
            &report["allowToDeny"],
            &report["faults"]
        ),
        (&json!(3), &json!(1), &json!(0))
    );
    // The tenant wants to have seen that, and now has.
    demo.verb(&["policy", "require-replay", "on", "--tenant", TENANT]);
    let deploy = ["policy", "deploy", "retention", "--tenant", TENANT];
    let deploy = [&deploy[..], &["--settings", KEEP_DOCUMENTS]].concat();
    let refused = failure(&run(data_dir, &[&deploy[..], &["--json"]].concat()));
    assert_eq!(refused["error"]["code"], "replay-wanted");
    let id = report["id"].as_str().expect("an id");
    demo.verb(&[&deploy[..], &["--report", id]].concat());
    assert_eq!(demo.delete(&sunset()), deleted());
    // By the chain in force the latest decision comes to the same again.
    let text = run(data_dir, &["replay", "--tenant", TENANT]);
    let text = String::from_utf8(text.stdout).expect("text");
    assert_eq!(
        text,
        "8 decisions replayed: 8 identical, 0 differ, 0 cannot be reproduced\n"
    );
}

#[test]
fn a_whole_chain_and_a_policy_that_fails_can_be_tried_and_nothing_is_put_in_force() {
    let demo = Demo::start();
    let data_dir = demo.server.data_dir();
    seven_decisions(&demo);
    let before = demo.verb(&["policy", "show", "--tenant", TENANT]);
    let open = found(&replay(data_dir, &["--policy", "allow-all"]));
    let flips = |found: &Value| {
        let counts = ["denyToAllow", "allowToDeny", "faults"];
        counts.map(|count| found["report"][count].as_u64().expect("a count"))
    };
    assert_eq!(flips(&open), [5, 0, 0], "{open}");
    let spins = demo.component("another", guests::SPIN);
    let failing = found(&replay(
        data_dir,
        &["--candidate", &spins, "--by", "an auditor"],
    ));
    assert_eq!(flips(&failing), [0, 0, 1], "{failing}");
    assert_eq!(failing["groups"][0]["rule"], "policy-fuel");
    assert_eq!(failing["report"]["by"], "an auditor");
    let tight = found(&replay(data_dir, &["--fuel", "100"]));
    assert_eq!(flips(&tight), [0, 0, 5], "{tight}");
    assert_eq!(demo.verb(&["policy", "show", "--tenant", TENANT]), before);
    let both = ["--policy", "allow-all", "--candidate", "allow-all"];
    assert_eq!(replay(data_dir, &both).status.code(), Some(2));
    let wrong = ["--candidate", "retention", "--settings", r#"{"minimum":1}"#];
    let refused = failure(&replay(data_dir, &wrong));
    assert_eq!(refused["error"]["code"], "settings-refused");
}

/// Objects that decisions are about.
const OBJECTS: u64 = 200;

/// Makes so many decisions by the real gate, and records them.
async fn record(service: &Service, key: &str, decisions: u64) {
    let tenant = service.tenants.tenants().await.expect("tenants")[0].clone();
    for n in 0..OBJECTS {
        let key = BlobKey::random();
        let (keys, until) = ([key], now_ms() + 3_600_000);
        let reserved = service.catalogue.reserve(&keys, until).await;
        reserved.expect("a reservation");
        let labels = if n % 7 == 0 {
            vec!["in-order".to_owned()]
        } else {
            Vec::new()
        };
        let object = Facts {
            target: Target {
                tenant: tenant.id,
                kind: Kind::Photo,
                owner: PHOTO_USER.to_owned(),
                id: format!("p-{n}"),
            },
            version: 1,
            size_bytes: 1000 + n,
            media_type: "image/png".to_owned(),
            created_at_ms: now_ms() - n * 86_400_000 / 2,
            labels,
            retain_until_ms: None,
            held: false,
        };
        let renditions = vec![Rendition {
            name: "original".to_owned(),
            key,
            size_bytes: 1000 + n,
            media_type: "image/png".to_owned(),
        }];
        let new = NewObject {
            object,
            name: "a.png".to_owned(),
            dimensions: Some((1, 1)),
            renditions,
        };
        service.catalogue.insert(new).await.expect("an object");
    }
    let next = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (service, next, key) = (service.clone(), Arc::clone(&next), key.to_owned());
            tokio::spawn(async move {
                let mut made = Vec::new();
                loop {
                    let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if n < decisions {
                        let request = Request::Photo(PhotoRequest {
                            website_id: Some(WEBSITE.to_owned()),
                            site_key: Some(key.clone()),
                            user_id: Some(PHOTO_USER.to_owned()),
                            photo_id: Some(format!("p-{}", n % OBJECTS)),
                        });
                        let served = service.atropos.sandbox().serve(&request).await;
                        made.extend(served.unused);
                        made.extend(served.staged);
                    }
                    if made.len() >= 500 || n >= decisions {
                        let rows = &service.storage.rows;
                        rows.record(&made).await.expect("a record");
                        made.clear();
                    }
                    if n >= decisions {
                        break;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a recorder");
    }
}

#[test]
fn a_long_record_comes_out_again_and_says_how_many_decisions_a_second() {
    let decisions = std::env::var("ATROPOS_DECISIONS").map_or(1_000, |number| {
        number.parse::<u64>().expect("a number of decisions")
    });
    let site = Site::new();
    let data_dir = site.data_dir();
    let key = secret(&verb(&data_dir, &["key", "issue", "--tenant", TENANT]));
    let assign = ["policy", "assign", "--tenant", TENANT];
    let chain = [
        "--policy",
        KEEP_EVIDENCE,
        "--policy",
        KEEP_PHOTOS,
        "--policy",
        FREEZE,
    ];
    verb(&data_dir, &[&assign[..], &chain].concat());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let recorded = runtime.block_on(async {
        let config = Config {
            data_dir: data_dir.clone(),
            ..patient()
        };
        let service = Service::open_beside(config).expect("a service");
        let started = Instant::now();
        record(&service, &key, decisions).await;
        let took = started.elapsed();
        service.stop().await;
        took
    });
    eprintln!("{decisions} decisions made and recorded in {recorded:.1?}");

    let took = |more: &[&str]| {
        let started = Instant::now();
        let output = replay(&data_dir, more);
        let seconds = started.elapsed().as_secs_f64();
        let rate = decisions as f64 / seconds;
        eprintln!("replay {more:?}: {seconds:.2} s, {rate:.0} decisions a second");
        found(&output)
    };
    let same = took(&[]);
    assert_eq!(counts(&same), [decisions, decisions, 0, 0], "{same}");
    // Of 200 objects, half a day apart in age, 60 were too young; 9 of those bear a label that is asked
    // for first. Half the age lets half of them go.
    let younger = r#"{"minimum-age-days":{"photo":15}}"#;
    let flips = took(&["--candidate", "retention", "--settings", younger]);
    let expected = (0..decisions).map(|n| n % OBJECTS);
    let expected = expected
        .filter(|n| n % 7 != 0 && (30..60).contains(n))
        .count();
    assert_eq!(flips["report"]["denyToAllow"], expected as u64, "{flips}");
    assert_eq!(flips["groups"].as_array().expect("groups").len(), 1);
}
