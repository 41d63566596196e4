//! Plugins and policies from files: chosen, checked, refused, and failing for one tenant alone.

use std::path::Path;

use atropos_test_guests as guests;
use serde_json::Value;

use crate::support::demo::{
    Answer, Demo, contract, deleted, other_document, other_photo, refused, sunset,
};
use crate::support::{self, TENANT, run, verb};

/// An empty core module.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// The code of a fault, and how often it is counted.
type Counted = Option<(&'static str, u64)>;

/// How often a fault of this code was counted. There is no other label: nobody who uploads components
/// chooses how many series there are.
fn faults(demo: &Demo, code: &str) -> u64 {
    let metrics = demo.server.get("/metrics").text().expect("text");
    let series = format!(r#"atropos_guest_faults_total{{code="{code}"}} "#);
    let count = metrics.lines().find_map(|line| line.strip_prefix(&series));
    count.map_or(0, |count| count.parse().expect("a count"))
}

/// The exit code and the error of a verb that must fail.
fn failure(data_dir: &Path, args: &[&str]) -> (Option<i32>, Value) {
    let output = run(data_dir, &[args, &["--json"]].concat());
    let said: Value = support::failure(&output);
    (output.status.code(), said["error"].clone())
}

#[test]
fn a_chosen_plugin_serves_from_the_next_request_until_the_default_is_back() {
    let demo = Demo::start();
    let (photo, document) = (sunset(), contract());
    let fault = |code, message| [refused(503, "503", message), refused(503, code, message)];
    let refusal = refused(403, "403", "Refused.");
    let contradiction = fault("plugin-contradiction", "The plugin contradicted itself.");
    let cases: [(&str, &[u8], [Answer; 2], Counted); 4] = [
        (
            "refuse-everything",
            guests::REFUSE_EVERYTHING,
            [refusal.clone(), refusal],
            None,
        ),
        (
            "claims-success",
            guests::CLAIMS_SUCCESS,
            contradiction,
            Some(("plugin-contradiction", 2)),
        ),
        (
            "stages-then-traps",
            guests::STAGES_THEN_TRAPS,
            // It serves photos alone.
            [
                refused(503, "503", "The plugin trapped."),
                refused(403, "not-served", "Refused."),
            ],
            Some(("plugin-trap", 1)),
        ),
        (
            "spin-plugin",
            guests::SPIN_PLUGIN,
            fault("plugin-fuel", "The plugin used up its fuel."),
            Some(("plugin-fuel", 2)),
        ),
    ];
    for (name, bytes, [of_photo, of_document], fault) in cases {
        let file = demo.component(name, bytes);
        demo.verb(&["component", "choose", &file]);
        let before = fault.map_or(0, |(code, _)| faults(&demo, code));
        assert_eq!(demo.delete(&photo), of_photo, "{name}");
        assert_eq!(demo.delete(&document), of_document, "{name}");
        assert!(demo.has(&photo) && demo.has(&document), "{name}");
        if let Some((code, count)) = fault {
            assert_eq!(faults(&demo, code), before + count, "{name}");
        }
    }
    let chosen = demo.verb(&["component", "choose", "default"]);
    assert_eq!(chosen["plugin"], Value::Null);
    for object in [photo, document, other_photo(), other_document()] {
        assert_eq!(demo.delete(&object), deleted(), "{object:?}");
    }
}

#[test]
fn what_is_no_deletion_plugin_is_not_chosen() {
    let demo = Demo::start();
    let refusing = demo.component("refusing", guests::REFUSE_EVERYTHING);
    demo.verb(&["component", "choose", &refusing]);
    let cases: [(&str, &[u8], &str); 4] = [
        (
            "a policy",
            guests::DENY_ALL,
            "it is a policy-plugin, and a deletion-plugin is needed",
        ),
        (
            "a foreign import",
            guests::WASI_IMPORT,
            "imports wasi:clocks/monotonic-clock@0.2.6",
        ),
        (
            "a core module",
            CORE_MODULE,
            "it does not say of which world it is",
        ),
        ("nothing", b"", "this is not a WebAssembly component"),
    ];
    for (name, bytes, why) in cases {
        let file = demo.component("wrong", bytes);
        let choose = ["component", "choose", &file];
        let (exit, error) = failure(demo.server.data_dir(), &choose);
        assert_eq!(exit, Some(1), "{name}: {error}");
        assert_eq!(error["code"], "component-refused", "{name}");
        assert!(
            error["causedBy"].to_string().contains(why),
            "{name}: {error}"
        );
        let answer = demo.delete(&sunset());
        assert_eq!(answer, refused(403, "403", "Refused."), "{name}");
    }
}

#[test]
fn a_check_tells_what_a_component_is_or_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().expect("a directory");
    let check = |bytes: &[u8]| {
        let file = folder.path().join("component.wasm");
        std::fs::write(&file, bytes).expect("a file");
        let file = file.to_str().expect("a path in UTF-8").to_owned();
        ["component".to_owned(), "check".to_owned(), file]
    };
    let good: [(&[u8], &str, Option<&str>); 2] = [
        (guests::DENY_ALL, "policy-plugin", Some("deny-all")),
        (guests::REFUSE_EVERYTHING, "deletion-plugin", None),
    ];
    for (bytes, world, name) in good {
        let args = check(bytes);
        let args = args.each_ref().map(String::as_str);
        let report = verb(folder.path(), &args);
        let digest = atropos::target::Digest::of(bytes).to_string();
        assert_eq!(report["world"], world);
        assert_eq!(report["sizeBytes"], bytes.len());
        assert_eq!(report["digest"], digest.as_str());
        assert_eq!(report["description"]["name"].as_str(), name);
        let output = run(folder.path(), &args);
        let shown = String::from_utf8(output.stdout).expect("text");
        for fact in [world, &digest, &bytes.len().to_string()] {
            assert!(shown.contains(fact), "{fact}: {shown}");
        }
    }
    let half = &guests::DENY_ALL[..guests::DENY_ALL.len() / 2];
    let no_component = "this is not a WebAssembly component that can be compiled";
    let bad: [(&str, &[u8], &[&str]); 6] = [
        (
            "a foreign import",
            guests::WASI_IMPORT,
            &[
                "wasi:clocks/monotonic-clock",
                "policy-plugin",
                "remedy: a component reaches nothing outside its world",
                "--stub-wasi",
            ],
        ),
        (
            "a core module",
            CORE_MODULE,
            &["this is a core module", "remedy: ", "atropos component new"],
        ),
        (
            "a start that needs much memory",
            guests::GREEDY_START,
            &[
                "of memory, and 16777216 are given to it",
                "remedy: give it more memory, such as --memory 64MiB",
            ],
        ),
        ("garbage", b"hello, world", &[no_component, "magic"]),
        ("an empty file", b"", &[no_component]),
        ("half a component", half, &[no_component, "out of bounds"]),
    ];
    for (name, bytes, words) in bad {
        let args = check(bytes);
        let args = args.each_ref().map(String::as_str);
        let output = run(folder.path(), &args);
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(output.stdout.is_empty(), "{name}");
        for word in words {
            assert!(said.contains(word), "{name}: {said}");
        }
        assert!(!said.contains("panicked"), "{name}: {said}");
        let lines = said.lines().skip(1);
        let known = ["caused by: ", "remedy: "];
        let mut odd = lines.filter(|line| !known.iter().any(|known| line.starts_with(known)));
        assert_eq!(odd.next(), None, "{name}: {said}");
        let (exit, error) = failure(folder.path(), &args);
        assert_eq!(exit, Some(1), "{name}");
        assert_eq!(error["code"], "component-refused", "{name}");
    }
    let greedy = check(guests::GREEDY_START);
    let greedy = greedy.each_ref().map(String::as_str);
    let report = verb(
        folder.path(),
        &[&greedy[..], &["--memory", "64MiB"]].concat(),
    );
    assert_eq!(report["world"], "policy-plugin");
    let missing = ["component", "check", "no-such-file.wasm"];
    assert_eq!(failure(folder.path(), &missing).0, Some(3));
}

#[test]
fn a_policy_that_misbehaves_stops_the_deletes_of_its_own_tenant_alone() {
    let demo = Demo::start();
    let cases: [(&str, &[u8], &str); 5] = [
        ("trap", guests::TRAP, "policy-trap"),
        ("overflow", guests::OVERFLOW, "policy-trap"),
        ("spin", guests::SPIN, "policy-fuel"),
        ("hungry", guests::HUNGRY, "policy-memory"),
        (
            "contradiction",
            guests::CONTRADICTION,
            "policy-contradiction",
        ),
    ];
    let (photo, document) = (sunset(), contract());
    for (name, bytes, code) in cases {
        let file = demo.component(name, bytes);
        let other = demo.put_other_document();
        // An allowing policy before it does not help.
        demo.assign(TENANT, &["allow-all", &file]);
        let before = faults(&demo, code);
        let undecided = format!("The policies could not decide: {code}.");
        assert_eq!(
            demo.delete(&photo),
            refused(503, "503", &undecided),
            "{name}"
        );
        assert_eq!(
            demo.delete(&document),
            refused(503, "undecided", &undecided),
            "{name}"
        );
        assert_eq!(demo.delete(&other), deleted(), "{name}");
        assert!(demo.has(&photo) && demo.has(&document), "{name}");
        assert_eq!(faults(&demo, code), before + 2, "{name}");
    }
    let decisions = demo.decisions(TENANT);
    let codes = cases.iter().rev().flat_map(|(_, _, code)| [*code, *code]);
    let verdicts = decisions.iter().map(|decision| &decision["verdict"]);
    assert!(verdicts.eq(codes), "{decisions:#?}");
    demo.assign(TENANT, &["allow-all"]);
    assert_eq!(demo.delete(&photo), deleted());
}
