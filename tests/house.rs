//! The house itself: directions, sizes, and words that must agree. Which crate may know which is in their
//! manifests, and held by the compiler.

// Files as a compiler reads them.
mod source;

use std::collections::{BTreeMap, BTreeSet};

use self::source::{CRATES, Source, files, is_rust, sources};
use crate::support::root;

/// What the flow asks of a platform, and the backend that passes the steps: trait, its source, type,
/// its source.
const POWERS: [(&str, &str, &str, &str); 7] = [
    (
        "Authority",
        "atropos/src/auth.rs",
        "Credentials",
        "service/src/auth.rs",
    ),
    (
        "Objects",
        "atropos/src/ports/objects.rs",
        "Sqlite",
        "stores/src/sqlite/objects.rs",
    ),
    (
        "Decisions",
        "atropos/src/ports/decisions.rs",
        "Sqlite",
        "stores/src/sqlite/decisions.rs",
    ),
    (
        "Removals",
        "atropos/src/ports/removals.rs",
        "Sqlite",
        "stores/src/sqlite/removals.rs",
    ),
    (
        "Outcomes",
        "atropos/src/ports/outcomes.rs",
        "Sqlite",
        "stores/src/sqlite/outcomes.rs",
    ),
    (
        "Chains",
        "atropos/src/ports/chains.rs",
        "Sqlite",
        "stores/src/sqlite/chains.rs",
    ),
    (
        "Blobs",
        "atropos/src/ports/blobs.rs",
        "Local",
        "stores/src/local.rs",
    ),
];

/// What starts tasks that end soon, each of which fails by its panic alone.
const SHORT_LIVED: [(&str, &str); 6] = [
    ("atropos/src/background.rs", "one job"),
    ("atropos/src/erase.rs", "one delete"),
    (
        "atropos/src/guest/component.rs",
        "one component that is loaded",
    ),
    ("server/src/http/server.rs", "one connection"),
    ("service/src/service/backlog.rs", "one count"),
    ("service/src/service/readiness.rs", "one look"),
];

/// The sources of the host by their paths beneath `host`.
fn texts() -> BTreeMap<String, String> {
    let named = |source: Source| (source.path(), source.text);
    sources().into_iter().map(named).collect()
}

#[test]
fn each_crate_uses_those_that_the_drawing_in_the_readme_says() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README");
    let drawn = readme.lines().filter_map(|line| line.split_once(" --> "));
    let drawn: Vec<_> = drawn
        .map(|(from, to)| (from.trim().to_owned(), to.to_owned()))
        .collect();
    let mut used = Vec::new();
    for krate in CRATES.into_iter().rev() {
        let manifest = root().join("host").join(krate).join("Cargo.toml");
        let manifest = std::fs::read_to_string(manifest).expect("a manifest");
        let manifest: toml::Table = toml::from_str(&manifest).expect("TOML");
        let name = manifest["package"]["name"].as_str().expect("a name");
        let uses = manifest["dependencies"].as_table().expect("a table").keys();
        let ours = uses.filter(|name| name.starts_with("atropos"));
        used.extend(ours.map(|uses| (name.to_owned(), uses.clone())));
    }
    assert_eq!(sorted(drawn), sorted(used));
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}

/// By file: the files of its crate that it uses.
fn uses(all: &[Source], krate: &str) -> BTreeMap<usize, BTreeSet<usize>> {
    let of_crate = || all.iter().enumerate().filter(|(_, one)| one.krate == krate);
    let mut by_module: BTreeMap<&[String], usize> = BTreeMap::new();
    for (nth, source) in of_crate() {
        by_module.insert(&source.module, nth);
    }
    // The file that a path leads to, over what files on the way hand on.
    let leads_to = |path: &[String]| {
        let mut path = path.to_vec();
        for _ in 0..8 {
            let known = (0..=path.len())
                .rev()
                .find_map(|words| by_module.get(&path[..words]).map(|nth| (*nth, words)));
            let (nth, words) = known?;
            let further = path.get(words).and_then(|name| all[nth].hands_on.get(name));
            match further {
                Some(further) if further[0] == "crate" => path = further[1..].to_vec(),
                _ => return Some(nth),
            }
        }
        None
    };
    let used = |nth: usize, source: &Source| {
        let inside = source.paths.iter().filter(|path| path[0] == "crate");
        let files = inside.filter_map(|path| leads_to(&path[1..]));
        files.filter(|file| *file != nth).collect()
    };
    of_crate()
        .map(|(nth, source)| (nth, used(nth, source)))
        .collect()
}

