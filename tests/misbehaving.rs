//! Guests that misbehave, and what becomes of them: each is refused with a code of its own, and the
//! photo stays.

use atropos::config::{Config, GuestLimits};
use atropos::error::Refused;
use atropos::target::Digest;
use atropos_test_guests as guests;

use crate::support::stage::{OWNER, Stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_whatever_a_misbehaving_policy_does_with_a_code_of_its_own() {
    let cases: [(&str, &[u8], &str); 13] = [
        ("trap", guests::TRAP, "policy-trap"),
        ("overflow", guests::OVERFLOW, "policy-trap"),
        ("spin", guests::SPIN, "policy-fuel"),
        ("hungry", guests::HUNGRY, "policy-memory"),
        ("verbose", guests::VERBOSE, "policy-oversized"),
        (
            "contradiction",
            guests::CONTRADICTION,
            "policy-contradiction",
        ),
        ("wasi-import", guests::WASI_IMPORT, "policy-unreadable"),
        ("slow-start", guests::SLOW_START, "policy-fuel"),
        ("traps-at-start", guests::TRAPS_AT_START, "policy-trap"),
        ("many-findings", guests::MANY_FINDINGS, "policy-oversized"),
        ("invalid-text", guests::INVALID_TEXT, "policy-trap"),
        ("keeps-state", guests::KEEPS_STATE, "denied"),
        ("deny-all", guests::DENY_ALL, "denied"),
    ];
    for (name, component, verdict) in cases {
        let stage = Stage::set();
        stage.assign(name, component);
        let refused = stage.delete("p-1").await.expect_err(name);
        assert!(
            matches!(refused, Refused::Plugin { .. }),
            "{name}: {refused:?}"
        );
        assert_eq!(stage.verdict().await, verdict, "{name}");
        stage.assert_intact(name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_whatever_a_misbehaving_plugin_does_with_a_code_of_its_own() {
    let cases: [(&str, &[u8], &str); 13] = [
        ("refuse-everything", guests::REFUSE_EVERYTHING, "403"),
        (
            "claims-success",
            guests::CLAIMS_SUCCESS,
            "plugin-contradiction",
        ),
        (
            "keeps-handles",
            guests::KEEPS_HANDLES,
            "plugin-contradiction",
        ),
        (
            "stages-then-traps",
            guests::STAGES_THEN_TRAPS,
            "plugin-trap",
        ),
        ("denies-after-staging", guests::DENIES_AFTER_STAGING, "403"),
        ("floods-host", guests::FLOODS_HOST, "plugin-host-calls"),
        ("leaks-handles", guests::LEAKS_HANDLES, "plugin-host-calls"),
        ("bad-code", guests::BAD_CODE, "plugin-oversized"),
        ("long-argument", guests::LONG_ARGUMENT, "plugin-oversized"),
        ("splits-lines", guests::SPLITS_LINES, "plugin-contradiction"),
        ("hungry-plugin", guests::HUNGRY_PLUGIN, "plugin-memory"),
        ("spin-plugin", guests::SPIN_PLUGIN, "plugin-fuel"),
        ("wasi-import", guests::WASI_IMPORT, "plugin-unreadable"),
    ];
    for (name, component, code) in cases {
        let stage = Stage::set();
        stage.choose(component);
        let refused = stage.delete("p-1").await.expect_err(name);
        assert_eq!(refused.code(), code, "{name}: {refused:?}");
        stage.assert_intact(name);
    }
}

#[tokio::test]
async fn refuses_a_policy_that_the_storage_does_not_have() {
    let stage = Stage::set();
    stage.memory.chain.lock()[0].digest = Digest::of(b"nothing has this digest");
    stage.delete("p-1").await.expect_err("no component");
    assert_eq!(stage.verdict().await, "policy-missing");
    stage.assert_intact("missing");
}

#[tokio::test]
async fn an_empty_chain_allows_nothing() {
    let stage = Stage::set();
    stage.memory.chain.lock().clear();
    stage.delete("p-1").await.expect_err("no chain");
    assert_eq!(stage.verdict().await, "policy-missing");
    stage.assert_intact("no chain");
}

#[tokio::test]
async fn a_permit_is_good_for_its_own_object_only() {
    let stage = Stage::set();
    stage.memory.add_photo(OWNER, "p-2", b"other bytes");
    stage.choose(guests::SWAPS_PERMIT);
    let refused = stage.delete("p-1,p-2").await.expect_err("nothing staged");
    assert_eq!(refused.code(), "plugin-contradiction");
    assert_eq!(stage.memory.rows.lock().len(), 2);
}

#[tokio::test]
async fn a_call_erases_one_object_however_often_it_stages() {
    let stage = Stage::set();
    stage.choose(guests::STAGES_TWICE);
    stage.delete("p-1").await.expect("the first staging counts");
    assert_eq!(stage.memory.rows.lock().len(), 0);
    stage.atropos.stop().await;
    assert_eq!(
        stage.memory.decisions.lock().len(),
        2,
        "both reviews are recorded"
    );
}

#[tokio::test]
async fn a_policy_remembers_nothing_from_call_to_call() {
    let stage = Stage::set();
    stage.assign("keeps-state", guests::KEEPS_STATE);
    for _ in 0..5 {
        stage
            .delete("p-1")
            .await
            .expect_err("always the first call");
    }
    assert_eq!(stage.verdicts().await, ["denied"; 5]);
    stage.assert_intact("keeps-state");
}

#[tokio::test]
async fn a_policy_that_says_too_much_of_itself_is_refused_when_it_is_checked() {
    let stage = Stage::set();
    let checked = stage.atropos.sandbox().check(guests::BOASTFUL).await;
    let message = checked.expect_err("boastful").to_string();
    assert!(message.contains("settings-schema"), "{message}");
}

#[tokio::test]
async fn a_component_with_a_foreign_import_is_refused_by_name() {
    let stage = Stage::set();
    let sandbox = stage.atropos.sandbox();
    let refused = sandbox
        .check(guests::WASI_IMPORT)
        .await
        .expect_err("foreign");
    let message = refused.to_string();
    assert!(
        message.contains("imports wasi:clocks/monotonic-clock"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spinning_plugin_is_stopped_by_its_deadline_where_fuel_would_last() {
    let plugin = GuestLimits {
        fuel: u64::MAX / 2,
        deadline_ms: 100,
        ..GuestLimits::default()
    };
    let stage = Stage::with(&Config {
        plugin,
        ..Config::default()
    });
    stage.choose(guests::SPIN_PLUGIN);
    let refused = stage.delete("p-1").await.expect_err("too late");
    assert_eq!(refused.code(), "plugin-deadline");
    stage.assert_intact("spin-plugin");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_costs_the_same_fuel_each_time() {
    let stage = Stage::set();
    stage.memory.add_photo(OWNER, "p-2", b"bytes");
    stage
        .memory
        .assign("retention", r#"{"minimum-age-days": {"photo": 30}}"#);
    for _ in 0..3 {
        stage.delete("p-1").await.expect_err("too young");
    }
    stage.atropos.stop().await;
    let decisions = stage.memory.decisions.lock();
    let fuel: Vec<u64> = decisions
        .iter()
        .map(|decision| decision.reviews[0].fuel)
        .collect();
    assert!(fuel[0] > 0);
    assert!(fuel.iter().all(|each| *each == fuel[0]), "{fuel:?}");
}
