//! The status: a server's part, if one runs, and the storage's.

use std::time::Duration;

use atropos::commit::shred::chain;
use atropos::target::now_ms;
use atropos::text::escape;
use atropos_service::config::Config;
use atropos_service::status::{Stored, ask};
use atropos_service::storage::Storage;
use serde::Serialize;
use serde_json::{Value, json};

use super::Failure;
use super::lock::ServerLock;
use super::open::must_exist;
use super::output::{self, Answer, Columns};

const COLUMNS: Columns = &[("WHAT", "/what"), ("VALUE", "/value")];

/// How much of the last error of bytes that resist a table shows, in characters.
const LONGEST_ERROR: usize = 120;

pub(crate) async fn run(config: Config) -> Result<Answer, Failure> {
    let data_dir = &config.data_dir;
    must_exist(data_dir)?;
    let server = match ask(data_dir).await {
        Some(live) => live,
        None => silent(&config)?,
    };
    let stored = look(&config).await;
    // Without a server there would be nothing to show.
    let answers = server.get("address").is_some();
    let (stored, unreadable) = match (stored, answers) {
        (Ok(stored), _) => (Some(stored), None),
        (Err(failure), true) => (None, Some(chain(&failure))),
        (Err(failure), false) => return Err(failure),
    };
    let caption = caption(&server);
    let lines = lines(&server, stored.as_ref(), unreadable.as_deref());
    let mut value = json!({ "dataDir": data_dir, "server": server, "storage": stored });
    if let (Some(fields), Some(why)) = (value.as_object_mut(), unreadable) {
        fields.insert("storageUnreadable".to_owned(), why.into());
    }
    Answer::parts(&value, caption, "", COLUMNS)?.seen_as(&lines)
}

async fn look(config: &Config) -> Result<Stored, Failure> {
    Ok(Stored::look(&Storage::unproved(config)?).await?)
}

/// A server that does not answer, or none.
fn silent(config: &Config) -> Result<Value, Failure> {
    let holder = ServerLock::holder(&config.data_dir).map_err(|source| Failure::Io {
        what: format!("cannot look for a server in {}", config.data_dir.display()),
        source,
    })?;
    Ok(match holder {
        // The id as a number, as a server that answers tells it.
        Some(process) => json!({ "process": process.parse::<u32>().ok(), "answers": false }),
        None => Value::Null,
    })
}

fn caption(server: &Value) -> String {
    let process = &server["process"];
    match (server, server["address"].as_str()) {
        (Value::Null, _) => "no server is running".to_owned(),
        (_, Some(address)) => {
            format!(
                "a server is running: process {process}, {}",
                escape(address)
            )
        }
        _ => format!("a server is running, process {process}, and does not answer"),
    }
}

#[derive(Serialize)]
struct Line {
    what: &'static str,
    value: String,
}

fn lines(server: &Value, stored: Option<&Stored>, unreadable: Option<&str>) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut add = |what, value: String| lines.push(Line { what, value });
    match server["ready"].as_bool() {
        Some(true) => add("ready", "yes".to_owned()),
        Some(false) => add("ready", "no, deletes are not served".to_owned()),
        None => {}
    }
    for missing in server["missing"].as_array().into_iter().flatten() {
        let causes = missing["causes"].as_str();
        let causes = causes.map_or_else(String::new, |causes| format!(": {}", escape(causes)));
        let (part, reason) = (words(&missing["part"]), words(&missing["reason"]));
        add("missing", format!("{part}: {reason}{causes}"));
    }
    for part in server["parts"].as_array().into_iter().flatten() {
        if let Some(panics @ 1..) = part["panics"].as_u64() {
            let now = match part["well"].as_bool() {
                Some(true) => "goes on",
                _ => "is being started again",
            };
            let value = format!("{} panicked {panics} times and {now}", words(&part["part"]));
            add("panics", value);
        }
    }
    if let Some(lost @ 1..) = server["logLinesLost"].as_u64() {
        add("log lines lost", lost.to_string());
    }
    if let Some(started) = server["startedAtMs"].as_u64() {
        let up = Duration::from_millis(now_ms().saturating_sub(started));
        add("up for", format!("{} s", up.as_secs()));
        add("version", words(&server["version"]));
        add("deletes under way", words(&server["deletesUnderWay"]));
        let components = &server["components"];
        let loaded = format!(
            "{}, {} KiB; {} compiling",
            words(&components["loaded"]),
            components["loadedBytes"].as_u64().unwrap_or_default() >> 10,
            words(&components["compiling"]),
        );
        add("components loaded", loaded);
        add("components held off", words(&server["breakersOpen"]));
    }
    for breaker in server["breakers"].as_array().into_iter().flatten() {
        let until = breaker["untilMs"].as_i64().map(output::time);
        let credentials = breaker["credentials"].as_u64();
        let by = credentials.map_or_else(
            || words(&breaker["tenant"]),
            |credentials| format!("{credentials} credentials"),
        );
        let value = format!(
            "{} {} of {by}: {}, {} faults in a row, until {}",
            words(&breaker["guest"]),
            words(&breaker["digest"]),
            words(&breaker["code"]),
            words(&breaker["faults"]),
            until.unwrap_or_else(|| "the call that is let through ends".to_owned()),
        );
        add("held off", value);
    }
    if let Some(why) = unreadable {
        add("storage", format!("cannot be read: {}", escape(why)));
    }
    let Some(stored) = stored else {
        return lines;
    };
    let plugin = stored.plugin.map(|digest| digest.to_string());
    add("plugin", plugin.unwrap_or_else(|| "built in".to_owned()));
    add("tenants", stored.totals.tenants.to_string());
    add("objects", stored.totals.objects.to_string());
    add("bytes still to go", stored.backlog.due.to_string());
    for overdue in &stored.overdue {
        let error = overdue.last_error.as_deref().unwrap_or("not tried yet");
        let error: String = error.chars().take(LONGEST_ERROR).collect();
        let next = i64::try_from(overdue.next_try_at_ms).unwrap_or(i64::MAX);
        let value = format!(
            "{}: {} attempts, next {}; {error}",
            overdue.key,
            overdue.attempts,
            output::time(next)
        );
        add("resists", value);
    }
    if let Some(wrong) = &stored.volume {
        add("volume", wrong.clone());
    }
    if let Some(files @ 1..) = stored.quarantined {
        add("in quarantine", format!("{files} files"));
    }
    if let Some(room) = &stored.room {
        let (free, total) = (room.free_bytes >> 20, room.total_bytes >> 20);
        add("space left", format!("{free} of {total} MiB"));
    }
    lines
}

fn words(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
