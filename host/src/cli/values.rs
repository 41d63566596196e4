//! What can be typed as a value, and what it means.

use clap::Args;

use super::Failure;
use crate::store::Page;
use crate::target::Kind;

/// The largest time that a 64-bit column holds.
const MAX_MS: u64 = i64::MAX as u64;

/// What clients send when they have no user.
const NOBODY: [&str; 2] = ["null", "undefined"];

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
    if (1..=64).contains(&text.len()) && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("must have 1 to 64 bytes and no control characters".to_owned())
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

/// The owner of an object in the form in which it is stored. What the built-in plugin takes for no
/// user must not come to own anything.
pub(crate) fn owner(kind: Kind, typed: &str) -> Result<String, Failure> {
    let (owner, expected) = match kind {
        Kind::Photo => {
            let nobody = |id: &str| NOBODY.iter().any(|none| none.eq_ignore_ascii_case(id));
            let fits = (1..=128).contains(&typed.len())
                && typed.trim() == typed
                && !typed.contains(char::is_control)
                && !typed.bytes().all(|byte| byte == b'0')
                && !nobody(typed);
            let owner = fits.then(|| typed.to_owned());
            (owner, "a user id of 1 to 128 bytes, and not 0")
        }
        Kind::Document => {
            let digits = typed.bytes().all(|byte| byte.is_ascii_digit());
            let id: Option<i64> = if digits { typed.parse().ok() } else { None };
            let owner = id.filter(|id| *id > 0).map(|id| id.to_string());
            (owner, "a user account id, a whole number greater than 0")
        }
    };
    owner.ok_or_else(|| Failure::Usage(format!("--user must be {expected}")))
}

/// The id of an object in the form in which it is stored.
pub(crate) fn id(kind: Kind, typed: &str) -> Result<String, Failure> {
    let (id, expected) = match kind {
        Kind::Photo => {
            let graphic = typed.bytes().all(|byte| byte.is_ascii_graphic());
            let fits = graphic && (1..=64).contains(&typed.len());
            let id = fits.then(|| typed.to_owned());
            (id, "1 to 64 ASCII characters without space")
        }
        Kind::Document => {
            let guid = uuid::Uuid::try_parse(typed).ok();
            (guid.map(|guid| guid.to_string()), "a GUID")
        }
    };
    id.ok_or_else(|| Failure::Usage(format!("the id of a {kind} must be {expected}")))
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
    fn a_date_means_its_first_moment_in_utc() {
        assert_eq!(time_ms("1970-01-02"), Ok(86_400_000));
        assert_eq!(time_ms("1970-01-01T00:00:01Z"), Ok(1_000));
        assert_eq!(time_ms("1970-01-01T01:00:00+01:00"), Ok(0));
        for text in ["", "tomorrow", "1969-12-31", "2027-02-30"] {
            assert!(time_ms(text).is_err(), "{text}");
        }
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

    #[test]
    fn nobody_owns_nothing() {
        for text in ["", "0", "00", "a\nb", " a", "null", "Undefined"] {
            assert!(owner(Kind::Photo, text).is_err(), "{text:?}");
        }
        assert!(owner(Kind::Photo, "u-1001").is_ok());
    }

    #[test]
    fn a_user_account_id_is_a_positive_number() {
        for text in ["", "0", "-6", "+6", "6.0", "9223372036854775808", "u-6"] {
            assert!(owner(Kind::Document, text).is_err(), "{text:?}");
        }
        assert_eq!(owner(Kind::Document, "006").unwrap(), "6");
    }

    #[test]
    fn a_photo_id_is_kept_as_typed_and_a_guid_in_its_one_form() {
        let guid = "FCC588F3-D1E8-47CD-8B08-E878DAECB214";
        assert_eq!(id(Kind::Photo, guid).unwrap(), guid);
        let lower = guid.to_ascii_lowercase();
        assert_eq!(id(Kind::Document, guid).unwrap(), lower);
        assert!(id(Kind::Document, "7").is_err());
        assert!(id(Kind::Photo, "a b").is_err());
        assert!(id(Kind::Photo, "").is_err());
    }
}
