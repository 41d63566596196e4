//! Guests that misbehave, and what becomes of them: each is refused with a code of its own, counted
//! under its digest, and the photo stays.

use std::time::Duration;

use atropos::domain::PolicyLimits;
use atropos::error::Refused;
use atropos::target::Digest;
use atropos_service::config::{Config, GuestLimits};
use atropos_test_guests as guests;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::runtime::Builder;

use crate::support::forge;
use crate::support::stage::{OWNER, Stage, patient};

/// A guest and what it comes to: the verdict that a policy leaves behind, the code of a plugin.
type Case = (&'static str, &'static [u8], &'static str);

pub(crate) const POLICIES: [Case; 14] = [
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
    ("greedy-start", guests::GREEDY_START, "policy-memory"),
    ("slow-start", guests::SLOW_START, "policy-fuel"),
    ("traps-at-start", guests::TRAPS_AT_START, "policy-trap"),
    ("many-findings", guests::MANY_FINDINGS, "policy-oversized"),
    ("invalid-text", guests::INVALID_TEXT, "policy-trap"),
    ("keeps-state", guests::KEEPS_STATE, "denied"),
    ("deny-all", guests::DENY_ALL, "denied"),
];

pub(crate) const PLUGINS: [Case; 14] = [
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
    ("splits-lines", guests::SPLITS_LINES, "403"),
    ("hungry-plugin", guests::HUNGRY_PLUGIN, "plugin-memory"),
    ("spin-plugin", guests::SPIN_PLUGIN, "plugin-fuel"),
    (
        "spins-in-host-call",
        guests::SPINS_IN_HOST_CALL,
        "plugin-fuel",
    ),
    ("wasi-import", guests::WASI_IMPORT, "plugin-unreadable"),
];

/// Waits for `work` on this thread alone, and tells what was counted meanwhile.
fn counted(work: impl Future<Output = ()>) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    metrics::with_local_recorder(&recorder, || runtime.block_on(work));
    recorder.handle().render()
}

/// One fault under this code, and no other; none if the code is not one of a fault.
fn assert_counted(name: &str, shown: &str, code: &str) {
    let faults = shown.lines();
    let faults = faults.filter(|line| line.starts_with("atropos_guest_faults_total"));
    let faults: Vec<_> = faults.collect();
    if !code.starts_with("policy-") && !code.starts_with("plugin-") {
        return assert!(faults.is_empty(), "{name}: {faults:?}");
    }
    let line = format!("atropos_guest_faults_total{{code=\"{code}\"}} 1");
    assert_eq!(faults, [line], "{name}");
}

async fn refuses_a_policy(stage: Stage, name: &str, component: &[u8], verdict: &str) {
    stage.assign(name, component);
    let refused = stage.delete("p-1").await.expect_err(name);
    assert!(
        matches!(refused, Refused::Plugin { .. }),
        "{name}: {refused:?}"
    );
    assert_eq!(stage.verdict().await, verdict, "{name}");
    stage.assert_intact(name);
}

#[test]
fn refuses_whatever_a_misbehaving_policy_does_with_a_code_of_its_own() {
    for (name, component, verdict) in POLICIES {
        // What one guest asks for at once would fit the generous limits.
        let generous = name != "greedy-start";
        let shown = counted(async {
            let stage = if generous {
                Stage::set()
            } else {
                Stage::with(&patient())
            };
            refuses_a_policy(stage, name, component, verdict).await;
        });
        assert_counted(name, &shown, verdict);
    }
}

#[test]
fn refuses_whatever_a_misbehaving_plugin_does_with_a_code_of_its_own() {
    for (name, component, code) in PLUGINS {
        let shown = counted(async {
            let stage = Stage::set();
            stage.choose(component);
            let refused = stage.delete("p-1").await.expect_err(name);
            assert_eq!(refused.code(), code, "{name}: {refused:?}");
            stage.assert_intact(name);
        });
        assert_counted(name, &shown, code);
    }
}

