//! Policies from their author's hand: new, tried, measured, and in three languages.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use atropos::guest::BUILT_IN_POLICIES;
use atropos_test_guests as guests;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::demo::{Demo, refused, sunset};
use crate::support::{self, machine, root, run, verb};

/// A folder with the built-in `retention` in it.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().expect("a directory"));
        desk.write("retention.wasm", retention());
        desk
    }

    fn path(&self, name: &str) -> String {
        let path = self.0.path().join(name);
        path.to_str().expect("a path in UTF-8").to_owned()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    fn run(&self, args: &[&str]) -> Output {
        run(self.0.path(), args)
    }
}

/// The built-in policy that there is in every language.
fn retention() -> &'static [u8] {
    let mut built_in = BUILT_IN_POLICIES.iter();
    let found = built_in.find(|(name, _)| *name == "retention");
    found.expect("a policy").1
}

/// The cases that every `retention` passes, whatever it is written in.
fn shared_cases() -> String {
    let cases = root().join("guest/policies/retention/cases");
    cases.to_str().expect("a path in UTF-8").to_owned()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Of four cases two fail, each in its own ways.
const FAILING: &str = r#"settings = { minimum-age-days = { photo = 30 } }

[[case]]
name = "a new photo <stays> & says \"why\""
expect = "deny"

[[case]]
name = "a new photo goes"
expect = "allow"
findings = [{ rule = "minimum-age", outcome = "passed", detail = "the photo is 30 days old" }]
max-fuel = 3

[[case]]
name = "settings that are good"
problems = []

[[case]]
name = "settings that are bad"
settings = { minimum-age-days = {} }
problems = [{ path = "minimum-age-days" }, { path = "elsewhere" }]
"#;

#[test]
fn the_built_in_retention_passes_the_cases_of_all_languages() {
    let desk = Desk::new();
    let args = [
        "policy",
        "test",
        &desk.path("retention.wasm"),
        &shared_cases(),
    ];
    let report = verb(desk.0.path(), &args);
    let cases = report["cases"].as_array().expect("cases");
    assert_eq!(report["failed"], 0, "{report:#}");
    assert!(cases.len() > 20 && report["passed"] == cases.len());
    let young = &cases[0];
    assert_eq!(young["outcome"], "deny");
    assert_eq!(young["findings"][0]["rule"], "minimum-age");
    assert_eq!(young["memoryBytes"], 65_536);
    assert!(young["fuel"].as_u64() > Some(100));
}

#[test]
fn every_case_that_fails_is_shown_with_what_differs() {
    let desk = Desk::new();
    let cases = desk.write("cases.toml", FAILING);
    let output = desk.run(&["policy", "test", &desk.path("retention.wasm"), &cases]);
    let (said, shown) = (err(&output), out(&output));
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said, "error: 2 of 4 cases failed\n");
    for line in [
        "ok    a new photo <stays>",
        &format!("{cases}:8"),
        "        verdict: expected allow, was deny",
        "          - minimum-age passed: the photo is 30 days old",
        "          + minimum-age failed: the photo is 0 days old and must be 30; 30 days missing",
        "        fuel: at most 3, was ",
        "            minimum-age-days: must name `photo`, `document` or both",
        "          - elsewhere: …",
        "retention 0.1.0: 2 passed, 2 failed; at most ",
        "64 KiB (0.39 %)",
    ] {
        assert!(shown.contains(line), "{line}:\n{shown}");
    }
}

