//! Values as an author writes them, in TOML or in JSON.

use std::fmt;
use std::str::FromStr;

use atropos::domain::decision::{Finding, FindingOutcome};
use atropos::text::escape;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

/// A moment: `2026-01-01T00:00:00Z`, in quotes or without, or milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time(pub(super) u64);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimeVisitor)
    }
}

struct TimeVisitor;

impl<'de> Visitor<'de> for TimeVisitor {
    type Value = Time;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as 2026-01-01T00:00:00Z, or milliseconds since 1970")
    }

    fn visit_u64<E: de::Error>(self, ms: u64) -> Result<Time, E> {
        Ok(Time(ms))
    }

    fn visit_i64<E: de::Error>(self, ms: i64) -> Result<Time, E> {
        let whole = u64::try_from(ms);
        whole
            .map(Time)
            .map_err(|_| E::invalid_value(de::Unexpected::Signed(ms), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
        let time = text.parse::<jiff::Timestamp>().ok();
        let ms = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
        ms.map(Time)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    /// What TOML writes without quotes.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Time, A::Error> {
        let time = toml::value::Datetime::deserialize(MapAccessDeserializer::new(map))?;
        self.visit_str(&time.to_string())
    }
}

/// What a tenant gives the policy: JSON text, which is passed on as it stands, or a table.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(
    untagged,
    expecting = "settings must be a table, or JSON text in quotes"
)]
pub(super) enum Settings {
    Text(String),
    Table(toml::Table),
}

impl Settings {
    /// As the policy is given them.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Table(table) => object(table).to_string(),
        }
    }
}

fn object(table: toml::Table) -> Value {
    let members = table.into_iter().map(|(key, value)| (key, json(value)));
    Value::Object(members.collect::<Map<_, _>>())
}

/// JSON has no times; they are written as text.
fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(table) => object(table),
    }
}

/// What a rule must have found.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Found {
    rule: String,
    outcome: FindingOutcome,
    detail: String,
}

/// As the host would take it over: a case may write a character itself or its escape form.
impl From<Found> for Finding {
    fn from(found: Found) -> Self {
        Self {
            rule: escape(&found.rule).into_owned(),
            outcome: found.outcome,
            detail: escape(&found.detail).into_owned(),
        }
    }
}

/// A word that has a form of its own, such as a subdomain.
pub(super) fn word<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: FromStr<Err: fmt::Display>,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: for<'de> Deserialize<'de>>(value: &str) -> Result<T, String> {
        #[derive(serde::Deserialize)]
        struct Line<T> {
            it: T,
        }
        let line: Result<Line<T>, _> = toml::from_str(&format!("it = {value}"));
        line.map(|line| line.it)
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_time_has_three_spellings() {
        for spelling in [
            "2026-01-01T00:00:00Z",
            "\"2026-01-01T01:00:00+01:00\"",
            "1767225600000",
        ] {
            assert_eq!(
                read::<Time>(spelling).unwrap().0,
                1_767_225_600_000,
                "{spelling}"
            );
        }
    }

    #[test]
    fn a_time_without_zone_or_before_1970_is_refused() {
        for spelling in ["2026-01-01T00:00:00", "2026-01-01", "-1", "\"soon\"", "1.5"] {
            let error = read::<Time>(spelling).unwrap_err();
            assert!(
                error.contains("a time such as 2026-01-01T00:00:00Z"),
                "{spelling}: {error}"
            );
        }
    }

    #[test]
    fn settings_are_text_as_it_stands_or_a_table() {
        for (written, given) in [
            (r#"'{ "a": 1 }'"#, r#"{ "a": 1 }"#),
            ("'{'", "{"),
            (
                "{ from = 2026-01-01T00:00:00Z, n = [1, { x = true }] }",
                r#"{"from":"2026-01-01T00:00:00Z","n":[1,{"x":true}]}"#,
            ),
        ] {
            assert_eq!(read::<Settings>(written).unwrap().into_text(), given);
        }
        let error = read::<Settings>("3").unwrap_err();
        assert!(error.contains("settings must be a table"), "{error}");
    }
}