#[test]
fn refuses_a_component_that_is_too_large_or_too_deep_to_compile() {
    let too_large = forge::padded(guests::DENY_ALL, (32 << 20) + 1);
    let too_deep = forge::nested(200_000);
    let table = [
        (
            "too-large",
            &too_large,
            "has 33554433 bytes, and at most",
            "policy-too-large",
        ),
        ("too-deep", &too_deep, "WebAssembly", "policy-unreadable"),
    ];
    for (name, component, message, code) in table {
        let shown = counted(async {
            let stage = Stage::set();
            let checked = stage
                .atropos
                .sandbox()
                .check(component, PolicyLimits::default())
                .await;
            let checked = checked.expect_err(name).to_string();
            assert!(checked.contains(message), "{name}: {checked}");
            refuses_a_policy(stage, name, component, code).await;
        });
        assert_counted(name, &shown, code);
    }
}

#[tokio::test]
async fn refuses_a_policy_that_the_storage_does_not_have() {
    let stage = Stage::set();
    stage.memory.chain.lock().entries[0].digest = Digest::of(b"nothing has this digest");
    stage.delete("p-1").await.expect_err("no component");
    assert_eq!(stage.verdict().await, "policy-missing");
    stage.assert_intact("missing");
}

#[tokio::test]
async fn an_empty_chain_allows_nothing() {
    let stage = Stage::set();
    stage.memory.chain.lock().entries.clear();
    stage.delete("p-1").await.expect_err("no chain");
    assert_eq!(stage.verdict().await, "policy-missing");
    stage.assert_intact("no chain");
}

#[tokio::test]
async fn a_message_with_line_breaks_is_escaped_and_the_plugins_refusal_stands() {
    let stage = Stage::set();
    stage.choose(guests::SPLITS_LINES);
    for _ in 0..12 {
        let refused = stage.delete("p-1").await.expect_err("it refuses");
        assert_eq!(refused.code(), "403");
        assert_eq!(refused.to_string(), "Refused.\\r\\nSet-Cookie: admin=1");
    }
    stage.assert_intact("splits-lines");
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
async fn a_policy_whose_schema_is_too_long_or_no_schema_is_refused_when_it_is_checked() {
    let stage = Stage::set();
    let table = [
        (guests::BOASTFUL, "at most 64 KiB"),
        (guests::WRONG_SCHEMA, "a JSON object"),
    ];
    for (component, expected) in table {
        let checked = stage
            .atropos
            .sandbox()
            .check(component, PolicyLimits::default())
            .await;
        let message = checked.expect_err("it is refused").to_string();
        let expected = format!("a settings-schema that is not {expected}");
        assert!(message.contains(&expected), "{message}");
    }
}

#[tokio::test]
async fn a_component_with_a_foreign_import_is_refused_by_name() {
    let stage = Stage::set();
    let sandbox = stage.atropos.sandbox();
    let refused = sandbox
        .check(guests::WASI_IMPORT, PolicyLimits::default())
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

#[tokio::test]
async fn a_policy_that_computes_for_long_takes_no_thread_from_others() {
    let patient = GuestLimits {
        fuel: u64::MAX / 2,
        deadline_ms: 60_000,
        ..GuestLimits::default()
    };
    let stage = Stage::with(&Config {
        plugin: patient,
        policy: GuestLimits {
            deadline_ms: 1_000,
            ..patient
        },
        ..Config::default()
    });
    stage.assign("spin", guests::SPIN);
    // There is one thread, and both are on it.
    let mut turns = 0;
    let others = async {
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            turns += 1;
        }
    };
    tokio::select! {
        refused = stage.delete("p-1") => drop(refused.expect_err("too late")),
        () = others => {}
    }
    assert!(turns > 3, "others had {turns} turns in a second");
    assert_eq!(stage.verdict().await, "policy-deadline");
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
