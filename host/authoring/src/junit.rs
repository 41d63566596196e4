//! The report in the XML that build servers read.

use std::io;

use atropos::text::is_harmful;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::diff::diff;
use super::report::Report;
use super::trial::Tried;

/// The whole document, as JUnit writes it: one suite, a case each.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn junit(report: &Report) -> io::Result<Vec<u8>> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let (tests, failures) = (report.cases.len().to_string(), report.failed.to_string());
    let time = seconds(report.cases.iter().map(spent_us).sum());
    let totals = [
        ("tests", &*tests),
        ("failures", &*failures),
        ("errors", "0"),
        ("time", &*time),
    ];
    let suites = xml.create_element("testsuites").with_attributes(totals);
    suites.write_inner_content(|xml| {
        let suite = xml
            .create_element("testsuite")
            .with_attribute(("name", &*report.policy.name))
            .with_attributes(totals);
        suite.write_inner_content(|xml| {
            report
                .cases
                .iter()
                .try_for_each(|tried| case(xml, &report.policy.name, tried))
        })?;
        Ok(())
    })?;
    xml.get_mut().push(b'\n');
    Ok(xml.into_inner())
}

fn case(xml: &mut Writer<Vec<u8>>, policy: &str, tried: &Tried) -> io::Result<()> {
    let name = allowed(&tried.name);
    let (file, line) = (
        tried.place.file.display().to_string(),
        tried.place.line.to_string(),
    );
    let element = xml.create_element("testcase").with_attributes([
        ("classname", policy),
        ("name", &name),
        ("file", &allowed(&file)),
        ("line", &line),
        ("time", &seconds(spent_us(tried))),
    ]);
    if tried.passed {
        element.write_empty()?;
        return Ok(());
    }
    let lines: Vec<_> = tried.differences.iter().flat_map(diff).collect();
    let first = lines.first().map_or("", String::as_str);
    element.write_inner_content(|xml| {
        xml.create_element("failure")
            .with_attributes([("message", &*allowed(first)), ("type", "difference")])
            .write_text_content(BytesText::new(&allowed(&lines.join("\n"))))?;
        Ok(())
    })?;
    Ok(())
}

fn spent_us(tried: &Tried) -> u64 {
    tried
        .decided
        .as_ref()
        .map_or(0, |decided| decided.duration_us)
}

fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

/// XML cannot hold most control characters, not even escaped; the names of cases and files may have any.
fn allowed(text: &str) -> String {
    let is_allowed = |char: char| match char {
        '\n' | '\t' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        other => !is_harmful(other),
    };
    let replace = |char| if is_allowed(char) { char } else { '\u{fffd}' };
    text.chars().map(replace).collect()
}
