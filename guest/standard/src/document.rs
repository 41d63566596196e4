//! Deleting a document.

mod body;

use atropos_sdk::plugin::{DocumentRequest, Refusal};

use crate::codes::Code;
use crate::codes::document::{CODES, INVALID_TOKEN, MISSING_TOKEN, NOT_JSON};
use crate::host::Host;

/// The steps, in order.
pub(crate) fn delete(host: &impl Host, request: &DocumentRequest) -> Result<(), Refusal> {
    let token = token(request.authorization.as_deref())?;
    content_type(request.content_type.as_deref())?;
    let body::Named {
        tenant,
        user_account_id,
        file_guid,
    } = body::read(&request.body)?;
    let caller = host
        .authenticate_token(token, &tenant)
        .map_err(|error| CODES.auth(error))?;
    let document = host
        .find_document(&caller, user_account_id, &file_guid)
        .map_err(|error| CODES.storage(error))?;
    let permit = host
        .review(&caller, &document)
        .map_err(|denial| CODES.denial(denial))?;
    host.stage(document, permit)
        .map_err(|error| CODES.stage(error))
}

/// The token of `Bearer <token>` (RFC 6750, 2.1; the scheme is compared without regard to case).
fn token(authorization: Option<&str>) -> Result<&str, Code> {
    let value = authorization
        .filter(|value| !value.is_empty())
        .ok_or(MISSING_TOKEN)?;
    let (scheme, token) = value.split_once(' ').ok_or(INVALID_TOKEN)?;
    let token = token.trim_start_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") && is_token(token) {
        Ok(token)
    } else {
        Err(INVALID_TOKEN)
    }
}

/// RFC 6750's `b64token`.
fn is_token(token: &str) -> bool {
    let unpadded = token.trim_end_matches('=');
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !unpadded.is_empty() && unpadded.bytes().all(fits)
}

/// Parameters mean nothing to JSON (RFC 8259, 11), so that any may follow.
fn content_type(value: Option<&str>) -> Result<(), Code> {
    let media_type = value
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    let is_json = media_type
        .trim_ascii()
        .eq_ignore_ascii_case("application/json");
    if is_json { Ok(()) } else { Err(NOT_JSON) }
}

#[cfg(test)]
mod tests {
    use atropos_sdk::plugin::Reason;
    use atropos_sdk::plugin::auth::AuthError;
    use atropos_sdk::plugin::gate::Denial;
    use atropos_sdk::plugin::storage::StorageError;

    use super::*;
    use crate::host::fake::{Fake, GUID};

    fn request() -> DocumentRequest {
        let body =
            format!(r#"{{"tenantSubDomain":"myTenant","userAccountId":6,"fileGuid":"{GUID}"}}"#);
        DocumentRequest {
            authorization: Some("Bearer abc".to_owned()),
            content_type: Some("application/json".to_owned()),
            body: body.into_bytes(),
        }
    }

    #[test]
    fn the_steps_are_taken_in_order() {
        let host = Fake::default();
        delete(&host, &request()).unwrap();
        let find = format!("document 6 {GUID}");
        assert_eq!(
            host.calls(),
            ["token abc myTenant", &find, "review", "stage"]
        );
    }

    #[test]
    fn the_token_is_a_bearer_token() {
        for (header, code) in [
            (None, "missing-token"),
            (Some(""), "missing-token"),
            (Some("Bearer"), "invalid-token"),
            (Some("Bearer "), "invalid-token"),
            (Some("Bearer ="), "invalid-token"),
            (Some("Bearer a b"), "invalid-token"),
            (Some("Bearer a,b"), "invalid-token"),
            (Some("Bearer\ta"), "invalid-token"),
            (Some("Basic abc"), "invalid-token"),
            (Some("abc"), "invalid-token"),
        ] {
            let refused = token(header).unwrap_err();
            assert_eq!(
                (refused.reason, refused.code),
                (Reason::Unauthenticated, code),
                "{header:?}"
            );
        }
        for header in [
            "Bearer aZ09-._~+/==",
            "bearer aZ09-._~+/==",
            "BEARER   aZ09-._~+/==",
        ] {
            assert_eq!(token(Some(header)).ok(), Some("aZ09-._~+/=="));
        }
    }

    #[test]
    fn a_rejected_token_is_answered_like_a_malformed_one() {
        let host = Fake {
            auth: Some(AuthError::Rejected),
            ..Fake::default()
        };
        let rejected = delete(&host, &request());
        let malformed = DocumentRequest {
            authorization: Some("x".to_owned()),
            ..request()
        };
        assert_eq!(rejected, delete(&Fake::default(), &malformed));
    }

    #[test]
    fn the_content_type_is_json_whatever_its_parameters() {
        for value in [
            "application/json",
            "Application/JSON",
            "application/json;charset=utf-8",
            "application/json ; charset=utf-8",
        ] {
            assert!(content_type(Some(value)).is_ok(), "{value}");
        }
        for value in [
            "",
            "text/json",
            "application/jsonp",
            "application/json, text/html",
            "; application/json",
        ] {
            assert!(content_type(Some(value)).is_err(), "{value}");
        }
        assert!(content_type(None).is_err());
    }

    #[test]
    fn what_is_wrong_is_told_from_the_outside_in() {
        let mut request = DocumentRequest {
            authorization: None,
            content_type: None,
            body: Vec::new(),
        };
        let host = Fake::default();
        let mut code = |change: fn(&mut DocumentRequest)| {
            change(&mut request);
            delete(&host, &request).unwrap_err().code
        };
        assert_eq!(code(|_| ()), "missing-token");
        assert_eq!(
            code(|it| it.authorization = Some("Bearer a".to_owned())),
            "content-type-not-json"
        );
        assert_eq!(
            code(|it| it.content_type = Some("application/json".to_owned())),
            "missing-body"
        );
        assert!(host.calls().is_empty(), "the host was asked");
    }

    #[test]
    fn each_answer_of_the_host_has_a_code() {
        let auth = |error| Fake {
            auth: Some(error),
            ..Fake::default()
        };
        let storage = |error| Fake {
            storage: Some(error),
            ..Fake::default()
        };
        let gate = |denial| Fake {
            denial: Some(denial),
            ..Fake::default()
        };
        for (host, reason, code, calls) in [
            (
                auth(AuthError::NoAccess),
                Reason::Forbidden,
                "tenant-not-accessible",
                1,
            ),
            (
                auth(AuthError::Throttled(9)),
                Reason::Throttled(9),
                "throttled",
                1,
            ),
            (
                auth(AuthError::Unavailable),
                Reason::Unavailable,
                "unavailable",
                1,
            ),
            (
                storage(StorageError::NotFound),
                Reason::NotFound,
                "document-not-found",
                2,
            ),
            (
                storage(StorageError::Forbidden),
                Reason::Forbidden,
                "permission-missing",
                2,
            ),
            (
                storage(StorageError::Unavailable),
                Reason::Unavailable,
                "unavailable",
                2,
            ),
            (gate(Denial::Held), Reason::Held, "held", 3),
            (
                gate(Denial::Fault("x".to_owned())),
                Reason::Unavailable,
                "undecided",
                3,
            ),
            (
                gate(Denial::Unavailable),
                Reason::Unavailable,
                "unavailable",
                3,
            ),
        ] {
            let refusal = delete(&host, &request()).unwrap_err();
            assert_eq!((refusal.reason, refusal.code.as_str()), (reason, code));
            assert_eq!(host.calls().len(), calls, "{code}");
        }
    }
}
