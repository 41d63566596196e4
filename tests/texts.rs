//! Text from guests: one plain line wherever it goes, and nobody's fault.

use std::path::{Path, PathBuf};

use atropos_test_guests::{self as guests, HARMFUL};
use rusqlite::Connection;
use serde_json::{Value, json};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

use crate::support::demo::{Demo, contract, deleted, refused, sunset};
use crate::support::stage::Stage;
use crate::support::{self, TENANT, eventually, root, run, verb};

// The definition is in two places, as the host shares no code with guests.
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the definition alone is looked at"
)]
#[path = "../guest/sdk/src/text.rs"]
mod sdk_text;

/// More often than a component may fail before it is held off.
const OFTEN: usize = 12;

/// What the host makes of the text that `hostile-text` writes.
fn escaped(line: impl Fn(&str) -> String) -> Vec<String> {
    HARMFUL.iter().map(|(_, escape)| line(escape)).collect()
}

fn assert_plain(text: &str, of: &str) {
    let lines = text.lines();
    for (line, (harmful, _)) in lines.flat_map(|line| HARMFUL.map(|harmful| (line, harmful))) {
        assert!(!line.contains(harmful), "{harmful:?} of {of}: {line:?}");
    }
}

/// What a verb writes, whether or not it succeeds.
fn said(data_dir: &Path, args: &[&str]) -> String {
    let output = run(data_dir, args);
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8(said).expect("text")
}

#[test]
fn findings_full_of_control_characters_reach_the_caller_as_one_plain_line_and_harm_no_other_tenant()
{
    let demo = Demo::start();
    let hostile = demo.component("hostile-text", guests::HOSTILE_TEXT);
    demo.assign(TENANT, &[&hostile]);
    let (photo, document) = (sunset(), contract());
    let why = escaped(|escape| format!("r{escape}: a{escape}b"));
    let mut message = format!("Denied by policy hostile-text: {}.", why.join("; "));
    message.truncate(512);
    for _ in 0..OFTEN {
        assert_eq!(demo.delete(&photo), refused(403, "403", &message));
    }
    let other = demo.put_other_document();
    assert_eq!(demo.delete(&other), deleted());
    // Findings that stand in nobody's way are recorded the same.
    assert_eq!(demo.delete(&document), deleted());
    let decisions = demo.decisions(TENANT);
    assert_eq!(decisions.len(), OFTEN + 1);
    for decision in &decisions {
        let findings = decision["reviews"][0]["findings"].as_array();
        let findings = findings.expect("findings").iter();
        let text = |field| move |finding: &Value| finding[field].as_str().map(str::to_owned);
        let rules: Option<Vec<_>> = findings.clone().map(text("rule")).collect();
        let details: Option<Vec<_>> = findings.map(text("detail")).collect();
        assert_eq!(rules, Some(escaped(|escape| format!("r{escape}"))));
        assert_eq!(details, Some(escaped(|escape| format!("a{escape}b"))));
    }
    let metrics = demo.server.get("/metrics").text().expect("text");
    assert!(
        !metrics.contains("atropos_guest_faults_total{"),
        "{metrics}"
    );
    assert_plain(&demo.server.whole_log(), "the log");
}

