//! Components that keep failing, held off for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use atropos::domain::{Chain, PolicyLimits};
use atropos::erase::Platform;
use atropos::error::{FaultKind, Reason, Refused};
use atropos::ports::{Chains, Result};
use atropos::target::{Digest, TenantId};
use atropos_service::config::{Breaker, Config, GuestLimits};
use atropos_test_guests as guests;

use crate::embed::platform::Memory;
use crate::support::stage::{OWNER, Stage, patient};

const FAULTS: usize = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(100);

fn config() -> Config {
    Config {
        breaker: Breaker {
            faults: FAULTS as u32,
            first_pause_ms: 100_000,
            longest_pause_ms: 1_000_000,
        },
        ..patient()
    }
}

/// Lets time pass without waiting for it.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Deletes as often as the breaker bears.
async fn fail(stage: &Stage, photo: &str) {
    for _ in 0..FAULTS {
        stage.delete(photo).await.expect_err("it fails");
    }
}

/// For how long the plugin's refusal tells the caller to wait.
fn wait(refused: &Refused) -> Option<Duration> {
    match refused {
        Refused::Plugin { reason, .. } => match reason {
            Reason::Unavailable(ms) => ms.map(Duration::from_millis),
            other => panic!("another reason: {other:?}"),
        },
        other => panic!("not of the plugin: {other:?}"),
    }
}

fn is_within_the_first_pause(left: Duration) -> bool {
    left > FIRST_PAUSE / 2 && left <= FIRST_PAUSE
}

#[tokio::test]
async fn a_policy_that_keeps_failing_is_not_asked_for_a_while_and_the_decision_says_so() {
    let stage = Stage::with(&config());
    stage.assign("trap", guests::TRAP);
    fail(&stage, "p-1").await;
    let refused = stage.delete("p-1").await.expect_err("held off");
    assert!(wait(&refused).is_some_and(is_within_the_first_pause));
    let mut expected = vec!["policy-trap"; FAULTS];
    expected.push("policy-held-off");
    assert_eq!(stage.verdicts().await, expected);
    let decisions = stage.memory.decisions.lock();
    let review = &decisions[FAULTS].reviews[0];
    assert_eq!(review.outcome, "policy-held-off");
    assert_eq!((review.fuel, review.duration_us), (0, 0), "it was asked");
    stage.assert_intact("held off");
}

#[tokio::test]
async fn of_many_requests_at_once_few_wait_for_a_policy_that_spins() {
    let stage = Arc::new(Stage::with(&config()));
    stage.assign("spin", guests::SPIN);
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let stage = Arc::clone(&stage);
        requests.spawn(async move { stage.delete("p-1").await });
    }
    for refused in requests.join_all().await {
        assert!(matches!(refused, Err(Refused::Plugin { .. })));
    }
    let verdicts = stage.verdicts().await;
    let count = |code| verdicts.iter().filter(|verdict| *verdict == code).count();
    assert_eq!(count("policy-fuel"), FAULTS);
    assert_eq!(count("policy-held-off"), 50 - FAULTS);
}

#[tokio::test]
async fn a_policy_that_is_well_after_the_pause_judges_again() {
    let stage = Stage::with(&config());
    stage.memory.add_photo(OWNER, "p-2", b"bytes");
    stage.memory.add_photo(OWNER, "bad-1", b"bytes");
    stage.assign("moody", guests::MOODY);
    fail(&stage, "bad-1").await;
    stage.delete("p-1").await.expect_err("held off");
    pass(FIRST_PAUSE).await;
    stage.delete("p-1").await.expect("let through");
    stage.delete("bad-1").await.expect_err("it fails again");
    stage.delete("p-2").await.expect("once is not too often");
}

#[tokio::test]
async fn a_policy_that_fails_after_the_pause_is_held_off_for_twice_as_long() {
    let stage = Stage::with(&config());
    stage.assign("trap", guests::TRAP);
    fail(&stage, "p-1").await;
    pass(FIRST_PAUSE).await;
    let refused = stage.delete("p-1").await.expect_err("let through");
    assert_eq!(wait(&refused), None, "it was asked");
    let refused = stage.delete("p-1").await.expect_err("held off");
    assert!(wait(&refused).is_some_and(|left| left > FIRST_PAUSE && left <= FIRST_PAUSE * 2));
}

#[tokio::test]
async fn a_denial_is_no_fault_however_often_it_is_given() {
    let stage = Stage::with(&config());
    stage.assign("deny-all", guests::DENY_ALL);
    for _ in 0..4 * FAULTS {
        stage.delete("p-1").await.expect_err("denied");
    }
    assert_eq!(stage.verdicts().await, ["denied"; 4 * FAULTS]);
}

#[tokio::test]
async fn a_change_of_the_chain_has_the_policy_asked_again() {
    let stage = Stage::with(&config());
    stage.memory.add_photo(OWNER, "bad-1", b"bytes");
    stage.assign("moody", guests::MOODY);
    fail(&stage, "bad-1").await;
    stage.delete("p-1").await.expect_err("held off");
    stage.assign("moody", guests::MOODY);
    stage.delete("p-1").await.expect("asked again");
}

#[tokio::test]
async fn a_plugin_that_keeps_failing_is_held_off_until_another_is_chosen() {
    let stage = Stage::with(&config());
    stage.choose(guests::STAGES_THEN_TRAPS);
    fail(&stage, "p-1").await;
    let refused = stage.delete("p-1").await.expect_err("held off");
    assert_eq!(refused.code(), "plugin-held-off");
    let Refused::Fault(fault) = refused else {
        panic!("not a fault");
    };
    assert!(matches!(fault.kind, FaultKind::HeldOff(left) if is_within_the_first_pause(left)));
    stage.assert_intact("held off");
    *stage.memory.plugin.lock() = None;
    stage.delete("p-1").await.expect("the built-in one serves");
}

