//! The photo calls. One website is one tenant; a user is whatever `userId` says.

mod activity;
mod bytes;
mod delete;
mod list;
mod upload;

use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn;
use axum::routing::any;

use super::failure::Failure;
use super::page::InvalidPage;
use super::routes::{Access, Route};
use super::wire;
use crate::naming;
use crate::service::Service;
use crate::target::{Caller, Kind, WebsiteId};

const WEBSITE_ID: &str = "websiteId";
const SITE_KEY: &str = "webApiClientKey";
const USER_ID: &str = "userId";
const PHOTO_ID: &str = "photoId";

/// How many rows a page has, unless the request says so.
const PAGE_ROWS: u32 = 25;

const MISSING_WEBSITE_ID: Failure = invalid("372", "Missing websiteId");
const INVALID_WEBSITE_ID: Failure = invalid("221", "Invalid websiteId");
const EMPTY_SITE_KEY: Failure = invalid("226", "Empty webApiClientKey");
const INVALID_USER_ID: Failure = invalid("261", "Invalid userId");
const INVALID_FILE: Failure = invalid("262", "Invalid or missing file");
const UNAUTHORIZED: Failure = Failure::family(StatusCode::UNAUTHORIZED, "401", "Unauthorized");
const FORBIDDEN: Failure = Failure::family(StatusCode::FORBIDDEN, "403", "Forbidden");
/// Malformed, absent and somebody else's are one answer.
const INVALID_PHOTO_ID: Failure = Failure::no_such(Kind::Photo);

const fn invalid(code: &'static str, message: &'static str) -> Failure {
    Failure::family(StatusCode::BAD_REQUEST, code, message)
}

/// Where the photo calls are.
pub(super) fn routes() -> [Route; 5] {
    // axum has HEAD served by whoever serves GET, unless all methods are in one hand.
    let delete = any(delete::delete).layer(from_fn(delete::deliberate));
    let key = Access::SiteKey;
    [
        Route::new("GET", "/api/4/UploadImage/DeleteUserPhoto", key, delete),
        Route::post("/api/4/UploadImage/UploadImage", key, upload::upload).uploads(),
        Route::get("/api/4/UploadImage/GetUserUploadedList", key, list::list),
        Route::get(
            "/api/4/UploadImage/GetUserActivity",
            key,
            activity::activity,
        ),
        Route::get("/media/{key}/{name}", Access::Address, bytes::bytes),
    ]
}

/// Who asks, by the headers of the family.
async fn caller(service: &Service, headers: &HeaderMap) -> Result<Caller, Failure> {
    use crate::auth::Authority as _;
    let website = wire::header(headers, WEBSITE_ID).map_err(|_| INVALID_WEBSITE_ID)?;
    let website = website.ok_or(MISSING_WEBSITE_ID)?;
    let website: WebsiteId = website.parse().map_err(|_| INVALID_WEBSITE_ID)?;
    let key = wire::header(headers, SITE_KEY).map_err(|_| UNAUTHORIZED)?;
    let key = key.filter(|key| !key.is_empty()).ok_or(EMPTY_SITE_KEY)?;
    let caller = service.credentials.authenticate_site(website, &key).await;
    caller.map_err(|error| Failure::auth(error, UNAUTHORIZED, FORBIDDEN))
}

/// The user that a photo belongs to.
fn owner(sent: Option<String>) -> Result<String, Failure> {
    let owner = sent.and_then(|sent| naming::owner(Kind::Photo, &sent).ok());
    owner.ok_or(INVALID_USER_ID)
}

/// The user whose list is asked for.
fn lists_of(query: &str) -> Result<String, Failure> {
    let user = wire::parameter(query, USER_ID).map_err(|_| INVALID_USER_ID)?;
    owner(user)
}

/// What of the address of a list its next page must have, too.
fn rest(owner: &str) -> String {
    format!("{USER_ID}={}&", wire::encode(owner))
}

fn invalid_page(invalid: InvalidPage) -> Failure {
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
