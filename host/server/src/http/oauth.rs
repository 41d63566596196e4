//! `POST /oauth/token`: bearer tokens for API clients, by OAuth 2.0 client credentials (RFC 6749).

use std::sync::Arc;

use atropos_service::auth::AuthError;
use atropos_service::service::Service;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, PRAGMA, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::failure::Failure;
use super::{headers, wire};

/// Why there is no token, by the RFC's own codes.
#[derive(Debug)]
pub(super) enum TokenError {
    /// The request is not of the form that the RFC asks for.
    InvalidRequest,
    /// Only `client_credentials` is served.
    UnsupportedGrantType,
    /// The client did not prove who it is.
    InvalidClient,
    /// Not the client's fault.
    Failure(Failure),
}

#[derive(Serialize)]
struct Token {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
}

/// Issues a token.
pub(super) async fn token(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, TokenError> {
    let body = body.map_err(|_| TokenError::InvalidRequest)?;
    let (client, secret) = credentials(&headers, &body)?;
    let lifetime_ms = service.config.http.token_lifetime_ms;
    let issued = service
        .credentials
        .issue_token(&client, &secret, lifetime_ms)
        .await
        .map_err(|error| match error {
            AuthError::Rejected | AuthError::NoAccess => TokenError::InvalidClient,
            AuthError::Throttled(ms) => TokenError::Failure(Failure::throttled(ms)),
            AuthError::Unavailable(source) => TokenError::Failure(source.into()),
        })?;
    let mut response = Json(Token {
        access_token: issued.secret,
        token_type: "Bearer",
        expires_in: lifetime_ms / 1000,
    })
    .into_response();
    headers::set(&mut response, PRAGMA, "no-cache");
    Ok(response)
}

/// Client id and secret, from the form or from HTTP Basic, but not from both.
pub(super) fn credentials(
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(String, String), TokenError> {
    let invalid = |_| TokenError::InvalidRequest;
    let content_type = wire::header(headers, CONTENT_TYPE.as_str()).map_err(invalid)?;
    let media_type = content_type.as_deref().unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(TokenError::InvalidRequest);
    }
    let form = std::str::from_utf8(body).map_err(|_| TokenError::InvalidRequest)?;
    let field = |name| wire::parameter(form, name).map_err(invalid);
    match field("grant_type")?.as_deref() {
        None | Some("") => return Err(TokenError::InvalidRequest),
        Some("client_credentials") => {}
        Some(_) => return Err(TokenError::UnsupportedGrantType),
    }
    let (client, secret) = (field("client_id")?, field("client_secret")?);
    match wire::header(headers, AUTHORIZATION.as_str()).map_err(invalid)? {
        Some(_) if secret.is_some() => Err(TokenError::InvalidRequest),
        Some(header) => {
            let (id, secret) = basic(&header).ok_or(TokenError::InvalidClient)?;
            match client {
                Some(client) if client != id => Err(TokenError::InvalidRequest),
                _ => Ok((id, secret)),
            }
        }
        None => client.zip(secret).ok_or(TokenError::InvalidClient),
    }
}

/// The RFC has both parts form-encoded before they are joined.
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let joined = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = joined.split_once(':')?;
    Some((wire::decode(id).ok()?, wire::decode(secret).ok()?))
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
    error_description: &'a str,
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        let (status, error, error_description) = match &self {
            Self::InvalidRequest => (
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "the request is not a URL-encoded form with each parameter once",
            ),
            Self::UnsupportedGrantType => (
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "only client_credentials is served",
            ),
            Self::InvalidClient => (
                StatusCode::UNAUTHORIZED,
                "invalid_client",
                "the client or its secret is not valid",
            ),
            Self::Failure(failure) => {
                (failure.status, "temporarily_unavailable", &*failure.message)
            }
        };
        let body = ErrorBody {
            error,
            error_description,
        };
        let mut response = (status, Json(body)).into_response();
        match &self {
            Self::InvalidClient => {
                headers::set(&mut response, WWW_AUTHENTICATE, "Basic realm=\"atropos\"");
            }
            Self::Failure(failure) => headers::dress(&mut response, failure),
            Self::InvalidRequest | Self::UnsupportedGrantType => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";

    fn read(
        content_type: &'static str,
        basic: Option<&str>,
        body: &str,
    ) -> Result<(String, String), String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(joined) = basic {
            let value = format!("basic {}", STANDARD.encode(joined));
            headers.insert(AUTHORIZATION, HeaderValue::try_from(value).unwrap());
        }
        credentials(&headers, body.as_bytes()).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn credentials_come_from_the_form_or_from_basic_but_not_from_both() {
        let grant = "grant_type=client_credentials";
        let form = format!("{grant}&client_id=c&client_secret=s%26");
        let known = |secret: &str| Ok(("c".to_owned(), secret.to_owned()));
        let refused = |error: &str| Err(error.to_owned());
        assert_eq!(read(FORM, None, &form), known("s&"));
        assert_eq!(read(FORM, Some("c:s%26"), grant), known("s&"));
        assert_eq!(read(FORM, Some("c:s"), &form), refused("InvalidRequest"));
        assert_eq!(read(FORM, None, grant), refused("InvalidClient"));
        assert_eq!(read(FORM, Some("c"), grant), refused("InvalidClient"));
        assert_eq!(
            read("application/json", None, &form),
            refused("InvalidRequest")
        );
    }

    #[test]
    fn only_client_credentials_are_granted() {
        let grant = |grant| read(FORM, None, grant).unwrap_err();
        assert_eq!(grant("grant_type=password"), "UnsupportedGrantType");
        assert_eq!(grant("grant_type="), "InvalidRequest");
        let twice = "grant_type=client_credentials&grant_type=client_credentials";
        assert_eq!(grant(twice), "InvalidRequest");
    }
}
