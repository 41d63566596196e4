//! What differs from run to run, replaced by words that say what it was.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::support::system_user;

/// What is replaced. What comes first is tried first.
static VARIES: LazyLock<Regex> = LazyLock::new(|| {
    let patterns = [
        r"(?<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z)",
        r"(?<uuid>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})",
        r"(?<digest>[0-9a-f]{64})",
        r"(?<id>[0-9a-f]{32})",
        r#"(?<measured>"([0-9A-Za-z]+(Ms|Us)|fuel|(free|total|database)Bytes)": ?)[0-9]+"#,
        r"(?<folder>set-aside-)[0-9]+",
    ];
    Regex::new(&patterns.join("|")).expect("a pattern")
});

/// Replaces what differs from run to run. One id becomes the same word each time.
pub(super) struct Mask {
    /// Where the session takes place.
    folder: String,
    /// Who runs the session.
    operator: String,
    /// The ids and digests so far.
    seen: Vec<String>,
}

impl Mask {
    pub(super) fn new(folder: &str) -> Self {
        let folder = folder.to_owned();
        Self {
            folder,
            operator: system_user(),
            seen: Vec::new(),
        }
    }

    /// What a verb said, as a block of Markdown; nothing, if it said nothing.
    pub(super) fn block(&mut self, said: &str) -> String {
        if said.trim().is_empty() {
            return String::new();
        }
        let said = said.replace(&self.folder, "FOLDER");
        let by = |who: &str| format!("\"by\": \"{who}\"");
        let said = said.replace(&by(&self.operator), &by("OPERATOR"));
        let said = VARIES.replace_all(&said, |found: &Captures| self.word(found));
        format!("```json\n{}\n```\n", said.trim_end())
    }

    /// What stands for something that was found.
    fn word(&mut self, found: &Captures) -> String {
        for kept in ["measured", "folder"] {
            if let Some(kept) = found.name(kept) {
                return format!("{}NUMBER", kept.as_str());
            }
        }
        if found.name("time").is_some() {
            return "TIME".to_owned();
        }
        let value = &found[0];
        let known = self.seen.iter().position(|seen| seen == value);
        let number = known.unwrap_or_else(|| {
            self.seen.push(value.to_owned());
            self.seen.len() - 1
        });
        let what = if found.name("digest").is_some() {
            "DIGEST"
        } else {
            "ID"
        };
        format!("{what}-{number}")
    }
}
