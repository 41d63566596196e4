//! The plugin, which all tenants share: who is held off when it fails, and who is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use atropos::erase::{PhotoRequest, Platform, Request};
use atropos::target::{Caller, Subdomain, WebsiteId};
use atropos_service::auth::{AuthError, Authority};
use atropos_service::config::{Breaker, Config};
use atropos_test_guests as guests;
use tokio::task::JoinSet;

use crate::embed::platform::Memory;
use crate::support::stage::{Stage, patient};

const FAULTS: u32 = 3;

/// From so many credentials on the plugin counts as broken for everybody.
const BROKEN_FOR: usize = 5;

/// The one credential that is good.
const GOOD: Option<&str> = Some("key-of-website-7");

/// Accounts that take their time, and count who is being authenticated at once.
struct Watched {
    memory: Arc<Memory>,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    now: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
    /// How many there had been when the good credential came last.
    before_good: AtomicUsize,
}

impl Seen {
    /// The most at once since the last time this was asked.
    fn most(&self) -> usize {
        self.most.swap(0, Ordering::Relaxed)
    }
}

#[async_trait]
impl Authority for Watched {
    async fn authenticate_site(&self, website: WebsiteId, key: &str) -> Result<Caller, AuthError> {
        let before = self.seen.all.fetch_add(1, Ordering::Relaxed);
        if Some(key) == GOOD {
            self.seen.before_good.store(before, Ordering::Relaxed);
        }
        let now = self.seen.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.seen.most.fetch_max(now, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.seen.now.fetch_sub(1, Ordering::Relaxed);
        self.memory.authenticate_site(website, key).await
    }

    async fn authenticate_token(&self, _: &str, _: &Subdomain) -> Result<Caller, AuthError> {
        Err(AuthError::Rejected)
    }
}

/// A platform whose plugin fails at photos whose id begins with `bad`.
fn moody() -> (Arc<Stage>, Arc<Seen>) {
    let config = Config {
        breaker: Breaker {
            faults: FAULTS,
            first_pause_ms: 3_600_000,
            longest_pause_ms: 3_600_000,
        },
        ..patient()
    };
    let seen = Arc::new(Seen::default());
    let platform = |memory: &Arc<Memory>| Platform {
        authority: Arc::new(Watched {
            memory: Arc::clone(memory),
            seen: Arc::clone(&seen),
        }),
        ..Platform::from(memory.clone())
    };
    let stage = Stage::on(platform, &config);
    stage.choose(guests::MOODY_PLUGIN);
    (Arc::new(stage), seen)
}

/// Asks for a delete with this credential. `None`: erased; else the code of the refusal.
async fn delete(stage: &Stage, key: Option<&str>, photo: &str) -> Option<String> {
    let request = PhotoRequest {
        site_key: key.map(str::to_owned),
        ..stage.request(photo)
    };
    let outcome = stage.atropos.delete(Request::Photo(request)).await;
    outcome.err().map(|refused| refused.code().to_owned())
}

/// Has the plugin fail once for each of so many credentials.
async fn fail_for(stage: &Stage, credentials: std::ops::Range<usize>) {
    for credential in credentials {
        let key = format!("guess-{credential}");
        let code = delete(stage, Some(&key), "bad-1").await;
        assert_eq!(code.as_deref(), Some("plugin-trap"), "{key}");
    }
}

#[tokio::test]
async fn a_plugin_that_fails_for_one_credential_is_held_off_for_that_one_alone() {
    let (stage, _) = moody();
    for _ in 0..FAULTS {
        delete(&stage, Some("guess"), "bad-1").await;
    }
    let held_off = delete(&stage, Some("guess"), "p-2").await;
    assert_eq!(held_off.as_deref(), Some("plugin-held-off"));
    let told = stage
        .atropos
        .sandbox()
        .held_off()
        .await
        .expect("it is told");
    let told: Vec<_> = told
        .iter()
        .map(|one| (one.tenant, one.fault.code(), one.credentials))
        .collect();
    assert_eq!(told, [(None, "plugin-trap", 1)]);
    assert_eq!(delete(&stage, GOOD, "p-1").await, None, "it is erased");
}

#[tokio::test]
async fn a_request_that_claims_no_credential_is_never_held_off() {
    let (stage, _) = moody();
    for key in [None, Some("")] {
        for _ in 0..4 * FAULTS {
            let code = delete(&stage, key, "bad-1").await;
            assert_eq!(code.as_deref(), Some("plugin-trap"));
        }
    }
    assert_eq!(delete(&stage, GOOD, "p-1").await, None, "it is erased");
}

#[tokio::test]
async fn a_plugin_that_fails_for_everybody_runs_one_call_at_a_time_until_one_goes_well() {
    let (stage, seen) = moody();
    let many = |photo: &'static str| {
        let stage = Arc::clone(&stage);
        async move {
            let mut calls = JoinSet::new();
            for caller in 0..20 {
                let stage = Arc::clone(&stage);
                let key = format!("{photo}-{caller}");
                calls.spawn(async move { delete(&stage, Some(&key), photo).await });
            }
            calls.join_all().await
        }
    };
    fail_for(&stage, 0..BROKEN_FOR - 1).await;
    seen.most();
    many("p-2").await;
    assert!(seen.most() > 1, "four credentials are not everybody");

    fail_for(&stage, 0..BROKEN_FOR).await;
    seen.most();
    let codes = many("bad-1").await;
    assert_eq!(seen.most(), 1, "they run one at a time");
    assert!(
        codes
            .iter()
            .all(|code| code.as_deref() == Some("plugin-trap"))
    );

    assert_eq!(
        delete(&stage, GOOD, "p-1").await,
        None,
        "nobody is held off"
    );
    seen.most();
    many("p-2").await;
    assert!(seen.most() > 1, "one that went well lifts it");
}

#[tokio::test]
async fn who_was_good_before_comes_before_all_who_invent_credentials() {
    let (stage, seen) = moody();
    let found_nothing = delete(&stage, GOOD, "p-2").await;
    assert_eq!(found_nothing.as_deref(), Some("no-photo"));
    fail_for(&stage, 0..BROKEN_FOR).await;
    let mut guesses = JoinSet::new();
    for guess in 0..50 {
        let stage = Arc::clone(&stage);
        let key = format!("another-{guess}");
        guesses.spawn(async move { delete(&stage, Some(&key), "bad-1").await });
    }
    tokio::task::yield_now().await;
    let before = seen.all.load(Ordering::Relaxed);
    assert_eq!(delete(&stage, GOOD, "p-1").await, None, "it is erased");
    // The plugin authenticates twice before it deletes.
    let others = seen.before_good.load(Ordering::Relaxed) - before - 1;
    assert!(others <= 3, "{others} of 50 were called before it");
    guesses.join_all().await;
}
