//! Asks WASI for the time, which its world does not offer.
#![cfg(target_family = "wasm")]

use atropos_sdk::{Finding, Judgement, Outcome, Request, Verdict};

wit_bindgen::generate!({
    inline: "
        package atropos:stranger;

        package wasi:clocks@0.2.6 {
            interface monotonic-clock {
                now: func() -> u64;
            }
        }

        world stranger {
            import wasi:clocks/monotonic-clock@0.2.6;
        }
    ",
    world: "atropos:stranger/stranger",
    generate_all,
});

fn review(_: Request) -> Judgement {
    let detail = wasi::clocks::monotonic_clock::now().to_string();
    let finding = Finding {
        rule: "clock".to_owned(),
        outcome: Outcome::Passed,
        detail,
    };
    Judgement {
        verdict: Verdict::Allow,
        findings: vec![finding],
    }
}

atropos_test_guests::policy!("wasi-import", review);