#[test]
fn no_file_is_used_by_one_that_it_uses() {
    let all = sources();
    for krate in CRATES {
        let mut left = uses(&all, krate);
        // Those that use none of those that are left are in no circle.
        loop {
            let done: BTreeSet<_> = left
                .iter()
                .filter(|(_, used)| used.is_empty())
                .map(|(nth, _)| *nth)
                .collect();
            if done.is_empty() {
                break;
            }
            left.retain(|nth, _| !done.contains(nth));
            for used in left.values_mut() {
                used.retain(|nth| !done.contains(nth));
            }
        }
        let circles = left.iter().map(|(nth, used)| {
            let used: Vec<_> = used.iter().map(|nth| &all[*nth].file).collect();
            format!("{} uses {used:?}", all[*nth].file)
        });
        let circles: Vec<_> = circles.collect();
        assert!(circles.is_empty(), "{krate}:\n{}", circles.join("\n"));
    }
}

/// The modules of a crate in the order of its code map.
fn code_map(krate: &str, all: &[Source]) -> Vec<String> {
    let lib = all
        .iter()
        .find(|one| one.krate == krate && one.file == "lib.rs");
    let text = &lib.expect("a crate").text;
    let (_, map) = text.split_once("# Code map").unwrap_or_default();
    let rows = map.lines();
    let rows = rows.filter_map(|line| line.strip_prefix("//! | ")?.split(" |").next());
    let words = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    words.map(str::to_owned).collect()
}

