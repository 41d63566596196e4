//! What many tenants cost that have policies of their own, measured.
//!
//! `cargo test --release -p atropos-server --test atropos many_tenants -- --ignored --nocapture`

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atropos::domain::PolicyLimits;
use atropos::guest::BUILT_IN_POLICIES;
use atropos_service::config::Config;
use atropos_service::service::Service;
use serde_json::Value;

use crate::memory::kib;
use crate::neighbours::Household;
use crate::support::forge::with_section;
use crate::support::{Server, at_once, verb};

/// Tenants, and the distinct components in their chains.
const SIZES: [(u64, u64); 3] = [(100, 10), (1000, 100), (10_000, 1000)];

/// How many tenants are made at once, so that they share the disk's time.
const MAKERS: u64 = 32;

/// How often each tenant asks when everything is loaded.
const ROUNDS: usize = 3;

/// A policy that keeps a photo of today, one of many that do the same.
fn component(nth: u64) -> Vec<u8> {
    let (_, retention) = BUILT_IN_POLICIES[1];
    with_section(retention, &nth.to_be_bytes())
}

fn config(data_dir: &Path) -> Config {
    let mut config = Config {
        data_dir: data_dir.to_owned(),
        ..Config::default()
    };
    config.components.worker = Some(env!("CARGO_BIN_EXE_atropos").into());
    config
}

/// Makes the tenants, and compiles their components as `atropos policy` would.
async fn furnish(data_dir: &Path, tenants: u64, components: u64) -> Vec<Household> {
    let service = Service::open(config(data_dir)).expect("a service");
    for nth in 0..components {
        let (sandbox, component) = (service.atropos.sandbox(), component(nth));
        let checked = sandbox.check(&component, PolicyLimits::default()).await;
        checked.expect("a policy");
    }
    let warm = service.atropos.sandbox().warm_up().await;
    warm.expect("a plugin");
    let service = Arc::new(service);
    let makers = (0..MAKERS).map(|maker| {
        let service = Arc::clone(&service);
        tokio::spawn(async move {
            let mut made = Vec::new();
            for nth in (maker..tenants).step_by(MAKERS as usize) {
                let name = format!("tenant-{nth}");
                let household = Household::new(&service, &name, nth + 1).await;
                let settings = r#"{"minimum-age-days":{"photo":30}}"#;
                let component = component(nth % components);
                household
                    .assign(&service, "retention", &component, settings)
                    .await;
                made.push(household);
            }
            made
        })
    });
    let mut households = Vec::new();
    for maker in makers.collect::<Vec<_>>() {
        households.extend(maker.await.expect("tenants"));
    }
    service.stop().await;
    households
}

/// How long a decision takes for each tenant in turn.
async fn decide(service: &Service, households: &[Household]) -> Vec<Duration> {
    let mut took = Vec::new();
    for household in households {
        let started = Instant::now();
        let refused = household.delete(service).await;
        took.push(started.elapsed());
        assert_eq!(refused.expect_err("it is kept").code(), "403");
    }
    took
}

fn percentile(took: &mut [Duration], of_100: usize) -> Duration {
    took.sort();
    took[(took.len() - 1) * of_100 / 100]
}

/// What a server says that starts over these tenants: how long until it is ready, what it compiled, and
/// its memory before and after a request for each, with how much of the latter is not that of files.
fn serve(data_dir: &Path, households: &[Household]) -> (Duration, Value, [u64; 3]) {
    let started = Instant::now();
    let server = Server::start(data_dir, &[]);
    let ready = started.elapsed();
    let mib = |field| kib(server.pid(), field).expect("a figure") >> 10;
    let idle = mib("VmRSS:");
    let path = "/api/4/UploadImage/DeleteUserPhoto?userId=u-1001&photoId=p-1";
    let answers = at_once(4, households, |household| {
        let request = server.http.get(server.url(path));
        let request = request.header("websiteId", household.website());
        let request = request.header("webApiClientKey", &household.key);
        request.send().expect("an answer").status().as_u16()
    });
    assert!(answers.iter().all(|status| *status == 403));
    let status = verb(data_dir, &["status"]);
    (
        ready,
        status["server"]["components"].clone(),
        [idle, mib("VmRSS:"), mib("RssAnon:")],
    )
}

#[test]
#[ignore = "a measurement: minutes, on a quiet machine, in release"]
fn what_many_tenants_cost() {
    println!(
        "| tenants | components | ready after | compiled | loaded | MiB idle | MiB after | private | \
         first p50 | first p99 | later p50 | later p99 |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    let most = std::env::var("ATROPOS_TENANTS").map(|most| most.parse().expect("a number"));
    let most = most.unwrap_or(u64::MAX);
    for (tenants, components) in SIZES.into_iter().filter(|(tenants, _)| *tenants <= most) {
        let folder = tempfile::tempdir().expect("a directory");
        let data_dir = folder.path().join("data");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let households = runtime.block_on(furnish(&data_dir, tenants, components));
        let (ready, stock, [idle, after, private]) = serve(&data_dir, &households);
        let [mut first, mut later] = runtime.block_on(async {
            let service = Service::open(config(&data_dir)).expect("a service");
            service.atropos.sandbox().warm_up().await.expect("a plugin");
            let first = decide(&service, &households).await;
            let mut later = Vec::new();
            for _ in 0..ROUNDS {
                later.extend(decide(&service, &households).await);
            }
            service.stop().await;
            [first, later]
        });
        let [p50, p99] = [50, 99].map(|of_100| percentile(&mut first, of_100));
        let [later_p50, later_p99] = [50, 99].map(|of_100| percentile(&mut later, of_100));
        println!(
            "| {tenants} | {components} | {ready:.0?} | {} | {} | {idle} | {after} | {private} | {p50:.0?} | \
             {p99:.0?} | {later_p50:.0?} | {later_p99:.0?} |",
            stock["compiled"], stock["loaded"]
        );
        assert_eq!(stock["compiled"], 0);
        assert!(ready < Duration::from_secs(1), "{ready:?}");
    }
}