#[test]
fn what_a_policy_says_of_itself_and_of_settings_is_shown_as_plain_lines() {
    let demo = Demo::start();
    let data_dir = demo.server.data_dir();
    let hostile = demo.component("hostile-text", guests::HOSTILE_TEXT);
    let checked = demo.verb(&["component", "check", &hostile]);
    assert_eq!(
        checked["description"]["summary"],
        "Forbids\\u{2028}everything\\u{202e}."
    );
    let schema = checked["description"]["settingsSchema"].as_str();
    let schema = schema.expect("a schema");
    assert_plain(schema, "the schema");
    let schema: Value = serde_json::from_str(schema).expect("JSON still");
    assert_eq!(schema, json!({ "title": "a\u{202e}b\u{85}" }));

    let all: String = HARMFUL.iter().map(|(_, escape)| *escape).collect();
    let mut message = all.repeat(10);
    message.truncate(512);
    let with = format!(r#"{hostile}={{"a":1}}"#);
    let assign = ["policy", "assign", "--tenant", TENANT, "--policy", &with];
    let output = run(data_dir, &[&assign[..], &["--json"]].concat());
    let failure = support::failure(&output);
    let problems = failure["error"]["problems"].as_array().expect("problems");
    assert_eq!(problems.len(), 64);
    for problem in problems {
        assert_eq!(problem["path"], format!("path{all}").as_str());
        assert_eq!(problem["message"], message.as_str());
    }
    for args in [
        &assign[..],
        &["component", "check", &hostile],
        &["policy", "run", &hostile],
        &["policy", "run", &hostile, "--settings", r#"{"a":1}"#],
        &["policy", "list"],
    ] {
        assert_plain(&said(data_dir, args), &args.join(" "));
        let as_json = [args, &["--json"]].concat();
        assert_plain(&said(data_dir, &as_json), &as_json.join(" "));
    }
}

#[test]
fn a_case_may_expect_a_finding_as_the_policy_or_as_the_host_writes_it() {
    let folder = tempfile::tempdir().expect("a directory");
    let write = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).expect("a file");
        file.to_str().expect("a path in UTF-8").to_owned()
    };
    let policy = write("hostile-text.wasm", guests::HOSTILE_TEXT);
    let raw = |(harmful, _): (char, &str)| format!("\\u{:04x}", u32::from(harmful));
    let escaped = |(_, escape): (char, &str)| escape.replace('\\', "\\\\");
    let case = |written: &dyn Fn((char, &str)) -> String| {
        let findings = HARMFUL.map(written).map(|text| {
            format!("{{ rule = \"r{text}\", outcome = \"failed\", detail = \"a{text}b\" }}")
        });
        let findings = findings.join(", ");
        format!("[[case]]\nname = \"x\"\nexpect = \"deny\"\nfindings = [{findings}]\n")
    };
    let cases = write(
        "cases.toml",
        [case(&raw), case(&escaped)].concat().as_bytes(),
    );
    let report = verb(folder.path(), &["policy", "test", &policy, &cases]);
    assert_eq!(report["passed"], 2, "{report:#}");
}

#[tokio::test]
async fn the_name_that_a_platform_gives_a_policy_reaches_the_caller_as_plain_text() {
    let stage = Stage::set();
    stage.assign("de\nny\u{202e}", guests::DENY_ALL);
    for _ in 0..OFTEN {
        let refused = stage.delete("p-1").await.expect_err("denied");
        let message = "Denied by policy de\\nny\\u{202e}: deny-all: .";
        assert_eq!((refused.code(), &*refused.to_string()), ("403", message));
    }
}

/// As versions before the escape wrote them: each finding as the policy said it.
fn make_raw(database: &Connection) -> usize {
    let finding = |(harmful, _): &(char, &str)| json!({ "rule": format!("r{harmful}"), "outcome": "failed", "detail": format!("a{harmful}b") });
    let findings: Value = HARMFUL.iter().map(finding).collect();
    let raw = "UPDATE decisions SET reviews = json_set(reviews, '$[0].findings', json(?1))";
    let changed = database.execute(raw, [findings.to_string()]);
    changed.expect("rows")
}

#[test]
fn decisions_that_were_recorded_with_raw_text_come_out_again_and_are_shown_as_plain_lines() {
    let demo = Demo::start();
    let data_dir = demo.server.data_dir();
    let hostile = demo.component("hostile-text", guests::HOSTILE_TEXT);
    demo.assign(TENANT, &[&hostile]);
    for _ in 0..2 {
        assert_eq!(demo.delete(&sunset()).0, 403);
    }
    let database = Connection::open(data_dir.join("atropos.db")).expect("the database");
    assert_eq!(make_raw(&database), 2);
    let replay = ["replay", "--tenant", TENANT];
    let found = demo.verb(&replay);
    assert_eq!(
        [&found["identical"], &found["differing"]],
        [&json!(2), &json!(0)],
        "{found}"
    );
    // The same rule in old and new records is one group.
    assert_eq!(demo.delete(&sunset()).0, 403);
    let open = demo.verb(&[&replay[..], &["--policy", "allow-all"]].concat());
    assert_eq!(open["groups"][0]["rule"], "r\\u{0}", "{open}");
    assert_eq!(open["groups"][0]["decisions"], 3, "{open}");

    let id = demo.decisions(TENANT)[2]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let of = ["--tenant", TENANT];
    for args in [
        &["decision", "explain", &id][..],
        &["decision", "show", &id],
        &["decision", "list"],
        &["decision", "export"],
    ] {
        let args = [args, &of].concat();
        assert_plain(&said(data_dir, &args), &args.join(" "));
        let as_json = [&args[..], &["--json"]].concat();
        assert_plain(&said(data_dir, &as_json), &as_json.join(" "));
    }
    // As JSON nothing is lost.
    let shown = demo.verb(&[&["decision", "show", &id], &of[..]].concat());
    assert_eq!(shown["reviews"][0]["findings"][8]["detail"], "a\u{85}b");

    // A finding that is not what the policy said is found still.
    let tamper = "UPDATE decisions SET reviews = replace(reviews, 'a' || char(0x85) || 'b', 'ab')";
    assert_eq!(database.execute(tamper, []).expect("rows"), 3);
    let output = run(data_dir, &[&replay[..], &["--json"]].concat());
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(found["differing"], 2, "{found}");
}