#[test]
fn imports_follow_the_direction_of_the_code_map() {
    let all = sources();
    let mut wrong = Vec::new();
    for krate in CRATES {
        let map = code_map(krate, &all);
        let rank = |name: &str| map.iter().position(|known| known == name);
        for source in all.iter().filter(|source| source.krate == krate) {
            let Some(module) = source.module.first() else {
                continue;
            };
            let Some(own) = rank(module) else {
                assert!(map.is_empty(), "{} is not on its code map", source.path());
                continue;
            };
            for path in source.paths.iter().filter(|path| path[0] == "crate") {
                if path
                    .get(1)
                    .and_then(|name| rank(name))
                    .is_some_and(|used| used < own)
                {
                    wrong.push(format!("{} uses {}", source.path(), path.join("::")));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "against the direction:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn only_the_http_folder_speaks_of_status_codes() {
    for source in sources() {
        let knows = source
            .paths
            .iter()
            .flatten()
            .any(|word| word == "StatusCode");
        let is_http = source.path().starts_with("server/src/http");
        assert!(is_http || !knows, "{} knows status codes", source.path());
    }
}

#[test]
fn only_the_table_of_endpoints_makes_routes() {
    for source in sources() {
        let code = source.code();
        let makes = [
            "Router :: new ()",
            ". route (",
            ". route_service (",
            ". nest (",
            ". nest_service (",
        ];
        let makes = makes.iter().any(|make| code.contains(make));
        let may = source.path() == "server/src/http/routes.rs";
        assert!(may || !makes, "{} makes routes", source.path());
    }
}

#[test]
fn lists_of_callers_are_read_in_turns_alone() {
    for source in sources() {
        let code = source.code();
        for list in ["list", "activity", "decisions", "count_decisions"] {
            let reads = code.contains(&format!("catalogue . {list} ("));
            let is_http = source.path().starts_with("server/src/http");
            assert!(!reads || !is_http, "{} reads {list}", source.path());
        }
    }
}

#[test]
fn only_the_guest_folder_touches_wasmtime() {
    for source in sources() {
        let touches = source.paths.iter().any(|path| {
            let from = usize::from(path[0] == "::");
            path.get(from).is_some_and(|word| word == "wasmtime")
        });
        let may = source.path().starts_with("atropos/src/guest");
        assert!(may || !touches, "{} touches wasmtime", source.path());
    }
}

/// The async methods of a trait or of its implementation, from the line that begins so: name and text.
fn methods<'a>(text: &'a str, begin: &str) -> BTreeMap<&'a str, &'a str> {
    let (_, block) = text.split_once(begin).expect(begin);
    let (block, _) = block.split_once("\n}\n").expect("its end");
    let methods = block.split("async fn ").skip(1);
    let named = methods.filter_map(|method| Some((method.split('(').next()?, method)));
    named.collect()
}

#[test]
fn whatever_the_flow_asks_of_a_platform_passes_a_step() {
    let sources = texts();
    let mut wanting = Vec::new();
    for (power, asked, backend, given) in POWERS {
        let begin = format!("pub trait {power}: ");
        let asked = methods(&sources[asked], &begin);
        assert!(!asked.is_empty(), "{power} asks for nothing");
        let given = methods(&sources[given], &format!("impl {power} for {backend} {{"));
        for name in asked.keys() {
            let passes = given.get(name).is_some_and(|text| text.contains("Step::"));
            if !passes {
                wanting.push(format!("{backend}::{name}"));
            }
        }
    }
    assert!(wanting.is_empty(), "no step in {wanting:?}");
}

#[test]
fn every_step_is_passed_somewhere() {
    let mut sources = texts();
    sources.remove("atropos/src/step.rs");
    let code: String = sources.into_values().collect();
    let steps = atropos::step::Step::ALL.iter();
    let unused = steps.filter(|step| !code.contains(&format!("Step::{step:?})")));
    assert_eq!(
        unused.collect::<Vec<_>>(),
        Vec::<&atropos::step::Step>::new()
    );
}

#[test]
fn whatever_is_made_durable_is_made_so_by_a_named_barrier() {
    let mut sources = texts();
    sources.remove("atropos/src/step/barrier.rs");
    for (file, text) in &sources {
        for call in ["sync_all(", "sync_data(", "fsync(", "fdatasync("] {
            assert!(!text.contains(call), "{file} calls {call}…)");
        }
        let copies = file.starts_with("stores/src/backup") || file == "stores/src/local/copy.rs";
        assert!(
            copies || !text.contains("sync_copy("),
            "{file} makes no copy"
        );
    }
    let code: String = sources.into_values().collect();
    for barrier in atropos::step::Barrier::ALL {
        let used = code.contains(&format!("Barrier::{barrier:?}"));
        assert!(used, "nothing is made durable by {barrier:?}");
    }
}

#[test]
fn whatever_lives_as_long_as_the_service_goes_on_after_a_panic() {
    let all = sources();
    for source in &all {
        let (path, code) = (source.path(), source.code());
        let count = |call: &str| code.matches(call).count();
        let started = count("spawn (") - count("spawn ()");
        let kept = count("keep (") + count("keep_thread (");
        let short = SHORT_LIVED.iter().any(|(known, _)| *known == path);
        assert!(
            short || started <= kept,
            "{path} starts what nobody keeps going"
        );
        assert!(!short || started > 0, "{path} starts nothing");
    }
    let code: String = all.into_iter().map(|source| source.text).collect();
    for part in atropos::parts::Part::ALL {
        let used = code.contains(&format!("(Part::{part:?})"));
        assert!(used, "nothing is watched as {part:?}");
    }
}

#[test]
fn no_source_is_longer_than_600_lines() {
    for folder in ["host", "guest", "tests"] {
        for (file, text) in files(&root().join(folder), is_rust) {
            let lines = text.lines().count();
            assert!(lines <= 600, "{folder}/{file} has {lines} lines");
        }
    }
}

#[test]
fn every_test_that_a_security_claim_names_is_there() {
    let claims = std::fs::read_to_string(root().join("SECURITY.md")).expect("the claims");
    let (_, claims) = claims.split_once("## Claims").expect("the table");
    let of = |folder| files(&root().join(folder), is_rust).into_values();
    let all: String = of("tests").chain(of("host")).collect();
    let words = claims.split('`').skip(1).step_by(2);
    let missing: Vec<_> = words
        .filter(|test| !all.contains(&format!("fn {test}(")))
        .collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}

#[test]
fn native_code_stands_in_for_guests_in_the_benchmarks_alone() {
    let manifests = files(&root(), |path| path.ends_with("Cargo.toml"));
    let named = |text: &&str| text.contains("native-gate");
    let named: Vec<_> = manifests
        .iter()
        .flat_map(|(path, text)| text.lines().filter(named).map(move |line| (&**path, line)))
        .collect();
    let asked = r#"atropos = { path = "../../host/atropos", features = ["native-gate"] }"#;
    let expected = [
        ("host/atropos/Cargo.toml", "native-gate = []"),
        ("tests/bench/Cargo.toml", asked),
    ];
    assert_eq!(named, expected);
}

#[test]
fn the_configuration_in_the_readme_is_the_default_one() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the readme");
    let (_, rest) = readme.split_once("```toml\n").expect("a TOML block");
    let (block, _) = rest.split_once("```").expect("its end");
    let documented: atropos_service::config::Config =
        toml::from_str(block).expect("a configuration");
    assert_eq!(documented, atropos_service::config::Config::default());
    let keys = |text: &str| {
        let table: toml::Table = toml::from_str(text).expect("TOML");
        table
            .into_iter()
            .map(|(key, value)| (key, shape(&value)))
            .collect::<BTreeMap<_, _>>()
    };
    let defaults = toml::to_string(&atropos_service::config::Config::default()).expect("TOML");
    assert_eq!(
        keys(block),
        keys(&defaults),
        "a key is missing in the readme"
    );
}

/// The keys of a table; nothing of a value.
fn shape(value: &toml::Value) -> Vec<String> {
    let table = value.as_table();
    table.map_or_else(Vec::new, |table| table.keys().cloned().collect())
}