#[test]
fn a_report_for_build_servers_is_well_formed() {
    use quick_xml::XmlVersion;
    use quick_xml::events::Event;
    let desk = Desk::new();
    let (cases, junit) = (desk.write("cases.toml", FAILING), desk.path("junit.xml"));
    let retention = desk.path("retention.wasm");
    let test = ["policy", "test", &retention, &cases, "--junit", &junit];
    assert_eq!(desk.run(&test).status.code(), Some(1));
    let xml = std::fs::read_to_string(&junit).expect("a report");
    let mut reader = quick_xml::Reader::from_str(&xml);
    let (mut cases, mut failures, mut text) = (Vec::new(), 0, String::new());
    loop {
        match reader.read_event().expect("well-formed XML") {
            Event::Start(tag) | Event::Empty(tag) if tag.name().as_ref() == "testcase" => {
                let name = tag.try_get_attribute("name").expect("XML").expect("a name");
                cases.push(
                    name.normalized_value(XmlVersion::Implicit1_0)
                        .expect("XML")
                        .into_owned(),
                );
            }
            Event::Start(tag) if tag.name().as_ref() == "failure" => failures += 1,
            Event::Text(part) => text += &part.xml10_content(),
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!((cases.len(), failures), (4, 2), "{xml}");
    assert_eq!(cases[0], "a new photo <stays> & says \"why\"");
    assert!(text.contains("verdict: expected allow, was deny"), "{text}");
}

#[test]
fn a_case_that_makes_no_sense_is_named_with_its_line() {
    let desk = Desk::new();
    let text = "[[case]]\nname = \"x\"\nexpect = \"deny\"\nrequest.object.colour = 1\n";
    let cases = desk.write("cases.toml", text);
    let output = desk.run(&["policy", "test", &desk.path("retention.wasm"), &cases]);
    let said = err(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let begin = format!("error: {cases}:4: unknown field `colour`, expected one of `kind`");
    assert!(said.starts_with(&begin), "{said}");
    assert!(
        said.contains("remedy: `atropos policy test --help`"),
        "{said}"
    );
    let nowhere = desk.run(&[
        "policy",
        "test",
        &desk.path("retention.wasm"),
        &desk.path("none"),
    ]);
    assert_eq!(nowhere.status.code(), Some(3), "{}", err(&nowhere));
}

#[test]
fn a_fault_can_be_what_a_case_expects() {
    let desk = Desk::new();
    let faults: [(&str, &[u8], &str, &[&str]); 4] = [
        ("trap", guests::TRAP, "policy-trap", &[]),
        (
            "spin",
            guests::SPIN,
            "policy-fuel",
            &["--fuel", "1000000", "--deadline", "2s"],
        ),
        (
            "hungry",
            guests::HUNGRY,
            "policy-memory",
            &["--memory", "1MiB", "--deadline", "2s"],
        ),
        (
            "contradiction",
            guests::CONTRADICTION,
            "policy-contradiction",
            &[],
        ),
    ];
    for (name, bytes, code, limits) in faults {
        let file = desk.write("guest.wasm", bytes);
        let text = format!("[[case]]\nname = \"{name}\"\nexpect = \"{code}\"\n");
        let cases = desk.write("cases.toml", text);
        let output = desk.run(&[&["policy", "test", &file, &cases], limits].concat());
        assert!(
            output.status.success(),
            "{name}: {}{}",
            out(&output),
            err(&output)
        );
    }
}

#[test]
fn one_decision_is_shown_with_its_trace() {
    let desk = Desk::new();
    let retention = desk.path("retention.wasm");
    let settings = r#"{"minimum-age-days":{"document":2}}"#;
    let request = desk.write("request.toml", "object.kind = \"document\"\n");
    let typed = [
        "policy",
        "run",
        &retention,
        "--settings",
        settings,
        "--request",
    ];
    let shown = out(&desk.run(&[&typed[..], &[&request]].concat()));
    for line in [
        "policy    retention 0.1.0\n",
        "verdict   deny\n",
        "findings  minimum-age failed: the document is 0 days old and must be 2; 2 days missing\n",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let mut piped = support::atropos(desk.0.path())
        .args(typed)
        .args(["-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let object = json!({ "kind": "document", "created-at": "2025-12-30T00:00:00Z" });
    let stdin = piped.stdin.take().expect("a pipe");
    serde_json::to_writer(stdin, &json!({ "object": object })).expect("a pipe");
    let output = piped.wait_with_output().expect("it ended");
    let decided: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(decided["outcome"], "allow", "{decided}");
    assert_eq!(decided["policy"]["name"], "retention");
    let refused = desk.run(&["policy", "run", &retention, "--json"]);
    let error = &support::failure(&refused)["error"];
    assert_eq!(error["code"], "settings-refused", "{error}");
}

/// In percent: no time counts, however busy the machine is.
const THRESHOLD: &str = "4294967295";

#[test]
fn a_benchmark_fails_on_what_has_become_dearer() {
    let desk = Desk::new();
    let (retention, saved) = (desk.path("retention.wasm"), desk.path("before.json"));
    let cases = shared_cases();
    let bench = ["policy", "bench", &retention, &cases, "--times", "20"];
    let figures = verb(desk.0.path(), &[&bench[..], &["--save", &saved]].concat());
    let compare = [
        &bench[..],
        &["--compare", &saved, "--threshold", THRESHOLD, "--json"],
    ]
    .concat();
    let same = desk.run(&compare);
    assert!(same.status.success(), "{}", err(&same));
    let case = "a photo of 3 days stays";
    let text = std::fs::read_to_string(&saved).expect("figures");
    let mut before: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(before["cases"], figures["cases"]);
    let fuel = before["cases"][case]["fuel"].as_u64().expect("fuel");
    before["cases"][case]["fuel"] = (fuel - 1).into();
    desk.write("before.json", before.to_string());
    let worse = desk.run(&compare);
    assert_eq!(worse.status.code(), Some(1), "{}", err(&worse));
    let shown: Value = serde_json::from_slice(&worse.stdout).expect("JSON");
    let regression = json!({ "case": case, "figure": "fuel", "before": fuel - 1, "after": fuel });
    assert_eq!(shown["regressions"], json!([regression]));
    assert_eq!(support::failure(&worse)["error"]["code"], "regressed");
}

#[test]
fn a_project_takes_no_folder_that_is_there_and_no_odd_name() {
    let desk = Desk::new();
    std::fs::create_dir(desk.0.path().join("taken")).expect("a directory");
    let new = ["policy", "new", "--language", "python"];
    let taken = desk.run(
        &[
            &new[..],
            &["taken", "--path", &desk.path("taken"), "--json"],
        ]
        .concat(),
    );
    let error = &support::failure(&taken)["error"];
    assert_eq!(
        (taken.status.code(), &error["code"]),
        (Some(1), &json!("taken"))
    );
    assert!(error["remedy"].to_string().contains("--path"), "{error}");
    for name in ["Upper", "../elsewhere", "1st", "a_b", ""] {
        let output = desk.run(&[&new[..], &[name, "--path", &desk.path("new")]].concat());
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(!desk.0.path().join("new").exists(), "{name}");
    }
}

/// What the page says to type under a heading.
fn block(page: &str, heading: &str) -> String {
    let (_, rest) = page.split_once(heading).expect(heading);
    let (_, rest) = rest.split_once("```sh\n").expect("a block");
    rest.split_once("```").expect("its end").0.to_owned()
}

/// Whether a command succeeds; otherwise what it needs is missing.
fn probe(name: &str, program: &str, args: &[&str]) -> bool {
    let folder = tempfile::tempdir().expect("a directory");
    let output = Command::new(program)
        .args(args)
        .current_dir(&folder)
        .output();
    let done = output.is_ok_and(|output| output.status.success());
    if !done {
        machine::missing(name, &format!("`{program} {}` fails", args.join(" ")));
    }
    done
}

/// Goes from nothing to a policy in force, with what the page says to type, and has it refuse.
fn from_nothing_to_refusing(language: &str, heading: &str) {
    let page = std::fs::read_to_string(root().join("guest/README.md")).expect("the page");
    let commands = block(&page, heading);
    let demo = Demo::start();
    let folder = tempfile::tempdir().expect("a directory");
    let binary = Path::new(env!("CARGO_BIN_EXE_atropos"));
    let path = std::env::var("PATH").expect("a path");
    let binaries = binary.parent().expect("a folder").display();
    let mut shell = Command::new("sh");
    shell.args(["-eux", "-c", &commands]).current_dir(&folder);
    // What cargo set for these tests is not for another project.
    for (name, _) in std::env::vars() {
        let foreign = ["CARGO_", "RUSTFLAGS", "RUSTC", "ATROPOS_"];
        if foreign.iter().any(|begin| name.starts_with(begin)) && name != "CARGO_HOME" {
            shell.env_remove(name);
        }
    }
    // Other tests may keep the machine busy while a large component is compiled.
    let patient = demo.component("patient", support::PATIENT.as_bytes());
    let output = shell
        .env("PATH", format!("{binaries}:{path}"))
        .env("ATROPOS_CONFIG", patient)
        .env("ATROPOS_DATA_DIR", demo.server.data_dir())
        .output()
        .expect("sh runs");
    assert!(output.status.success(), "{}{}", out(&output), err(&output));

    let project = folder.path().join("minimum-age");
    let readme = std::fs::read_to_string(project.join("README.md")).expect("a readme");
    let (build, deploy) = (
        block(&readme, "# minimum-age"),
        block(&readme, "Put it in force"),
    );
    let new = format!("atropos policy new --language {language} minimum-age\ncd minimum-age\n");
    assert_eq!(
        commands,
        format!("{new}{build}{deploy}"),
        "page and project differ"
    );

    let file = project.join("minimum-age.wasm");
    let check = [
        "component",
        "check",
        file.to_str().expect("a path"),
        "--memory",
        "64MiB",
    ];
    let report = demo.verb(&check);
    assert_eq!(
        report["imports"],
        json!(["atropos:policy/types@0.1.0"]),
        "a policy imports nothing but types"
    );
    let built_in = demo.component("built-in", retention());
    let retention = demo.verb(&["component", "check", &built_in]);
    let schema = |description: &Value| -> Value {
        let text = description["settingsSchema"].as_str().expect("a schema");
        let mut schema: Value = serde_json::from_str(text).expect("JSON");
        schema["title"] = Value::Null;
        schema
    };
    assert_eq!(report["description"]["name"], "minimum-age");
    assert_eq!(
        report["description"]["summary"],
        retention["description"]["summary"]
    );
    assert_eq!(
        schema(&report["description"]),
        schema(&retention["description"])
    );

    let why = "Denied by policy minimum-age: minimum-age: the photo is 0 days old and must be 30; \
               30 days missing.";
    let mut answer = demo.delete(&sunset());
    // A large component may take longer to compile than a request waits.
    for _ in 0..300 {
        if answer.0 != 503 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_secs(2));
        answer = demo.delete(&sunset());
    }
    assert_eq!(answer, refused(403, "403", why));
    assert!(demo.has(&sunset()));
}

#[test]
fn the_page_leads_from_nothing_to_a_policy_in_force_in_rust() {
    if probe("crates", "cargo", &["info", "serde"]) {
        from_nothing_to_refusing("rust", "## In Rust");
    }
}

#[test]
fn the_page_leads_from_nothing_to_a_policy_in_force_in_javascript() {
    if probe(
        "javascript",
        "npm",
        &["view", "componentize-qjs@0.4.5", "version"],
    ) {
        from_nothing_to_refusing("javascript", "## In JavaScript");
    }
}

#[test]
fn the_page_leads_from_nothing_to_a_policy_in_force_in_python() {
    let download = [
        "-m",
        "pip",
        "download",
        "--no-deps",
        "componentize-py==0.25.1",
    ];
    if probe("python", "python3", &["-m", "venv", "venv"]) && probe("python", "python3", &download)
    {
        from_nothing_to_refusing("python", "## In Python");
    }
}
