//! Components that an operator or a tenant brings. What passes the check is of one of the two worlds
//! and imports nothing else; and in force it keeps to the floor, whatever was changed in its code.
//!
//! The input names a component that comes with the program and edits to it, or is one byte by byte.

#![no_main]

#[allow(dead_code, reason = "an example has more than one target needs")]
#[path = "../../../host/atropos/examples/embed/platform.rs"]
mod platform;

use std::sync::{Arc, LazyLock};

use arbitrary::Arbitrary;
use atropos::config::{Breaker, Config, GuestLimits};
use atropos::domain::PolicyLimits;
use atropos::domain::decision::Verdict;
use atropos::erase::{Atropos, PhotoRequest, Request};
use atropos::guest::{BUILT_IN_POLICIES, Report};
use atropos::target::Digest;
use libfuzzer_sys::fuzz_target;
use platform::Memory;
use tokio::runtime::{Builder, Runtime};

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Edited(u8, Vec<Edit>),
    Raw(&'a [u8]),
}

#[derive(Arbitrary, Debug)]
struct Edit {
    /// Where, as a share of the whole.
    at: u16,
    change: Change,
}

#[derive(Arbitrary, Debug)]
enum Change {
    Set(u8),
    Insert(u8),
    Remove,
    Cut,
}

struct Stage {
    memory: Arc<Memory>,
    atropos: Atropos,
    runtime: Runtime,
}

static STAGE: LazyLock<Stage> = LazyLock::new(|| {
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_time().build();
    let runtime = runtime.expect("a runtime");
    let memory = Arc::new(Memory::default());
    let limits = GuestLimits {
        fuel: 200_000,
        memory_bytes: 1 << 20,
        ..GuestLimits::default()
    };
    let config = Config {
        plugin: GuestLimits {
            fuel: 20_000_000,
            deadline_ms: 60_000,
            ..limits
        },
        policy: limits,
        breaker: Breaker {
            faults: 1000,
            ..Breaker::default()
        },
        ..Config::default()
    };
    let inside = runtime.enter();
    let atropos = Atropos::start(memory.clone().into(), &config).expect("the sandbox");
    drop(inside);
    Stage {
        memory,
        atropos,
        runtime,
    }
});

fuzz_target!(|input: Input<'_>| {
    let bytes = match input {
        Input::Edited(which, edits) => edited(which, &edits),
        Input::Raw(bytes) => bytes.to_vec(),
    };
    let sandbox = STAGE.atropos.sandbox();
    let Ok(report) = STAGE
        .runtime
        .block_on(sandbox.check(&bytes, PolicyLimits::default()))
    else {
        return;
    };
    says_what_it_is(&report, &bytes);
    if report.world == "policy-plugin" {
        keeps_to_the_floor(&bytes);
    }
});

fn edited(which: u8, edits: &[Edit]) -> Vec<u8> {
    let which = usize::from(which) % BUILT_IN_POLICIES.len();
    let mut bytes = BUILT_IN_POLICIES[which].1.to_vec();
    for edit in edits {
        let at = usize::from(edit.at) * bytes.len() / (1 << 16);
        match edit.change {
            _ if at >= bytes.len() => {}
            Change::Set(byte) => bytes[at] = byte,
            Change::Insert(byte) => bytes.insert(at, byte),
            Change::Remove => drop(bytes.remove(at)),
            Change::Cut => bytes.truncate(at),
        }
    }
    bytes
}

fn says_what_it_is(report: &Report, bytes: &[u8]) {
    assert_eq!(report.digest, Digest::of(bytes));
    let foreign = |import: &&String| !import.starts_with("atropos:");
    assert_eq!(report.imports.iter().find(foreign), None);
    let described = report.description.is_some();
    assert_eq!(described, report.world == "policy-plugin");
    if let Some(said) = &report.description {
        assert!((1..=64).contains(&said.name.len()));
    }
}

/// The photo is gone exactly if the one who asked was told so, and then a decision allowed it.
fn keeps_to_the_floor(bytes: &[u8]) {
    let memory = &STAGE.memory;
    memory.components.lock().clear();
    memory.rows.lock().clear();
    memory.bytes.lock().clear();
    memory.decisions.lock().clear();
    memory.add_photo("u-1", "p-1", b"bytes");
    let edited = memory.keep("edited", bytes, r#"{"forbidden":["in-order"]}"#);
    memory.put(vec![edited]);
    let text = |text: &str| Some(text.to_owned());
    let request = PhotoRequest {
        website_id: text("7"),
        site_key: text("key-of-website-7"),
        user_id: text("u-1"),
        photo_id: text("p-1"),
    };
    let request = Request::Photo(request);
    let outcome = STAGE.runtime.block_on(STAGE.atropos.delete(request));
    let (rows, blobs) = (memory.rows.lock().len(), memory.bytes.lock().len());
    assert_eq!((rows, blobs), if outcome.is_ok() { (0, 0) } else { (1, 1) });
    if outcome.is_ok() {
        let decisions = memory.decisions.lock();
        let allows = |it: &atropos::domain::decision::Decision| it.verdict == Verdict::Allowed;
        assert!(decisions.iter().any(allows), "{decisions:?}");
    }
}
