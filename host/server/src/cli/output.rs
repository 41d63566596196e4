//! The one place that renders: a verb answers with a value, and it becomes JSON or text here.
//!
//! A table or a list of fields is drawn from the same value that `--json` shows, so the two cannot
//! drift apart. Fields such as `atMs`, `issuedAtMs` and `retainUntilMs` are times, and text shows them so.

use std::io::{self, Write};

use atropos::text::{escape, escape_json};
use serde::Serialize;
use serde_json::Value;

use super::Failure;

/// Title and JSON pointer of each column, or of each field.
pub(crate) type Columns = &'static [(&'static str, &'static str)];

/// What a verb answers: a value, how people see it, and what they should know beside it.
pub(crate) struct Answer {
    json: String,
    /// What text is drawn from: the value itself, unless that is too deep.
    seen: Value,
    view: View,
    notes: Vec<String>,
}

enum View {
    Line(String),
    Fields(Columns),
    /// A caption, where the rows are in the value, and what of them is shown.
    Table(Option<String>, &'static str, Columns),
    /// The fields, and beneath them where the rows are in the value, and what of them is shown.
    Sheet(Columns, &'static str, Columns),
    Nothing,
}

impl Answer {
    /// One line of text, such as `erased`.
    pub(crate) fn line(value: &impl Serialize, text: impl Into<String>) -> Result<Self, Failure> {
        Self::new(value, View::Line(text.into()))
    }

    /// One thing with its fields, one a line.
    pub(crate) fn fields(value: &impl Serialize, fields: Columns) -> Result<Self, Failure> {
        Self::new(value, View::Fields(fields))
    }

    /// Many things, one a line.
    pub(crate) fn table(rows: &[impl Serialize], columns: Columns) -> Result<Self, Failure> {
        Self::new(&rows, View::Table(None, "", columns))
    }

    /// A thing with many parts: a caption for it, and the parts at the JSON pointer `rows`.
    pub(crate) fn parts(
        value: &impl Serialize,
        caption: String,
        rows: &'static str,
        columns: Columns,
    ) -> Result<Self, Failure> {
        Self::new(value, View::Table(Some(caption), rows, columns))
    }

    /// One thing with its fields, one a line, and its parts beneath, at the JSON pointer `rows`.
    pub(crate) fn sheet(
        value: &impl Serialize,
        fields: Columns,
        rows: &'static str,
        columns: Columns,
    ) -> Result<Self, Failure> {
        Self::new(value, View::Sheet(fields, rows, columns))
    }

    /// Nothing, where the verb has written to stdout itself.
    pub(crate) fn none() -> Result<Self, Failure> {
        Self::new(&(), View::Nothing)
    }

    fn new(value: &impl Serialize, view: View) -> Result<Self, Failure> {
        Ok(Self {
            json: json(value)?,
            seen: serde_json::to_value(value).map_err(unwritable)?,
            view,
            notes: Vec::new(),
        })
    }

    /// Draws the text from `seen`, where what JSON shows is too deep for a table.
    pub(crate) fn seen_as(mut self, seen: &impl Serialize) -> Result<Self, Failure> {
        self.seen = serde_json::to_value(seen).map_err(unwritable)?;
        Ok(self)
    }

    /// Adds something that people should know. It goes to stderr, and not with `--json`.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Writes the answer to stdout.
    pub(crate) fn print(&self, json: bool) -> Result<(), Failure> {
        let written = self.write(json, &mut io::stdout().lock(), &mut io::stderr().lock());
        match written {
            // Whoever closed the pipe has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(unwritten),
        }
    }

    fn write(&self, json: bool, out: &mut impl Write, notes: &mut impl Write) -> io::Result<()> {
        match &self.view {
            View::Nothing => {}
            _ if json => {
                writeln!(out, "{}", self.json)?;
                return out.flush();
            }
            View::Line(line) => writeln!(out, "{line}")?,
            View::Fields(fields) => self.write_fields(out, fields)?,
            View::Table(caption, rows, columns) => {
                if let Some(caption) = caption {
                    writeln!(out, "{caption}")?;
                }
                self.write_table(out, rows, columns)?;
            }
            View::Sheet(fields, rows, columns) => {
                self.write_fields(out, fields)?;
                writeln!(out)?;
                self.write_table(out, rows, columns)?;
            }
        }
        out.flush()?;
        for note in &self.notes {
            // What was asked for is done, whether or not stderr takes what is to be said of it.
            let _ = writeln!(notes, "{note}");
        }
        Ok(())
    }

    fn write_fields(&self, out: &mut impl Write, fields: Columns) -> io::Result<()> {
        let row =
            |&(title, field): &(&str, &str)| vec![format!("{title}:"), cell(&self.seen, field)];
        write_rows(out, &fields.iter().map(row).collect::<Vec<_>>())
    }

    fn write_table(&self, out: &mut impl Write, rows: &str, columns: Columns) -> io::Result<()> {
        let rows = self.seen.pointer(rows).and_then(Value::as_array);
        let titles = columns
            .iter()
            .map(|(title, _)| (*title).to_owned())
            .collect();
        let mut lines = vec![titles];
        for row in rows.into_iter().flatten() {
            lines.push(columns.iter().map(|(_, field)| cell(row, field)).collect());
        }
        write_rows(out, &lines)
    }
}

/// JSON that does not speak to a terminal either.
fn json(value: &impl Serialize) -> Result<String, Failure> {
    let json = serde_json::to_string_pretty(value).map_err(unwritable)?;
    Ok(escape_json(&json).into_owned())
}

fn unwritable(error: serde_json::Error) -> Failure {
    unwritten(error.into())
}

fn unwritten(source: io::Error) -> Failure {
    Failure::Io {
        what: "cannot write the answer".to_owned(),
        source,
    }
}

/// Pads every column but the last to its widest cell.
fn write_rows(out: &mut impl Write, rows: &[Vec<String>]) -> io::Result<()> {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in rows {
        let mut line = String::new();
        for (cell, &width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn cell(value: &Value, field: &str) -> String {
    let is_time = ["/atMs", "AtMs", "UntilMs"]
        .iter()
        .any(|end| field.ends_with(end));
    match value.pointer(field) {
        Some(Value::Number(ms)) if is_time => ms.as_i64().map_or_else(|| ms.to_string(), time),
        Some(value) => text(value),
        None => "-".to_owned(),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        // Names come from users, and words from components: none of them may speak to the terminal, or
        // break a line.
        Value::String(text) => escape(text).into_owned(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A time as people read it, such as `2026-03-01T12:00:00Z`.
pub(crate) fn time(ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => format!("{time:.0}"),
        Err(_) => ms.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COLUMNS: Columns = &[
        ("NAME", "/name"),
        ("CREATED", "/createdAtMs"),
        ("LABELS", "/labels"),
    ];

    fn written(answer: &Answer, json: bool) -> (String, String) {
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        answer.write(json, &mut out, &mut notes).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(out), text(notes))
    }

    #[test]
    fn a_table_lines_up_its_columns() {
        let rows = [
            json!({ "name": "beach.jpg", "createdAtMs": 0, "labels": ["a", "b"] }),
            json!({ "name": "é", "createdAtMs": 1_000, "labels": [] }),
        ];
        let (out, _) = written(&Answer::table(&rows, COLUMNS).unwrap(), false);
        assert_eq!(
            out,
            "NAME       CREATED               LABELS\n\
             beach.jpg  1970-01-01T00:00:00Z  a, b\n\
             é          1970-01-01T00:00:01Z  -\n"
        );
    }

    #[test]
    fn an_empty_table_is_its_titles() {
        let rows: [Value; 0] = [];
        let (out, _) = written(&Answer::table(&rows, COLUMNS).unwrap(), false);
        assert_eq!(out, "NAME  CREATED  LABELS\n");
    }

    #[test]
    fn fields_come_one_a_line() {
        let value = json!({ "name": "x", "createdAtMs": null, "labels": "y" });
        let (out, _) = written(&Answer::fields(&value, COLUMNS).unwrap(), false);
        assert_eq!(out, "NAME:     x\nCREATED:  -\nLABELS:   y\n");
    }

    #[test]
    fn a_note_stays_off_stdout_and_out_of_json() {
        let answer = Answer::line(&json!({ "key": "k" }), "k").unwrap();
        let answer = answer.note("shown once");
        assert_eq!(
            written(&answer, false),
            ("k\n".to_owned(), "shown once\n".to_owned())
        );
        assert_eq!(
            written(&answer, true),
            ("{\n  \"key\": \"k\"\n}\n".to_owned(), String::new())
        );
    }

    #[test]
    fn a_hostile_name_neither_breaks_the_line_nor_reaches_the_terminal() {
        let rows = [json!({ "name": "a\n\u{1b}[2J", "createdAtMs": 0 })];
        let (out, _) = written(&Answer::table(&rows, COLUMNS).unwrap(), false);
        assert!(out.contains("a\\n\\u{1b}[2J"), "{out}");
    }

    #[test]
    fn parts_are_found_inside_their_whole() {
        let value = json!({ "revision": 2, "entries": [{ "name": "labels" }] });
        let answer = Answer::parts(
            &value,
            "revision 2".to_owned(),
            "/entries",
            &[("N", "/name")],
        );
        let (out, _) = written(&answer.unwrap(), false);
        assert_eq!(out, "revision 2\nN\nlabels\n");
    }
}
