//! The header `Idempotency-Key`, by which a client has a repeat of a delete told from a new one, as
//! in draft-ietf-httpapi-idempotency-key-header.

use atropos::erase::{Answer, IdempotencyKey};
use atropos::target::Kind;
use axum::http::header::HeaderName;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

use super::failure::Failure;
use super::style::Style;
use super::{headers, wire};

const KEY: &str = "Idempotency-Key";

/// On the answer to a repeat.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// On an answer behind which there is a decision on record: its id.
const DECISION: HeaderName = HeaderName::from_static("atropos-decision");

const INVALID_KEY: Failure = Failure::host(
    StatusCode::BAD_REQUEST,
    "invalid-idempotency-key",
    "Idempotency-Key must be 1 to 255 visible ASCII characters in quotes.",
);

/// The key of a request, if it has one: a string as in RFC 8941, or the same without its quotes.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Failure> {
    let sent = wire::header(headers, KEY).map_err(|_| INVALID_KEY)?;
    let key = |sent: String| unquoted(&sent)?.parse().ok();
    sent.map(|sent| key(sent).ok_or(INVALID_KEY)).transpose()
}

/// What is in the quotes. Without any, what would part one value from another is not taken for one.
fn unquoted(sent: &str) -> Option<String> {
    let Some(inner) = sent.strip_prefix('"') else {
        let bare = !sent.contains(['"', '\\', ',', ';']);
        return bare.then(|| sent.to_owned());
    };
    let inner = inner.strip_suffix('"')?;
    let mut key = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(char) = rest.next() {
        key.push(match char {
            '"' => return None,
            '\\' => rest
                .next()
                .filter(|escaped| ['"', '\\'].contains(escaped))?,
            plain => plain,
        });
    }
    Some(key)
}

/// Renders what became of a delete, says if that was the answer to an earlier request, and names the decision
/// behind it.
pub(super) fn tell(
    answer: Answer,
    kind: Kind,
    style: Style,
    success: impl FnOnce() -> Response,
) -> Response {
    let mut response = match answer.outcome {
        Ok(()) => success(),
        Err(refused) => style.tell(Failure::refused(refused, kind)),
    };
    if answer.repeated {
        headers::set(&mut response, REPLAYED, "true");
    }
    let decision = answer
        .decision
        .map(|id| HeaderValue::try_from(id.to_string()));
    if let Some(Ok(decision)) = decision {
        response.headers_mut().insert(DECISION, decision);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(values: &[&str]) -> Result<Option<String>, Failure> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(KEY, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Ok(key(&headers)?.map(|key| key.as_str().to_owned()))
    }

    #[test]
    fn a_key_is_the_same_with_and_without_quotes() {
        assert_eq!(sent(&[]), Ok(None));
        let longest = "k".repeat(255);
        let table = [
            ("8e03978e-40d5", "8e03978e-40d5"),
            (r#""8e03978e-40d5""#, "8e03978e-40d5"),
            (r#""a,b;c""#, "a,b;c"),
            (r#""a\"b\\c""#, r#"a"b\c"#),
            (&longest, &longest),
        ];
        for (value, expected) in table {
            assert_eq!(sent(&[value]), Ok(Some(expected.to_owned())), "{value}");
        }
    }

    #[test]
    fn what_is_no_key_or_more_than_one_is_refused() {
        let too_long = "k".repeat(256);
        let table = [
            "",
            r#""""#,
            r#"""#,
            r#""a"#,
            r#"a""#,
            r#""a"b""#,
            r#""a", "b""#,
            r#""a";p=1"#,
            r#""a\""#,
            r#""a\b""#,
            "a,b",
            "a;p=1",
            "a b",
            r#""a b""#,
            "é",
            &too_long,
        ];
        for value in table {
            assert_eq!(sent(&[value]), Err(INVALID_KEY), "{value}");
        }
        assert_eq!(sent(&["a", "a"]), Err(INVALID_KEY));
    }
}