#[tokio::test]
async fn a_plugin_is_not_to_blame_for_failing_policies() {
    let stage = Stage::with(&config());
    stage.memory.add_photo(OWNER, "p-2", b"bytes");
    stage.assign("trap", guests::TRAP);
    fail(&stage, "p-1").await;
    fail(&stage, "p-1").await;
    stage.memory.assign("allow-all", "{}");
    stage.delete("p-1").await.expect("the plugin serves");
}

#[tokio::test]
async fn a_policy_whose_deadline_is_the_plugin_s_own_is_blamed_and_held_off() {
    let limits = GuestLimits {
        deadline_ms: 100,
        fuel: u64::MAX / 2,
        ..GuestLimits::default()
    };
    let config = Config {
        plugin: limits,
        policy: limits,
        ..config()
    };
    let stage = Stage::with(&config);
    stage.assign("spin", guests::SPIN);
    // Within its deadline nobody waits for a compiler.
    let sandbox = stage.atropos.sandbox();
    let loaded = sandbox.check(
        guests::SPIN,
        PolicyLimits {
            deadline_ms: Some(60_000),
            ..PolicyLimits::default()
        },
    );
    loaded.await.expect("a policy");
    for _ in 0..FAULTS + 1 {
        let refused = stage.delete("p-1").await.expect_err("it never answers");
        assert!(matches!(refused, Refused::Plugin { .. }), "{refused:?}");
    }
    let mut expected = vec!["policy-deadline"; FAULTS];
    expected.push("policy-held-off");
    assert_eq!(stage.verdicts().await, expected);
    stage.assert_intact("spin");
}

/// Chains that can be counted and slowed down.
struct Watched {
    memory: Arc<Memory>,
    /// How long the storage takes for a chain, and for a component.
    delays: (Duration, Duration),
    loads: Arc<AtomicUsize>,
}

#[async_trait]
impl Chains for Watched {
    async fn chain(&self, tenant: TenantId) -> Result<Option<Arc<Chain>>> {
        tokio::time::sleep(self.delays.0).await;
        self.memory.chain(tenant).await
    }

    async fn component(&self, digest: Digest) -> Result<Option<Vec<u8>>> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.delays.1).await;
        self.memory.component(digest).await
    }

    async fn plugin(&self) -> Result<Option<Digest>> {
        Chains::plugin(&*self.memory).await
    }
}

const NO_DELAYS: (Duration, Duration) = (Duration::ZERO, Duration::ZERO);

fn watched(delays: (Duration, Duration), config: &Config) -> (Stage, Arc<AtomicUsize>) {
    let loads = Arc::new(AtomicUsize::default());
    let platform = |memory: &Arc<Memory>| Platform {
        chains: Arc::new(Watched {
            memory: Arc::clone(memory),
            delays,
            loads: Arc::clone(&loads),
        }),
        ..Platform::from(memory.clone())
    };
    let stage = Stage::on(platform, config);
    (stage, loads)
}

#[tokio::test]
async fn a_component_that_cannot_be_loaded_is_not_compiled_for_each_request() {
    let (stage, loads) = watched(NO_DELAYS, &config());
    stage.assign("wasi-import", guests::WASI_IMPORT);
    for _ in 0..4 * FAULTS {
        stage.delete("p-1").await.expect_err("unreadable");
    }
    assert_eq!(loads.load(Ordering::Relaxed), 1);
    assert_eq!(stage.verdict().await, "policy-held-off");
}

#[tokio::test]
async fn a_component_that_was_missing_is_asked_as_soon_as_it_is_there() {
    let stage = Stage::with(&config());
    stage.assign("moody", guests::MOODY);
    let missing = std::mem::take(&mut *stage.memory.components.lock());
    fail(&stage, "p-1").await;
    fail(&stage, "p-1").await;
    *stage.memory.components.lock() = missing;
    stage.delete("p-1").await.expect("it is there");
}

#[tokio::test]
async fn a_component_that_takes_longer_to_load_than_a_request_may_wait_is_loaded_once() {
    let plugin = GuestLimits {
        deadline_ms: 100,
        ..GuestLimits::default()
    };
    let config = Config { plugin, ..config() };
    let delays = (Duration::ZERO, Duration::from_millis(300));
    let (stage, loads) = watched(delays, &config);
    stage.assign("moody", guests::MOODY);
    let first = stage.delete("p-1").await.expect_err("it is being loaded");
    assert_eq!(wait(&first), Some(Duration::from_secs(1)), "{first:?}");
    let started = Instant::now();
    while stage.delete("p-1").await.is_err() && started.elapsed() < crate::support::PATIENCE {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(loads.load(Ordering::Relaxed), 1);
    assert!(stage.memory.rows.lock().is_empty(), "it was never ready");
}

#[tokio::test]
async fn a_slow_storage_does_not_hold_off_the_plugin() {
    let plugin = GuestLimits {
        deadline_ms: 50,
        ..GuestLimits::default()
    };
    let config = Config { plugin, ..config() };
    let delays = (Duration::from_secs(60), Duration::ZERO);
    let (stage, _) = watched(delays, &config);
    for _ in 0..2 * FAULTS {
        let refused = stage.delete("p-1").await.expect_err("too slow");
        assert_eq!(refused.code(), "plugin-deadline");
    }
}
