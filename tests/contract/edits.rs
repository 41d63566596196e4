//! The comparison itself: small edits to the kept contract, and what each needs.

use wit_parser::Resolve;

use super::wit::Sources;
use super::{KEPT, forbidden, kept};

/// The next version of the line, and the next line.
const NEXT: [&str; 2] = ["0.1.1", "0.2.0"];

/// What existing components break at.
const BREAKS: &str = "existing components break, so it needs the next version line";

/// What they do not notice.
const ADDS: &str = "it needs the next version of this line";

/// In which file, from what, to what.
type Edit = (&'static str, &'static str, &'static str);

/// What changed, and what that needs.
type Found = (&'static str, &'static str);

/// Edits to the types of either package.
const TYPES: [(Edit, &[Found]); 14] = [
    (
        (
            "policy/types",
            "/// Any other file of a user.",
            "/// All else.",
        ),
        &[],
    ),
    (("policy/types", "  /// What became of it.\n", ""), &[]),
    (
        ("policy/types", "    owner: string,\n", ""),
        &[("types.object-facts has lost `owner`", BREAKS)],
    ),
    (
        ("policy/types", "owner: string", "user: string"),
        &[
            ("types.object-facts has lost `owner`", BREAKS),
            ("types.object-facts has `user`, which is new", BREAKS),
        ],
    ),
    (
        (
            "policy/types",
            "    owner: string,",
            "    owner: string,\n    title: string,",
        ),
        &[("types.object-facts has `title`, which is new", BREAKS)],
    ),
    (
        ("policy/types", "size-bytes: u64", "size-bytes: u32"),
        &[(
            "types.object-facts has `size-bytes` as u32, which was u64",
            BREAKS,
        )],
    ),
    (
        ("policy/policy", "verdict: verdict,", "verdict: bool,"),
        &[(
            "policy.judgement has `verdict` as bool, which was policy.verdict",
            BREAKS,
        )],
    ),
    (
        (
            "policy/types",
            "    document,\n",
            "    document,\n    video,\n",
        ),
        &[("types.object-kind has `video`, which is new", BREAKS)],
    ),
    (
        (
            "policy/policy",
            "    allow,\n    /// The object stays.\n    deny,\n",
            "    deny,\n    allow,\n",
        ),
        &[("policy.verdict has another order", BREAKS)],
    ),
    (
        (
            "policy/types",
            "    moderate,\n",
            "    moderate,\n    audit,\n",
        ),
        &[("types.permissions has `audit`, which is new", BREAKS)],
    ),
    (
        ("policy/types", "enum outcome", "variant outcome"),
        &[("types.outcome was enum and is variant", BREAKS)],
    ),
    (
        (
            "deletion/types",
            "    other(string),\n",
            "    other(string),\n    legal,\n",
        ),
        &[("types.reason has `legal`, which is new", BREAKS)],
    ),
    (
        ("deletion/types", "throttled(u64)", "throttled"),
        &[(
            "types.reason has `throttled` as a name, which was u64",
            BREAKS,
        )],
    ),
    (
        (
            "policy/types",
            "interface types {",
            "interface types {\n  type note = string;",
        ),
        &[("types.note is new", ADDS)],
    ),
];

/// Edits to what components have and the host calls.
const CALLED: [(Edit, &[Found]); 8] = [
    (
        (
            "policy/policy",
            "  describe: func",
            "  explain: func() -> string;\n  describe: func",
        ),
        &[("policy.explain is new", BREAKS)],
    ),
    (
        ("policy/policy", "  describe: func() -> description;\n", ""),
        &[("policy.describe is gone", BREAKS)],
    ),
    (
        ("policy/policy", "describe: func", "describe: async func"),
        &[("policy.describe was func and is async func", BREAKS)],
    ),
    (
        (
            "policy/policy",
            "request, settings: string",
            "request, settings: list<u8>",
        ),
        &[(
            "policy.review has `settings` as list<u8>, which was string",
            BREAKS,
        )],
    ),
    (
        (
            "policy/policy",
            "request, settings: string",
            "request, options: string",
        ),
        &[
            ("policy.review has lost `settings`", BREAKS),
            ("policy.review has `options`, which is new", BREAKS),
        ],
    ),
    (
        ("policy/policy", "-> judgement", "-> verdict"),
        &[(
            "policy.review has `->` as policy.verdict, which was policy.judgement",
            BREAKS,
        )],
    ),
    (
        (
            "deletion/package",
            "  export deletion;\n}",
            "  export deletion;\n  export health;\n}\ninterface health {\n  ping: func();\n}",
        ),
        &[
            (
                "world deletion-plugin has `export health`, which is new",
                BREAKS,
            ),
            ("health is new", ADDS),
            ("health.ping is new", BREAKS),
        ],
    ),
    (
        ("policy/package", "  export policy;\n", "  import types;\n"),
        &[("world policy-plugin has lost `export policy`", BREAKS)],
    ),
];

/// Edits to what the host has and components call.
const OFFERED: [(Edit, &[Found]); 9] = [
    (
        (
            "deletion/package",
            "  export deletion;\n}",
            "  import clock;\n  export deletion;\n}\ninterface clock {\n  now: func() -> u64;\n}",
        ),
        &[
            (
                "world deletion-plugin has `import clock`, which is new",
                ADDS,
            ),
            ("clock is new", ADDS),
            ("clock.now is new", ADDS),
        ],
    ),
    (
        ("deletion/package", "  import erasure;\n", ""),
        &[("world deletion-plugin has lost `import erasure`", BREAKS)],
    ),
    (
        (
            "deletion/package",
            "world deletion-plugin {",
            "world bare-plugin {\n  export deletion;\n}\nworld deletion-plugin {",
        ),
        &[("world bare-plugin is new", ADDS)],
    ),
    (
        (
            "deletion/auth",
            "interface auth {",
            "interface auth {\n  authenticate-nobody: func() -> result;",
        ),
        &[("auth.authenticate-nobody is new", ADDS)],
    ),
    (
        (
            "deletion/erasure",
            "  stage: func(object: object, permit: permit) -> result<_, stage-error>;\n",
            "",
        ),
        &[("erasure.stage is gone", BREAKS)],
    ),
    (
        (
            "deletion/auth",
            "website-id: u64, key: string",
            "website-id: u64, key: option<string>",
        ),
        &[(
            "auth.authenticate-site has `key` as option<string>, which was string",
            BREAKS,
        )],
    ),
    (
        (
            "deletion/gate",
            "func(caller: borrow<caller>,",
            "func(caller: caller,",
        ),
        &[(
            "gate.review has `caller` as auth.caller, which was borrow<auth.caller>",
            BREAKS,
        )],
    ),
    (
        (
            "deletion/auth",
            "resource caller {",
            "resource caller {\n    expires-at-ms: func() -> u64;",
        ),
        &[("auth.caller.expires-at-ms is new", ADDS)],
    ),
    (
        (
            "deletion/storage",
            "    facts: func() -> object-facts;\n",
            "",
        ),
        &[("storage.object.facts is gone", BREAKS)],
    ),
];

/// Whether the two worlds of a contract can take over the components of another, as wit-component sees
/// it. It says neither where nor why not, and lets the host forget what it called.
fn oracle_agrees(old: &Sources, new: &Sources) -> bool {
    let mut resolve = Resolve::new();
    let old = old.push(&mut resolve);
    // Two packages of one name and version cannot be in one place; the versions are not compared.
    let apart = |sources: Sources, package| sources.moved(package, KEPT, "9.0.0");
    let new = apart(apart(new.clone(), "policy"), "deletion").push(&mut resolve);
    let worlds = [(0, "policy-plugin"), (1, "deletion-plugin")];
    worlds.into_iter().all(|(package, world)| {
        let world = |packages: [wit_parser::PackageId; 2]| {
            resolve.packages[packages[package]].worlds[world]
        };
        wit_component::semver_check(resolve.clone(), world(old), world(new)).is_ok()
    })
}

#[test]
fn a_change_needs_a_new_version_and_one_that_breaks_components_a_new_line() {
    let kept = kept();
    for ((file, from, to), found) in [&TYPES[..], &CALLED, &OFFERED].concat() {
        let edited = kept.clone().edited(file, from, to);
        let (package, _) = file.split_once('/').expect("a folder");
        let forbids = |version: &str, found: &[Found]| {
            let moved = edited.clone().moved(package, KEPT, version);
            let said = found
                .iter()
                .map(|(what, needs)| format!("atropos:{package}@{version}, {what}: {needs}"));
            let said: Vec<_> = said.collect();
            assert_eq!(forbidden(&kept, &moved), said, "{file}: {from}");
        };
        let breaking = found.iter().filter(|(_, needs)| *needs == BREAKS);
        let breaking: Vec<_> = breaking.copied().collect();
        forbids(KEPT, found);
        forbids(NEXT[0], &breaking);
        if breaking.is_empty() {
            assert!(oracle_agrees(&kept, &edited), "{file}: {from}");
        }
        let [_, line] = NEXT;
        let moved = edited
            .clone()
            .moved("policy", KEPT, line)
            .moved("deletion", KEPT, line);
        assert_eq!(forbidden(&kept, &moved), [""; 0], "{file}: {from}");
    }
}

#[test]
fn a_package_follows_the_version_line_of_the_one_it_uses_and_none_goes_back() {
    let kept = kept();
    let [version, line] = NEXT;
    let moved = |version| kept.clone().moved("policy", KEPT, version);
    assert_eq!(forbidden(&kept, &moved(version)), [""; 0]);
    let said = forbidden(&kept, &moved(line));
    let findings = "atropos:deletion@0.1.0, gate.policy-denial has `findings` as \
        list<atropos:policy@0.2/types.finding>, which was list<atropos:policy@0.1/types.finding>: \
        existing components break, so it needs the next version line";
    assert!(said.iter().any(|change| change == findings), "{said:#?}");
    assert_eq!(
        forbidden(&moved(line), &moved(version))[0],
        "atropos:policy@0.1.1 comes after atropos:policy@0.2.0"
    );
}
