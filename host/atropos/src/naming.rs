//! Who can own an object, and what its id can be: one rule for every way in.
//!
//! **Invariant:** what a delete would not accept, nothing that is stored bears: an object that could
//! not be named could not be erased. The built-in plugin holds its requests to the same rules.

use uuid::Uuid;

use crate::target::{Kind, Malformed};

/// Longest user id of photos, in bytes.
const USER_ID_BYTES: usize = 128;
/// Longest photo id, in bytes.
const PHOTO_ID_BYTES: usize = 64;
/// What clients send when they have no user.
const NOBODY: [&str; 2] = ["null", "undefined"];

/// The owner of an object in the form in which it is stored: the `userId` of a photo as it is, the
/// decimal `userAccountId` of a document without leading zeros.
///
/// # Errors
/// Nobody, or not of this form.
pub fn owner(kind: Kind, text: &str) -> Result<String, Malformed> {
    match kind {
        Kind::Photo => photo_owner(text),
        Kind::Document => document_owner(text),
    }
}

fn photo_owner(text: &str) -> Result<String, Malformed> {
    let nobody = |id: &str| NOBODY.iter().any(|none| none.eq_ignore_ascii_case(id));
    let fits = (1..=USER_ID_BYTES).contains(&text.len())
        && text.trim() == text
        && !text.contains(char::is_control)
        && !text.bytes().all(|byte| byte == b'0')
        && !nobody(text);
    let owner = fits.then(|| text.to_owned());
    owner.ok_or(Malformed::new(
        "user",
        "a user id of 1 to 128 bytes, and not 0",
    ))
}

fn document_owner(text: &str) -> Result<String, Malformed> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let id: Option<i64> = if digits { text.parse().ok() } else { None };
    let owner = id.filter(|id| *id > 0).map(|id| id.to_string());
    let expected = "a user account id, a whole number greater than 0";
    owner.ok_or(Malformed::new("user", expected))
}

/// The id of an object in the form in which it is stored: a photo's as it is, a document's GUID in
/// lower case with hyphens.
///
/// # Errors
/// Not of this form.
pub fn id(kind: Kind, text: &str) -> Result<String, Malformed> {
    match kind {
        Kind::Photo => {
            let graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
            let fits = graphic && (1..=PHOTO_ID_BYTES).contains(&text.len());
            let expected = "1 to 64 ASCII characters without space";
            let id = fits.then(|| text.to_owned());
            id.ok_or(Malformed::new("id of a photo", expected))
        }
        Kind::Document => {
            let guid = Uuid::try_parse(text).map(|guid| guid.to_string());
            guid.map_err(|_| Malformed::new("id of a document", "a GUID"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_owns_nothing() {
        let long = "x".repeat(129);
        for text in ["", "0", "00", "a\r\nb", " a", "null", "Undefined", &long] {
            assert!(owner(Kind::Photo, text).is_err(), "{text:?}");
        }
        assert_eq!(owner(Kind::Photo, "a b").unwrap(), "a b");
    }

    #[test]
    fn a_user_account_id_is_a_positive_number() {
        for text in ["", "0", "-6", "+6", "6.0", "9223372036854775808", "u-6"] {
            assert!(owner(Kind::Document, text).is_err(), "{text:?}");
        }
        assert_eq!(owner(Kind::Document, "006").unwrap(), "6");
    }

    #[test]
    fn a_photo_id_is_kept_as_it_is_and_a_guid_in_its_one_form() {
        let guid = "FCC588F3-D1E8-47CD-8B08-E878DAECB214";
        assert_eq!(id(Kind::Photo, guid).unwrap(), guid);
        assert_eq!(id(Kind::Document, guid).unwrap(), guid.to_ascii_lowercase());
        for (kind, text) in [
            (Kind::Document, "7"),
            (Kind::Photo, "a b"),
            (Kind::Photo, ""),
        ] {
            assert!(id(kind, text).is_err(), "{text:?}");
        }
    }
}
