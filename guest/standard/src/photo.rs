//! Deleting a photo.

use atropos_sdk::plugin::{PhotoRequest, Refusal};

use crate::codes::Code;
use crate::codes::photo::{
    CODES, EMPTY_KEY, INVALID_PHOTO_ID, INVALID_USER_ID, INVALID_WEBSITE_ID, MISSING_WEBSITE_ID,
};
use crate::host::Host;

/// What the contract allows, in bytes.
const LONGEST_KEY: usize = 512;
const LONGEST_USER_ID: usize = 128;
const LONGEST_PHOTO_ID: usize = 64;

/// What clients send when they have no user. Nobody may come to own what such a caller reaches.
const NOBODY: [&str; 2] = ["null", "undefined"];

/// The steps, in order.
pub(crate) fn delete(host: &impl Host, request: &PhotoRequest) -> Result<(), Refusal> {
    let website_id = website_id(request.website_id.as_deref())?;
    let key = key(request.site_key.as_deref())?;
    let user_id = user_id(request.user_id.as_deref())?;
    let photo_id = photo_id(request.photo_id.as_deref())?;
    let caller = host
        .authenticate_site(website_id, key)
        .map_err(|error| CODES.auth(error))?;
    let photo = host
        .find_photo(&caller, user_id, photo_id)
        .map_err(|error| CODES.storage(error))?;
    let permit = host
        .review(&caller, &photo)
        .map_err(|denial| CODES.denial(denial))?;
    host.stage(photo, permit)
        .map_err(|error| CODES.stage(error))
}

/// Decimal digits alone; `parse` would also take a plus sign.
fn website_id(value: Option<&str>) -> Result<u64, Code> {
    let value = value.ok_or(MISSING_WEBSITE_ID)?;
    if !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(INVALID_WEBSITE_ID);
    }
    let id = value.parse().map_err(|_| INVALID_WEBSITE_ID)?;
    if (1..=i64::MAX.unsigned_abs()).contains(&id) {
        Ok(id)
    } else {
        Err(INVALID_WEBSITE_ID)
    }
}

/// A key beyond the limit is a wrong one.
fn key(value: Option<&str>) -> Result<&str, Code> {
    let key = value.filter(|key| !key.is_empty()).ok_or(EMPTY_KEY)?;
    if key.len() <= LONGEST_KEY {
        Ok(key)
    } else {
        Err(CODES.rejected.clone())
    }
}

fn user_id(value: Option<&str>) -> Result<&str, Code> {
    value.filter(|id| is_user_id(id)).ok_or(INVALID_USER_ID)
}

fn is_user_id(id: &str) -> bool {
    (1..=LONGEST_USER_ID).contains(&id.len())
        && id.trim() == id
        && !id.contains(char::is_control)
        && !id.bytes().all(|byte| byte == b'0')
        && !NOBODY.iter().any(|nobody| nobody.eq_ignore_ascii_case(id))
}

fn photo_id(value: Option<&str>) -> Result<&str, Code> {
    value.filter(|id| is_photo_id(id)).ok_or(INVALID_PHOTO_ID)
}