#[test]
fn host_and_sdk_call_the_same_characters_harmful() {
    let mut harmful = Vec::new();
    for character in char::MIN..=char::MAX {
        let text = character.to_string();
        let of_host = !atropos::text::is_plain(&text);
        assert_eq!(!sdk_text::is_plain(&text), of_host, "{character:?}");
        harmful.extend(of_host.then_some(character));
    }
    // C0, DEL and C1, and what the table has beyond.
    assert_eq!(harmful.len(), 32 + 33 + 1 + 2 + 7 + 4 + 1 + 3);
    for (character, escape) in HARMFUL {
        assert!(harmful.contains(&character), "{character:?}");
        assert_eq!(atropos::text::escape(&character.to_string()), escape);
    }
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [leb(bytes.len()), bytes.to_vec()].concat()
}

/// A plugin that traps at whatever it is asked, in functions of this name.
fn trapping(name: &str) -> Vec<u8> {
    const FUNCTIONS: usize = 200;
    let wit = root().join("wit");
    let mut resolve = Resolve::new();
    let mut package = None;
    for folder in ["policy", "deletion"] {
        package = Some(resolve.push_dir(wit.join(folder)).expect("a package").0);
    }
    let world = resolve.packages[package.expect("a package")].worlds["deletion-plugin"];
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    let named = (0..FUNCTIONS).flat_map(|nth| [leb(nth), sized(name.as_bytes())].concat());
    let names = [leb(FUNCTIONS), named.collect()].concat();
    let section = [sized(b"name"), vec![1], sized(&names)].concat();
    module.push(0);
    module.extend(sized(&section));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("a world");
    let mut encoder = ComponentEncoder::default().validate(true).module(&module);
    let encoder = encoder.as_mut().expect("a module with a world");
    encoder.encode().expect("a component")
}

#[test]
fn the_names_of_a_components_functions_reach_the_log_in_one_plain_line() {
    let demo = Demo::start();
    let all: String = HARMFUL.iter().map(|(harmful, _)| *harmful).collect();
    let plugin = trapping(&format!("begin{all}end"));
    let plugin = demo.component("trapping", &plugin);
    demo.verb(&["component", "choose", &plugin]);
    assert_eq!(
        demo.delete(&sunset()),
        refused(503, "503", "The plugin trapped.")
    );
    let line = eventually("the log line", || {
        let log = demo.server.whole_log();
        let line = log.lines().find(|line| line.contains("the plugin failed"));
        line.map(str::to_owned)
    });
    let all: String = HARMFUL.iter().map(|(_, escape)| *escape).collect();
    assert!(line.contains(&format!("begin{all}end")), "{line:?}");
    assert_plain(&demo.server.whole_log(), "the log");
}

#[test]
fn the_names_of_imports_and_exports_are_shown_as_plain_lines() {
    let folder = tempfile::tempdir().expect("a directory");
    let all: String = HARMFUL.iter().map(|(harmful, _)| *harmful).collect();
    let bytes = |digits: &[u8]| {
        digits
            .iter()
            .map(|byte| format!("\\{byte:02x}"))
            .collect::<String>()
    };
    let name = format!("url=<begin{all}end>");
    let name = bytes(name.as_bytes());
    let imports = format!(r#"(component (import "{name}" (func)))"#);
    let exports = format!(r#"(component (import "a" (func $a)) (export "{name}" (func $a)))"#);
    let write = |name: &str, text: &str| -> PathBuf {
        let file = folder.path().join(name);
        let component = wat::parse_str(text).expect("a component");
        std::fs::write(&file, component).expect("a file");
        file
    };
    for file in [
        write("imports.wasm", &imports),
        write("exports.wasm", &exports),
    ] {
        let file = file.to_str().expect("a path in UTF-8");
        for args in [
            &["component", "check", file][..],
            &["component", "check", file, "--json"],
        ] {
            let said = said(folder.path(), args);
            assert_plain(&said, &args.join(" "));
        }
    }
}
