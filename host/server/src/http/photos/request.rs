//! What a photo call asks for, and who asks.

use atropos::naming;
use atropos::target::{Caller, Kind, WebsiteId};
use atropos_service::service::Service;
use axum::http::{HeaderMap, StatusCode};

use crate::http::failure::Failure;
use crate::http::page::InvalidPage;
use crate::http::wire;

pub(super) const WEBSITE_ID: &str = "websiteId";
pub(super) const SITE_KEY: &str = "webApiClientKey";
pub(super) const USER_ID: &str = "userId";
pub(super) const PHOTO_ID: &str = "photoId";

/// How many rows a page has, unless the request says so.
pub(super) const PAGE_ROWS: u32 = 25;

pub(super) const MISSING_WEBSITE_ID: Failure = invalid("372", "Missing websiteId");
pub(super) const INVALID_WEBSITE_ID: Failure = invalid("221", "Invalid websiteId");
pub(super) const EMPTY_SITE_KEY: Failure = invalid("226", "Empty webApiClientKey");
pub(super) const INVALID_USER_ID: Failure = invalid("261", "Invalid userId");
pub(super) const INVALID_FILE: Failure = invalid("262", "Invalid or missing file");
pub(super) const UNAUTHORIZED: Failure =
    Failure::family(StatusCode::UNAUTHORIZED, "401", "Unauthorized");
pub(super) const FORBIDDEN: Failure = Failure::family(StatusCode::FORBIDDEN, "403", "Forbidden");
/// Malformed, absent and somebody else's are one answer.
pub(super) const INVALID_PHOTO_ID: Failure = Failure::no_such(Kind::Photo);

const fn invalid(code: &'static str, message: &'static str) -> Failure {
    Failure::family(StatusCode::BAD_REQUEST, code, message)
}

/// Who asks, by the headers of the family.
pub(super) async fn caller(service: &Service, headers: &HeaderMap) -> Result<Caller, Failure> {
    use atropos_service::auth::Authority as _;
    let website = wire::header(headers, WEBSITE_ID).map_err(|_| INVALID_WEBSITE_ID)?;
    let website = website.ok_or(MISSING_WEBSITE_ID)?;
    let website: WebsiteId = website.parse().map_err(|_| INVALID_WEBSITE_ID)?;
    let key = wire::header(headers, SITE_KEY).map_err(|_| UNAUTHORIZED)?;
    let key = key.filter(|key| !key.is_empty()).ok_or(EMPTY_SITE_KEY)?;
    let caller = service.credentials.authenticate_site(website, &key).await;
    caller.map_err(|error| Failure::auth(error, UNAUTHORIZED, FORBIDDEN))
}

/// The user that a photo belongs to.
pub(super) fn owner(sent: Option<String>) -> Result<String, Failure> {
    let owner = sent.and_then(|sent| naming::owner(Kind::Photo, &sent).ok());
    owner.ok_or(INVALID_USER_ID)
}

/// The user whose list is asked for.
pub(super) fn lists_of(query: &str) -> Result<String, Failure> {
    let user = wire::parameter(query, USER_ID).map_err(|_| INVALID_USER_ID)?;
    owner(user)
}

/// What of the address of a list its next page must have, too.
pub(super) fn rest(owner: &str) -> String {
    format!("{USER_ID}={}&", wire::encode(owner))
}

pub(super) fn invalid_page(invalid: InvalidPage) -> Failure {
    let message = match invalid {
        InvalidPage::Number(name) => format!("Invalid {name}").into(),
        InvalidPage::Position => "Invalid after".into(),
        InvalidPage::Both => "Invalid after: leave out pageIndex".into(),
    };
    Failure {
        message,
        ..Failure::host(StatusCode::BAD_REQUEST, "invalid-page", "")
    }
}
