//! What each verb answers with `--json`, as scripts read it: a session over one data directory, recorded.
//!
//! `ATROPOS_BLESS=1` writes the record anew. With `ATROPOS_EXE`, another program is held to it.

// What differs from run to run, replaced.
mod mask;

use atropos::guest::ALLOW_ALL;
use serde_json::Value;

use self::mask::Mask;
use crate::authorization::verbs;
use crate::support::photos::picture;
use crate::support::run;
use crate::support::written::assert_written;

/// One invocation, as words that are separated by spaces, and what later ones need of its answer: a
/// name, and where the value is.
type Step = (&'static str, &'static [(&'static str, &'static str)]);

/// The session. `{…}` stands for a file, or for what an earlier answer told.
const SESSION: &[Step] = &[
    ("tenant list", &[]),
    ("tenant create acme --website-id 423", &[]),
    ("tenant create acme --website-id 424", &[]),
    ("tenant create ACME --website-id 425", &[]),
    ("tenant create bolt --website-id 426", &[]),
    ("tenant list", &[]),
    (
        "key issue --tenant acme --label shop",
        &[("key", "/secret"), ("key-id", "/id")],
    ),
    (
        "key issue --tenant acme --lifetime 90d",
        &[("spare-id", "/id")],
    ),
    ("key issue --tenant nobody", &[]),
    ("key revoke {spare-id}", &[]),
    ("key revoke no-such-key", &[]),
    ("key list --tenant acme", &[]),
    ("client create app --label App", &[]),
    ("client create app", &[]),
    (
        "client grant app --tenant acme documents:read documents:write photos:write",
        &[],
    ),
    ("client grant app --tenant acme everything", &[]),
    ("client list", &[]),
    (
        "token issue app",
        &[("token", "/secret"), ("token-id", "/id")],
    ),
    ("token issue nobody", &[]),
    (
        "object put photo {picture} --tenant acme --user u-1 --id one --label beach",
        &[],
    ),
    (
        "object put photo {picture} --tenant acme --user u-1 --id two",
        &[],
    ),
    (
        "object put photo {picture} --tenant acme --user u-1 --id two",
        &[],
    ),
    ("object put photo {text} --tenant acme --user u-1", &[]),
    (
        "object put document {text} --tenant acme --user 6 --name a.txt",
        &[("guid", "/id")],
    ),
    (
        "object put document {text} --tenant acme --user 6 --name b.txt --retain-until 2999-01-01",
        &[("kept", "/id")],
    ),
    ("object put document {text} --tenant acme --user six", &[]),
    (
        "object put document no-such-file --tenant acme --user 6",
        &[],
    ),
    ("object list photo --tenant acme", &[]),
    ("object list photo --tenant acme --user u-1 --limit 1", &[]),
    ("object list document --tenant acme --user 6", &[]),
    ("object show photo one --tenant acme --user u-1", &[]),
    ("object show photo none --tenant acme --user u-1", &[]),
    (
        "object change photo one --tenant acme --user u-1 --label beach --label sun",
        &[],
    ),
    ("object change photo one --tenant acme --user u-1", &[]),
    (
        "hold place photo one --tenant acme --user u-1 --reason lawsuit",
        &[],
    ),
    (
        "delete photo --website 423 --key {key} --user u-1 --photo one",
        &[],
    ),
    ("hold release photo one --tenant acme --user u-1", &[]),
    (
        "delete document --token {token} --tenant acme --user 6 --guid {kept}",
        &[],
    ),
    (
        "object change document {kept} --tenant acme --user 6 --retain-until none",
        &[],
    ),
    ("budget show --tenant acme", &[]),
    ("budget set caller hour=50 --tenant acme", &[]),
    ("budget set tenant day=1000 --tenant acme", &[]),
    ("budget set tenant day=many --tenant acme", &[]),
    ("policy list", &[]),
    (
        "policy assign --tenant acme --policy labels={\"forbidden\":[\"sun\"]} --by ann --why trial",
        &[],
    ),
    (
        "policy assign --tenant acme --policy labels={\"forbiden\":[]} --by ann",
        &[],
    ),
    (
        "policy assign --tenant acme --policy no-such-policy --by ann",
        &[],
    ),
    ("policy show --tenant acme", &[]),
    (
        "delete photo --website 423 --key {key} --user u-1 --photo one",
        &[],
    ),
    (
        "delete photo --website 423 --key {key} --user u-1 --photo none",
        &[],
    ),
    (
        "delete photo --website 423 --key wrong --user u-1 --photo one",
        &[],
    ),
    (
        "delete photo --website 423 --key {key} --user u-1 --photo two --idempotency-key k-1",
        &[],
    ),
    (
        "delete photo --website 423 --key {key} --user u-1 --photo two --idempotency-key k-1",
        &[],
    ),
    (
        "delete document --token {token} --tenant acme --user 6 --guid {guid}",
        &[],
    ),
    (
        "delete document --token {token} --tenant bolt --user 6 --guid {guid}",
        &[],
    ),
    ("activity --tenant acme --user u-1", &[]),
    ("decision list --tenant acme", &[("decision", "/0/id")]),
    (
        "decision list --tenant acme --verdict denied",
        &[("denial", "/0/id")],
    ),
    ("decision show {denial} --tenant acme", &[]),
    ("decision show {decision} --tenant bolt", &[]),
    ("decision explain {denial} --tenant acme", &[]),
    ("decision export --tenant acme", &[]),
    ("replay --tenant acme", &[]),
    ("replay --tenant acme --candidate allow-all --by ann", &[]),
    (
        "policy deploy allow-all --tenant acme --shadow --by ann",
        &[],
    ),
    ("policy shadow --tenant acme", &[]),
    ("policy promote --tenant acme --by ann", &[]),
    ("policy withdraw --tenant acme", &[]),
    ("policy deploy {component} --tenant acme --by ann", &[]),
    ("policy rollback --tenant acme --by ann --to 2", &[]),
    ("policy rollback --tenant acme --by ann --to 99", &[]),
    ("policy history --tenant acme", &[]),
    ("policy require-replay on --tenant acme", &[]),
    ("policy require-replay perhaps --tenant acme", &[]),
    (
        "policy new mine --language javascript --path {folder}/mine",
        &[],
    ),
    ("policy new Mine --language rust --path {folder}/other", &[]),
    ("policy test {component} {cases}", &[]),
    ("policy test {component} {wrong-cases}", &[]),
    ("policy run {component}", &[]),
    ("policy bench {component} {cases} --times 1", &[]),
    ("component check {component}", &[]),
    ("component check {text}", &[]),
    ("component new {component} --output {folder}/made.wasm", &[]),
    ("component choose {component}", &[]),
    ("component choose default", &[]),
    ("volume show", &[]),
    ("volume adopt", &[]),
    ("doctor", &[]),
    ("doctor --repair", &[]),
    ("quarantine list", &[]),
    ("quarantine release", &[]),
    ("status", &[]),
    ("backup {folder}/backup", &[]),
    ("backup {folder}/backup", &[]),
    ("restore {folder}/backup", &[]),
    (
        "restore {folder}/backup --accept-erased-since 1d --set-aside",
        &[],
    ),
    ("token revoke {token-id}", &[]),
    ("key revoke {key-id}", &[]),
    ("nonsense", &[]),
];

