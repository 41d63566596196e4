//! Components that others built: whatever meets the world is taken, however it came about.

use atropos::domain::decision::{Finding, FindingOutcome};
use atropos::target::Kind;
use atropos_service::config::GuestLimits;
use atropos_test_guests as guests;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

use super::wit::Sources;
use super::{KEPT, kept, question};
use crate::support::stage::Stage;
use crate::support::{failure, forge, run, verb};

const PHOTOS_ONLY: &str = include_str!("photos-only.wat");

/// The contract in another version.
fn at(version: &str) -> Sources {
    let policy = kept().moved("policy", KEPT, version);
    policy.moved("deletion", KEPT, version)
}

/// A component of a core module that was written for this version of the policy's world.
fn policy(contract: &Sources, version: &str) -> Vec<u8> {
    let text = PHOTOS_ONLY.replace(KEPT, version);
    let mut module = wat::parse_str(text).expect("a module");
    let mut resolve = Resolve::new();
    let [package, _] = contract.push(&mut resolve);
    let world = resolve.packages[package].worlds["policy-plugin"];
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("a world");
    component(&module)
}

/// A plugin that was made of its world alone, and traps at whatever it is asked.
fn plugin(contract: &Sources) -> Vec<u8> {
    let mut resolve = Resolve::new();
    let [_, package] = contract.push(&mut resolve);
    let world = resolve.packages[package].worlds["deletion-plugin"];
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("a world");
    component(&module)
}

fn component(module: &[u8]) -> Vec<u8> {
    let mut encoder = ComponentEncoder::default().validate(true).module(module);
    let encoder = encoder.as_mut().expect("a module with a world");
    encoder.encode().expect("a component")
}

#[test]
fn a_check_takes_any_component_that_meets_a_world_whoever_built_it() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("component.wasm");
    let args = [
        "component",
        "check",
        file.to_str().expect("a path in UTF-8"),
    ];
    let (now, later, next) = (kept(), at("0.1.7"), at("0.2.0"));

    let policies = Some("photos-only");
    let good: [(&str, Vec<u8>, &str, Option<&str>); 6] = [
        (
            "bindings of its own, and one export more",
            guests::PLAIN.into(),
            "policy-plugin",
            Some("size-limit"),
        ),
        (
            "written by hand",
            policy(&now, KEPT),
            "policy-plugin",
            policies,
        ),
        (
            "a custom section more",
            forge::padded(&policy(&now, KEPT), 64 << 10),
            "policy-plugin",
            policies,
        ),
        (
            "a policy of a later version",
            policy(&later, "0.1.7"),
            "policy-plugin",
            policies,
        ),
        (
            "made of the world alone",
            plugin(&now),
            "deletion-plugin",
            None,
        ),
        (
            "a plugin of a later version",
            plugin(&later),
            "deletion-plugin",
            None,
        ),
    ];
    for (name, bytes, world, described) in good {
        std::fs::write(&file, bytes).expect("a file");
        let report = verb(folder.path(), &args);
        assert_eq!(report["world"], world, "{name}");
        assert_eq!(report["description"]["name"].as_str(), described, "{name}");
    }

    let other = |from, to| policy(&now.clone().edited("policy/types", from, to), KEPT);
    let lines = "it must export atropos:policy/policy@0.1 (a policy)";
    let types = "the component's types differ from its world's";
    let refusal = |from, to| plugin(&now.clone().edited("deletion/types", from, to));
    let lacking = now.clone().edited(
        "deletion/deletion",
        "  delete-document: func(request: document-request) -> result<_, refusal>;\n",
        "",
    );
    let bad: [(&str, Vec<u8>, &[&str]); 7] = [
        (
            "a policy of the next line",
            policy(&next, "0.2.0"),
            &["exports atropos:policy/policy@0.2.0", lines],
        ),
        (
            "a plugin of the next line",
            plugin(&next),
            &["exports atropos:deletion/deletion@0.2.0", lines],
        ),
        (
            "a policy's field of another type",
            other("size-bytes: u64", "size-bytes: s64"),
            &[
                types,
                "in `review`",
                "field size-bytes",
                "expected `u64` found `s64`",
            ],
        ),
        (
            "a policy's field of another name",
            other("owner: string", "holder: string"),
            &[types, "in `review`", "owner"],
        ),
        (
            "a plugin's case more",
            refusal("other(string),", "other(string),\n    legal,"),
            &[types, "in `delete-photo`"],
        ),
        (
            "a plugin's field of another type",
            refusal("code: string", "code: u64"),
            &[types, "in `delete-photo`", "field code"],
        ),
        (
            "a plugin without documents",
            plugin(&lacking),
            &["delete-document"],
        ),
    ];
    for (name, bytes, words) in bad {
        std::fs::write(&file, bytes).expect("a file");
        let output = run(folder.path(), &[&args[..], &["--json"]].concat());
        let said = failure(&output)["error"].to_string();
        assert!(said.contains("component-refused"), "{name}: {said}");
        for word in words {
            assert!(said.contains(word), "{name}: {said}");
        }
    }
}

#[tokio::test]
async fn what_others_built_judges_as_it_was_written() {
    let stage = Stage::set();
    let sandbox = stage.atropos.sandbox();
    let by_hand = sandbox
        .judge(&policy(&kept(), KEPT))
        .await
        .expect("a policy");
    let later = sandbox
        .judge(&policy(&at("0.1.7"), "0.1.7"))
        .await
        .expect("a policy");
    let plain = sandbox.judge(guests::PLAIN).await.expect("a policy");
    let limits = GuestLimits::default();
    let table = [
        (&by_hand, Kind::Photo, 1, true, "photos-only", "is a photo"),
        (
            &by_hand,
            Kind::Document,
            1,
            false,
            "photos-only",
            "is no photo",
        ),
        (
            &later,
            Kind::Document,
            1,
            false,
            "photos-only",
            "is no photo",
        ),
        (
            &plain,
            Kind::Photo,
            1 << 20,
            true,
            "size",
            "has 1048576 bytes, may have 1048576",
        ),
        (
            &plain,
            Kind::Photo,
            (1 << 20) + 1,
            false,
            "size",
            "has 1048577 bytes, may have 1048576",
        ),
    ];
    for (judge, kind, size, allows, rule, detail) in table {
        let mut question = question(kind);
        question.object.size_bytes = size;
        let answer = judge.ask(&question, "{}", limits).answer;
        let answer = answer.expect("an answer");
        let outcome = if allows {
            FindingOutcome::Passed
        } else {
            FindingOutcome::Failed
        };
        let finding = Finding {
            rule: rule.to_owned(),
            outcome,
            detail: detail.to_owned(),
        };
        assert_eq!(
            (answer.allows, answer.findings),
            (allows, vec![finding]),
            "{kind} {size}"
        );
    }
    let problems = plain.validate("[]", limits).expect("an answer");
    assert_eq!(problems[0].message, "there is nothing to set: `{}`");
}
