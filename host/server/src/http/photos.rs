//! The photo calls. One website is one tenant; a user is whatever `userId` says.

mod activity;
mod bytes;
mod delete;
mod list;
mod request;
mod upload;

use axum::middleware::from_fn;
use axum::routing::any;

use super::route::{Access, Route};

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
