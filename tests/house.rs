//! The house itself: directions, sizes, and words that must agree.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// From the top down: each may use only what stands after it.
const DIRECTION: [&str; 27] = [
    "main",
    "cli",
    "author",
    "memory",
    "http",
    "demo",
    "status",
    "service",
    "upload",
    "replay",
    "erase",
    "guest",
    "platform",
    "auth",
    "store",
    "config",
    "request",
    "error",
    "naming",
    "target",
    "text",
    "fair_cache",
    "fair_queue",
    "background",
    "log",
    "parts",
    "step",
];

/// What the flow asks of a platform, and the backend that passes the steps: trait, its source, type,
/// its source.
const POWERS: [(&str, &str, &str, &str); 4] = [
    ("Authority", "auth.rs", "Credentials", "auth.rs"),
    (
        "Objects",
        "store/objects.rs",
        "Sqlite",
        "store/sqlite/objects.rs",
    ),
    (
        "Chains",
        "store/chains.rs",
        "Sqlite",
        "store/sqlite/chains.rs",
    ),
    ("Blobs", "store/blobs.rs", "Local", "store/local.rs"),
];

/// What starts tasks that end soon, each of which fails by its panic alone.
const SHORT_LIVED: [(&str, &str); 6] = [
    ("background.rs", "one job"),
    ("erase.rs", "one delete"),
    ("guest/component.rs", "one component that is loaded"),
    ("http/server.rs", "one connection"),
    ("service/backlog.rs", "one count"),
    ("service/readiness.rs", "one look"),
];

fn root() -> PathBuf {
    let host = Path::new(env!("CARGO_MANIFEST_DIR"));
    host.parent().expect("the workspace").to_owned()
}

/// Every Rust source beneath `folder`, with its path from there.
fn sources(folder: &Path) -> BTreeMap<String, String> {
    files(folder, |path| {
        path.extension().is_some_and(|end| end == "rs")
    })
}

/// Every such file beneath `folder`, with its path from there.
fn files(folder: &Path, wanted: fn(&Path) -> bool) -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if wanted(&path) {
                let name = path
                    .strip_prefix(folder)
                    .expect("beneath")
                    .display()
                    .to_string();
                sources.insert(name, std::fs::read_to_string(&path).expect("text"));
            }
        }
    }
    sources
}

/// Names that follow `crate::` or `atropos::` in one source, its tests aside.
fn uses(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let mut names = Vec::new();
    for line in lines {
        for path in line
            .split("crate::")
            .skip(1)
            .chain(line.split("atropos::").skip(1))
        {
            let name = path
                .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .next();
            names.extend(name.map(str::to_owned));
        }
    }
    names
}

#[test]
fn imports_follow_the_direction_of_the_code_map() {
    let rank = |name: &str| DIRECTION.iter().position(|known| *known == name);
    let mut wrong = Vec::new();
    for (file, text) in sources(&root().join("host/src")) {
        let module = file.split(['/', '.']).next().unwrap_or_default();
        let Some(own) = rank(module) else {
            assert_eq!(module, "lib", "{file} is not on the code map");
            continue;
        };
        for name in uses(&text) {
            if rank(&name).is_some_and(|used| used < own) {
                wrong.push(format!("{file} uses {name}"));
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
    for (file, text) in sources(&root().join("host/src")) {
        if !file.starts_with("http/") {
            assert!(!text.contains("StatusCode"), "{file} knows status codes");
        }
    }
}

#[test]
fn only_the_table_of_endpoints_makes_routes() {
    for (file, text) in sources(&root().join("host/src")) {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let makes = [
            "Router::new()",
            ".route(",
            ".route_service(",
            ".nest(",
            ".nest_service(",
        ];
        let made = makes.iter().filter(|make| code.contains(**make)).count();
        assert!(made == 0 || file == "http/routes.rs", "{file} makes routes");
    }
}

#[test]
fn lists_of_callers_are_read_in_turns_alone() {
    for (file, text) in sources(&root().join("host/src")) {
        let code: String = text.split_whitespace().collect();
        for list in ["list", "activity", "decisions", "count_decisions"] {
            let read = code.contains(&format!("catalogue.{list}("));
            assert!(!read || !file.starts_with("http/"), "{file} reads {list}");
        }
    }
}

#[test]
fn only_the_guest_folder_touches_wasmtime() {
    for (file, text) in sources(&root().join("host/src")) {
        if !file.starts_with("guest/") {
            assert!(!text.contains("wasmtime::"), "{file} touches wasmtime");
        }
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
    let sources = sources(&root().join("host/src"));
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
    let mut sources = sources(&root().join("host/src"));
    sources.remove("step.rs");
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
    let mut sources = sources(&root().join("host/src"));
    sources.remove("step/barrier.rs");
    for (file, text) in &sources {
        for call in ["sync_all(", "sync_data(", "fsync(", "fdatasync("] {
            assert!(!text.contains(call), "{file} calls {call}…)");
        }
        let copies = file.starts_with("store/backup") || file == "store/local/copy.rs";
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
    let sources = sources(&root().join("host/src"));
    for (file, text) in &sources {
        if file.starts_with("store/tests/") || file.ends_with("/tests.rs") {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let count = |call: &str| code.matches(call).count();
        let started = count("spawn(") - count("spawn()");
        let kept = count("keep(") + count("keep_thread(");
        let short = SHORT_LIVED.iter().any(|(known, _)| known == file);
        assert!(
            short || started <= kept,
            "{file} starts what nobody keeps going"
        );
        assert!(!short || started > 0, "{file} starts nothing");
    }
    let code: String = sources.into_values().collect();
    for part in atropos::parts::Part::ALL {
        let used = code.contains(&format!("(Part::{part:?})"));
        assert!(used, "nothing is watched as {part:?}");
    }
}

#[test]
fn no_source_is_longer_than_600_lines() {
    for folder in ["host", "guest", "tests"] {
        for (file, text) in sources(&root().join(folder)) {
            let lines = text.lines().count();
            assert!(lines <= 600, "{folder}/{file} has {lines} lines");
        }
    }
}

#[test]
fn every_test_that_a_security_claim_names_is_there() {
    let claims = std::fs::read_to_string(root().join("SECURITY.md")).expect("the claims");
    let (_, claims) = claims.split_once("## Claims").expect("the table");
    let of = |folder| sources(&root().join(folder)).into_values();
    let all: String = of("tests").chain(of("host/src")).collect();
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
    let asked = r#"atropos = { path = "../../host", features = ["native-gate"] }"#;
    let expected = [
        ("host/Cargo.toml", "native-gate = []"),
        ("tests/bench/Cargo.toml", asked),
    ];
    assert_eq!(named, expected);
}

#[test]
fn the_configuration_in_the_readme_is_the_default_one() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the readme");
    let (_, rest) = readme.split_once("```toml\n").expect("a TOML block");
    let (block, _) = rest.split_once("```").expect("its end");
    let documented: atropos::config::Config = toml::from_str(block).expect("a configuration");
    assert_eq!(documented, atropos::config::Config::default());
    let keys = |text: &str| {
        let table: toml::Table = toml::from_str(text).expect("TOML");
        table
            .into_iter()
            .map(|(key, value)| (key, shape(&value)))
            .collect::<BTreeMap<_, _>>()
    };
    let defaults = toml::to_string(&atropos::config::Config::default()).expect("TOML");
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