fn is_photo_id(id: &str) -> bool {
    (1..=LONGEST_PHOTO_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use atropos_sdk::plugin::Reason;
    use atropos_sdk::plugin::auth::AuthError;
    use atropos_sdk::plugin::gate::Denial;
    use atropos_sdk::plugin::storage::StorageError;

    use super::*;
    use crate::host::fake::Fake;

    fn request() -> PhotoRequest {
        PhotoRequest {
            website_id: Some("12".to_owned()),
            site_key: Some("secret".to_owned()),
            user_id: Some("user-6".to_owned()),
            photo_id: Some("4711".to_owned()),
        }
    }

    /// The code of a request that must be refused before the host is asked anything.
    fn refused(request: &PhotoRequest) -> String {
        let host = Fake::default();
        let refusal = delete(&host, request).unwrap_err();
        assert!(host.calls().is_empty(), "the host was asked");
        refusal.code
    }

    #[test]
    fn the_steps_are_taken_in_order() {
        let host = Fake::default();
        delete(&host, &request()).unwrap();
        assert_eq!(
            host.calls(),
            ["site 12 secret", "photo user-6 4711", "review", "stage"]
        );
    }

    #[test]
    fn website_id_is_a_positive_decimal_number() {
        for id in [
            "",
            "0",
            "000",
            "-1",
            "+1",
            "1.0",
            "1e3",
            " 1",
            "1 ",
            "0x1",
            "١",
            "abc",
            "9223372036854775808",
            "99999999999999999999",
        ] {
            assert_eq!(
                refused(&PhotoRequest {
                    website_id: Some(id.into()),
                    ..request()
                }),
                "221",
                "{id}"
            );
        }
        assert_eq!(
            refused(&PhotoRequest {
                website_id: None,
                ..request()
            }),
            "372"
        );
        for id in ["1", "007", "9223372036854775807"] {
            delete(
                &Fake::default(),
                &PhotoRequest {
                    website_id: Some(id.into()),
                    ..request()
                },
            )
            .unwrap();
        }
    }

    #[test]
    fn an_empty_key_is_not_a_wrong_key() {
        for (key, code) in [
            (None, "226"),
            (Some(String::new()), "226"),
            (Some("x".repeat(513)), "401"),
        ] {
            assert_eq!(
                refused(&PhotoRequest {
                    site_key: key,
                    ..request()
                }),
                code
            );
        }
    }

    #[test]
    fn nobody_is_no_user() {
        let long = "x".repeat(129);
        for id in [
            "",
            "0",
            "00",
            "null",
            "NULL",
            "undefined",
            " 6",
            "6 ",
            "\u{a0}6",
            "6\n",
            "a\r\nb",
            "a\0b",
            "\u{85}a",
            &long,
        ] {
            assert_eq!(
                refused(&PhotoRequest {
                    user_id: Some(id.into()),
                    ..request()
                }),
                "261",
                "{id:?}"
            );
        }
        assert_eq!(
            refused(&PhotoRequest {
                user_id: None,
                ..request()
            }),
            "261"
        );
        for id in ["6", "10", "nullable", "a b", "José", "../x"] {
            delete(
                &Fake::default(),
                &PhotoRequest {
                    user_id: Some(id.into()),
                    ..request()
                },
            )
            .unwrap();
        }
    }

    #[test]
    fn whatever_is_wrong_with_a_photo_id_is_one_answer() {
        let long = "x".repeat(65);
        for id in ["", " ", "a b", "a\n", "é", "\0", &long] {
            assert_eq!(
                refused(&PhotoRequest {
                    photo_id: Some(id.into()),
                    ..request()
                }),
                "327",
                "{id:?}"
            );
        }
        let malformed = PhotoRequest {
            photo_id: None,
            ..request()
        };
        let unknown = Fake {
            storage: Some(StorageError::NotFound),
            ..Fake::default()
        };
        assert_eq!(
            delete(&Fake::default(), &malformed),
            delete(&unknown, &request())
        );
    }

    #[test]
    fn what_is_wrong_is_told_from_the_outside_in() {
        let mut request = PhotoRequest {
            website_id: None,
            site_key: None,
            user_id: None,
            photo_id: None,
        };
        assert_eq!(refused(&request), "372");
        request.website_id = Some("1".to_owned());
        assert_eq!(refused(&request), "226");
        request.site_key = Some("secret".to_owned());
        assert_eq!(refused(&request), "261");
        request.user_id = Some("6".to_owned());
        assert_eq!(refused(&request), "327");
    }

    #[test]
    fn a_caller_who_is_nobody_has_nothing_looked_up() {
        let host = Fake {
            auth: Some(AuthError::Rejected),
            ..Fake::default()
        };
        let refusal = delete(&host, &request()).unwrap_err();
        assert_eq!(
            (refusal.reason, refusal.code.as_str()),
            (Reason::Unauthenticated, "401")
        );
        assert_eq!(host.calls(), ["site 12 secret"]);
    }

    #[test]
    fn nothing_is_staged_without_a_permit() {
        let host = Fake {
            denial: Some(Denial::Held),
            ..Fake::default()
        };
        let refusal = delete(&host, &request()).unwrap_err();
        assert_eq!(
            (refusal.reason, refusal.code.as_str()),
            (Reason::Held, "423")
        );
        assert!(!host.calls().contains(&"stage".to_owned()));
    }
}
