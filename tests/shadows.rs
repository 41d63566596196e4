//! Chains that are tried beside others: what waits for a slow one, and what is passed over.

use atropos_test_guests as guests;
use serde_json::Value;

use crate::memory::kib;
use crate::support::demo::{Demo, OTHER_TENANT, deleted, rings};
use crate::support::{TENANT, eventually, run};

/// Denies the object of these tests.
const IN_FORCE: &str = r#"labels={"forbidden":["in-order"]}"#;

/// What one run of the slow policy takes: as long as it may.
const SLOW: [&str; 4] = ["--fuel", "2000000000", "--deadline", "2s"];

impl Demo {
    /// Tries a chain beside the one in force.
    fn shadow(&self, tenant: &str, chain: &[&str], more: &[&str]) {
        let assign = ["policy", "assign", "--tenant", tenant, "--shadow"];
        let policies = chain.iter().flat_map(|link| ["--policy", link]);
        let policies: Vec<_> = policies.collect();
        self.verb(&[&assign[..], more, &policies].concat());
    }

    fn tally(&self, tenant: &str) -> Value {
        self.verb(&["policy", "shadow", "--tenant", tenant])
    }

    /// A policy with settings of nearly 64 KiB.
    fn with_large_settings(&self) -> String {
        let labels: Vec<_> = (0..5400).map(|n| format!("label{n:04}")).collect();
        let settings = serde_json::json!({ "forbidden": labels }).to_string();
        assert!((64_000..=65_536).contains(&settings.len()));
        format!("labels=@{}", self.component("large", settings.as_bytes()))
    }

    /// Has so many deletes denied.
    fn denied(&self, count: usize) {
        for _ in 0..count {
            assert_eq!(self.delete(&rings()).0, 403);
        }
    }
}

#[test]
fn a_slow_shadow_holds_little_memory_however_many_decisions_wait_for_it() {
    const DECISIONS: usize = 300;
    let demo = Demo::start();
    demo.assign(TENANT, &[IN_FORCE]);
    let slow = demo.component("spin", guests::SPIN);
    let large = demo.with_large_settings();
    let chain = [vec![&*slow], vec![&*large; 10]].concat();
    demo.shadow(TENANT, &chain, &SLOW);
    // What the first ones take is not what waiting takes.
    demo.denied(10);
    let resident = || kib(demo.server.pid(), "VmRSS:").expect("a figure");
    let before = resident();
    demo.denied(DECISIONS);
    let grown = resident().saturating_sub(before);
    let copies = DECISIONS as u64 * 10 * 64;
    eprintln!("grown by {grown} KiB; copies of the shadow would have {copies} KiB");
    assert!(grown < copies / 3, "{grown} KiB");
    assert_eq!(demo.tally(TENANT)["passedOver"], 0);
}

#[test]
fn a_slow_shadow_of_one_tenant_delays_no_shadow_of_another() {
    const SLOW_ONES: u64 = 20;
    let demo = Demo::start();
    demo.assign(TENANT, &[IN_FORCE]);
    let slow = demo.component("spin", guests::SPIN);
    demo.shadow(TENANT, &[&slow], &SLOW);
    demo.shadow(OTHER_TENANT, &[r#"labels={"forbidden":["x"]}"#], &[]);
    let others: Vec<_> = (0..3).map(|_| demo.put_other_document()).collect();
    demo.denied(SLOW_ONES as usize);
    for other in &others {
        assert_eq!(demo.delete(other), deleted());
    }
    let (other, slow) = eventually("what the other tenant's shadow said", || {
        let slow = demo.tally(TENANT);
        let other = demo.tally(OTHER_TENANT);
        (other["compared"] == 3).then_some((other, slow))
    });
    let compared = slow["compared"].as_u64().expect("a count");
    assert!(compared < SLOW_ONES, "all {compared} were asked before it");
    assert_eq!(other["passedOver"], 0, "{other:#}");
}

#[test]
fn what_a_shadow_was_not_asked_about_is_counted_and_shown() {
    let demo = Demo::start();
    demo.assign(TENANT, &[IN_FORCE]);
    // More settings than all that waits may hold of one tenant.
    let large = demo.with_large_settings();
    demo.shadow(TENANT, &vec![&*large; 180], &["--deadline", "2s"]);
    demo.denied(3);
    let tally = eventually("what was passed over", || {
        let tally = demo.tally(TENANT);
        (tally["passedOver"] == 3).then_some(tally)
    });
    assert_eq!(tally["compared"], 0);
    let shadow = ["policy", "shadow", "--tenant", TENANT];
    let told = run(demo.server.data_dir(), &shadow);
    let told = String::from_utf8(told.stdout).expect("text");
    assert!(
        told.contains("asked about 0 decisions, 3 passed over"),
        "{told}"
    );
    let metrics = demo.server.get("/metrics").text().expect("text");
    assert!(
        metrics.contains("atropos_shadow_skipped_total 3"),
        "{metrics}"
    );
    // Another shadow begins anew.
    demo.shadow(TENANT, &[r#"labels={"forbidden":["x"]}"#], &[]);
    demo.denied(1);
    let tally = eventually("what the next one said", || {
        let tally = demo.tally(TENANT);
        (tally["compared"] == 1).then_some(tally)
    });
    assert_eq!(tally["passedOver"], 0);
}