const HEAD: &str = "\
# What each verb answers with `--json`

One session over one data directory: each invocation, its exit code, what it says to stdout, and the JSON
object that a failure says to stderr. Ids, digests, secrets, times, costs and room on the disk are replaced. Written by the
test in `answers.rs`; `ATROPOS_BLESS=1` writes it anew.
";

#[test]
fn every_verb_answers_in_json_as_recorded() {
    let all = tempfile::tempdir().expect("a directory");
    let folder = all.path().to_str().expect("a path in UTF-8").to_owned();
    let write = |name: &str, bytes: &[u8]| {
        let file = all.path().join(name);
        std::fs::write(&file, bytes).expect("a file");
        file.to_str().expect("a path in UTF-8").to_owned()
    };
    let mut known = vec![
        ("picture", write("picture.png", &picture(4, 3))),
        ("text", write("text.txt", b"a text")),
        ("component", write("allow-all.wasm", ALLOW_ALL.1)),
        (
            "cases",
            write(
                "cases.toml",
                b"[[case]]\nname = \"any\"\nexpect = \"allow\"",
            ),
        ),
        (
            "wrong-cases",
            write("wrong.toml", b"[[case]]\nname = \"any\"\nexpect = \"deny\""),
        ),
        ("folder", folder.clone()),
    ];
    let data_dir = all.path().join("data");

    let mut mask = Mask::new(&folder);
    let mut text = HEAD.to_owned();
    for (line, told) in SESSION {
        let args: Vec<String> = line.split(' ').map(|word| filled(word, &known)).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).chain(["--json"]).collect();
        let output = run(&data_dir, &args);
        let said = String::from_utf8_lossy(&output.stdout);
        if let Ok(answer) = serde_json::from_str::<Value>(&said) {
            for (name, place) in *told {
                let value = answer.pointer(place).and_then(Value::as_str);
                let value = value.unwrap_or_else(|| panic!("`{line}`: no {place} in {answer}"));
                known.push((name, value.to_owned()));
            }
        }
        let exit = output.status.code().expect("an exit code");
        text += &format!("\n## `{line}`\n\nExit status {exit}.\n");
        text += &mask.block(&said);
        text += &mask.block(&String::from_utf8_lossy(&output.stderr));
    }
    assert_written("tests/answers/verbs.md", &text);

    // The server, too, is a verb, whose answer is a line that many tests wait for.
    let left_out = verbs().into_iter().filter(|verb| verb != "serve");
    let left_out =
        left_out.filter(|verb| !SESSION.iter().any(|(line, _)| line.starts_with(&**verb)));
    assert_eq!(left_out.collect::<Vec<_>>(), [] as [String; 0]);
}

/// The word with each `{name}` replaced by what the name stands for.
fn filled(word: &str, known: &[(&str, String)]) -> String {
    let mut word = word.to_owned();
    for (name, value) in known {
        word = word.replace(&format!("{{{name}}}"), value);
    }
    word
}
