//! Components that are swapped under a load: none of the requests is lost, every decision names one
//! revision, and a server knows of the new one at once.
//!
//! `ATROPOS_SWAPS` says how often; it prints how long a swap takes to be in force.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use atropos::guest::BUILT_IN_POLICIES;
use atropos::target::Digest;

use crate::support::demo::{Answer, Demo, rings};
use crate::support::{TENANT, forge};

/// What each component is told to forbid; it never goes.
const SETTINGS: &str = r#"{"minimum-age-days":{"photo":30}}"#;

/// How many clients ask all the while.
const CLIENTS: usize = 2;

#[test]
fn of_many_swaps_under_load_none_fails_or_loses_a_request() {
    let swaps = std::env::var("ATROPOS_SWAPS").map_or(12, |swaps| swaps.parse().expect("a number"));
    let demo = Demo::start();
    let retention = BUILT_IN_POLICIES[1].1;
    // A section that nobody reads makes each another component.
    let components: Vec<_> = (0..swaps)
        .map(|n: usize| forge::with_section(retention, &n.to_be_bytes()))
        .collect();
    let deploy = |component: &[u8]| {
        let file = demo.component("swapped", component);
        let started = Instant::now();
        let args = [
            "policy",
            "deploy",
            &file,
            "--tenant",
            TENANT,
            "--settings",
            SETTINGS,
        ];
        let deployed = demo.verb(&args);
        let revision = deployed["revision"].as_u64().expect("a revision");
        (revision, started.elapsed(), Instant::now())
    };
    let mut digests = BTreeMap::new();
    let first = forge::with_section(retention, b"first");
    digests.insert(deploy(&first).0, Digest::of(&first));

    let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let ask = || {
        while !done.load(Ordering::Relaxed) {
            let Answer(status, code, message) = demo.delete(&rings());
            assert_eq!((status, &*code), (403, "403"), "{message}");
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    let mut times = Vec::new();
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(ask)).collect();
        for component in &components {
            let (revision, verb, deployed) = deploy(component);
            digests.insert(revision, Digest::of(component));
            // Every request that begins now is judged by the new component.
            let before = answered.load(Ordering::Relaxed);
            while answered.load(Ordering::Relaxed) <= before + CLIENTS {
                assert!(
                    deployed.elapsed() < crate::support::PATIENCE,
                    "nobody is answered"
                );
                std::thread::sleep(Duration::from_micros(100));
            }
            times.push((verb, deployed.elapsed()));
        }
        done.store(true, Ordering::Relaxed);
        for asked in asking {
            asked.join().expect("no request failed");
        }
    });

    let answered = answered.into_inner();
    let decisions = demo.decisions(TENANT);
    assert_eq!(decisions.len(), answered, "one decision a request");
    let mut named = BTreeMap::new();
    for decision in &decisions {
        let revision = decision["chainRevision"].as_u64().expect("a revision");
        let reviews = decision["reviews"].as_array().expect("reviews");
        let last = reviews.last().expect("a review");
        assert_eq!(last["digest"], digests[&revision].to_string(), "{decision}");
        *named.entry(revision).or_insert(0_usize) += 1;
    }
    assert_eq!(
        named.len(),
        digests.len(),
        "every revision decided something"
    );
    report(&times, answered);
}

fn report(times: &[(Duration, Duration)], answered: usize) {
    let figures = |mut sorted: Vec<Duration>| {
        sorted.sort_unstable();
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
        format!("median {:?}, p99 {:?}", at(0.5), at(0.99))
    };
    let verbs = figures(times.iter().map(|(verb, _)| *verb).collect());
    let known = figures(times.iter().map(|(_, known)| *known).collect());
    eprintln!(
        "{} swaps, {answered} requests, none failed or lost",
        times.len()
    );
    eprintln!("`policy deploy`, from start to end: {verbs}");
    eprintln!("from its end to the first decisions under the new digest: {known}");
}
