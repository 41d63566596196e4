//! What can be typed as a value, and what it means.

use atropos::domain::Page;
use atropos::naming;
use atropos::target::{Kind, Permission, Scope, now_ms};
use atropos::text::is_plain;
use atropos_authoring::Language;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use nix::unistd::{Uid, User};

use super::Failure;

/// The largest time that a 64-bit column holds.
const MAX_MS: u64 = i64::MAX as u64;

/// One of the words that are given, each with its value and with what the long help says of it.
fn one_of<T: Clone + Send + Sync + 'static, const N: usize>(
    known: [(T, &'static str, &'static str); N],
) -> impl TypedValueParser<Value = T> {
    let word =
        |(_, word, help): &(T, &'static str, &'static str)| PossibleValue::new(*word).help(*help);
    let words = known.each_ref().map(word);
    PossibleValuesParser::new(words).try_map(move |typed| {
        let found = known.iter().find(|(_, word, _)| *word == typed);
        found
            .map(|(value, ..)| value.clone())
            .ok_or("not one of them")
    })
}

/// What sort of object.
pub(crate) fn kind() -> impl TypedValueParser<Value = Kind> {
    one_of([
        (Kind::Photo, "photo", "An image with its renditions"),
        (Kind::Document, "document", "Any other file of a user"),
    ])
}

/// What a client may do.
pub(crate) fn permission() -> impl TypedValueParser<Value = Permission> {
    let help = |permission| match permission {
        Permission::PhotosWrite => "Upload and delete photos",
        Permission::DocumentsRead => "List and read documents",
        Permission::DocumentsWrite => "Upload and delete documents",
        Permission::Moderate => "Act on the objects of another user on that user's behalf",
    };
    one_of(Permission::ALL.map(|known| (known, known.as_str(), help(known))))
}

/// Whose deletes a budget counts.
pub(crate) fn scope() -> impl TypedValueParser<Value = Scope> {
    let help = |scope| match scope {
        Scope::Tenant => "Those of all callers of a tenant together",
        Scope::Caller => "Those of one caller of a tenant",
    };
    one_of(Scope::ALL.map(|known| (known, known.as_str(), help(known))))
}

/// What a policy is written in.
pub(crate) fn language() -> impl TypedValueParser<Value = Language> {
    one_of([
        (Language::Rust, "rust", "With the SDK"),
        (Language::Javascript, "javascript", "Run by QuickJS"),
        (Language::Python, "python", "Run by CPython"),
    ])
}

/// Which rows of a longer list.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Paging {
    /// How many rows to show at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
    /// How many rows to skip
    #[arg(long, value_name = "N", default_value_t = 0)]
    offset: u64,
}

impl From<Paging> for Page {
    fn from(typed: Paging) -> Self {
        Self {
            offset: typed.offset,
            limit: typed.limit,
        }
    }
}

/// From when until when.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Only what is not older: a time such as 2027-01-01, or how long ago, such as 24h
    #[arg(long, value_name = "TIME", value_parser = moment_ms)]
    pub(crate) since: Option<u64>,
    /// Only what is older: a time, or how long ago
    #[arg(long, value_name = "TIME", value_parser = moment_ms)]
    pub(crate) until: Option<u64>,
}

/// Like [`time_ms`], or like [`duration_ms`] for how long ago.
pub(crate) fn moment_ms(text: &str) -> Result<u64, String> {
    let ago = |ms| now_ms().saturating_sub(ms);
    time_ms(text)
        .or_else(|_| duration_ms(text).map(ago))
        .map_err(|_| "must be a time such as 2027-01-01, or how long ago, such as 24h".to_owned())
}

/// Who types: the name that the system has for the user of this process, or `uid:N` if it has none. No
/// environment variable counts, since whoever types can set it.
pub(crate) fn operator() -> String {
    let uid = Uid::current();
    let user = User::from_uid(uid).ok().flatten();
    user.map_or_else(|| format!("uid:{uid}"), |user| user.name)
}

/// A length of time such as `90d`, `24h` or `1h 30m`, in milliseconds.
pub(crate) fn duration_ms(text: &str) -> Result<u64, String> {
    let days = jiff::SpanRelativeTo::days_are_24_hours();
    let span = text.parse::<jiff::Span>();
    let ms = span
        .and_then(|span| span.to_duration(days))
        .ok()
        .and_then(|length| u64::try_from(length.as_millis()).ok())
        .filter(|ms| (1..=MAX_MS).contains(ms));
    ms.ok_or_else(|| "must be a length of time such as 45s, 30m, 24h or 90d".to_owned())
}

/// A size such as `65536`, `64KiB` or `32MiB`, in bytes.
pub(crate) fn size_bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor = match text.strip_prefix(digits).unwrap_or_default() {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let number = digits.parse::<u64>().ok().filter(|number| *number > 0);
    let size = number.zip(factor);
    let size = size.and_then(|(number, factor)| number.checked_mul(factor));
    size.ok_or_else(|| "must be a size such as 65536, 64KiB or 32MiB".to_owned())
}

/// A time such as `2027-01-01T00:00:00Z`, or a date for its first moment in UTC, in milliseconds.
pub(crate) fn time_ms(text: &str) -> Result<u64, String> {
    let time = text.parse::<jiff::Timestamp>().or_else(|_| {
        let date = text.parse::<jiff::civil::Date>()?;
        let midnight = date.to_zoned(jiff::tz::TimeZone::UTC)?;
        Ok::<_, jiff::Error>(midnight.timestamp())
    });
    time.ok()
        .and_then(|time| u64::try_from(time.as_millisecond()).ok())
        .ok_or_else(|| {
            "must be a time such as 2027-01-01T00:00:00Z, or a date such as 2027-01-01".to_owned()
        })
}

/// A retention date to set, or its absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention(pub(crate) Option<u64>);

/// Like [`time_ms`], or the word `none`.
pub(crate) fn retention(text: &str) -> Result<Retention, String> {
    match text {
        "none" => Ok(Retention(None)),
        text => time_ms(text).map(|ms| Retention(Some(ms))),
    }
}

/// A label: 1 to 64 bytes that can be shown.
pub(crate) fn label(text: &str) -> Result<String, String> {
    if (1..=64).contains(&text.len()) && is_plain(text) {
        Ok(text.to_owned())
    } else {
        Err("must have 1 to 64 bytes, and no control or bidirectional character".to_owned())
    }
}

/// A sentence for a history: 1 to 512 bytes that can be shown on one line.
pub(crate) fn sentence(text: &str) -> Result<String, String> {
    if (1..=512).contains(&text.len()) && is_plain(text) {
        Ok(text.to_owned())
    } else {
        Err("must have 1 to 512 bytes, and no control or bidirectional character".to_owned())
    }
}

/// `on` or `off`.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be `on` or `off`".to_owned()),
    }
}

/// All the labels of one object: sorted, without repetition, and at most as many as policies see.
pub(crate) fn labels(mut labels: Vec<String>) -> Result<Vec<String>, Failure> {
    labels.sort_unstable();
    labels.dedup();
    if labels.len() <= 64 {
        Ok(labels)
    } else {
        Err(Failure::Usage("an object has at most 64 labels".to_owned()))
    }
}

/// The owner of an object in the form in which it is stored.
pub(crate) fn owner(kind: Kind, typed: &str) -> Result<String, Failure> {
    naming::owner(kind, typed).map_err(|malformed| Failure::Usage(malformed.to_string()))
}

/// The id of an object in the form in which it is stored.
pub(crate) fn id(kind: Kind, typed: &str) -> Result<String, Failure> {
    naming::id(kind, typed).map_err(|malformed| Failure::Usage(malformed.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_a_unit() {
        assert_eq!(duration_ms("45s"), Ok(45_000));
        assert_eq!(duration_ms("24h"), Ok(86_400_000));
        assert_eq!(duration_ms("90d"), Ok(7_776_000_000));
        for text in ["", "5", "-1h", "0s", "1mo", "soon"] {
            assert!(duration_ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_may_have_a_unit() {
        assert_eq!(size_bytes("65536"), Ok(65_536));
        assert_eq!(size_bytes("64KiB"), Ok(65_536));
        assert_eq!(size_bytes("32MiB"), Ok(33_554_432));
        for text in [
            "",
            "0",
            "KiB",
            "64kb",
            "-1",
            "1.5MiB",
            "99999999999GiB",
            "1é",
        ] {
            assert!(size_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_date_means_its_first_moment_in_utc() {
        assert_eq!(time_ms("1970-01-02"), Ok(86_400_000));
        assert_eq!(time_ms("1970-01-01T00:00:01Z"), Ok(1_000));
        assert_eq!(time_ms("1970-01-01T01:00:00+01:00"), Ok(0));
        for text in ["", "tomorrow", "1969-12-31", "2027-02-30"] {
            assert!(time_ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_moment_is_a_time_or_how_long_ago() {
        assert_eq!(moment_ms("1970-01-02"), Ok(86_400_000));
        let ago = moment_ms("1h").unwrap();
        assert!((3_599_000..3_700_000).contains(&(now_ms() - ago)), "{ago}");
        assert!(moment_ms("recently").is_err());
    }

    #[test]
    fn labels_are_sorted_and_counted_once() {
        let typed = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        assert_eq!(labels(typed(&["b", "a", "b"])).unwrap(), ["a", "b"]);
        assert!(labels(typed(&["a"; 65])).is_ok());
        assert!(labels((0..65).map(|n| n.to_string()).collect()).is_err());
        assert!(label("").is_err() && label("a\tb").is_err() && label("in-order").is_ok());
    }

    #[test]
    fn none_takes_a_retention_date_away() {
        assert_eq!(retention("none"), Ok(Retention(None)));
        assert_eq!(retention("1970-01-02"), Ok(Retention(Some(86_400_000))));
    }
}
