//! The document calls. One subdomain is one tenant; a user is a positive number.

mod activity;
mod bytes;
mod delete;
mod list;
mod upload;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::failure::{Failure, NO_ROUTE};
use super::page::{InvalidPage, ListQuery};
use super::routes::{Access, Route};
use super::{page, wire};
use crate::naming;
use crate::service::Service;
use crate::store::Page;
use crate::target::{Caller, Kind, Permission, Subdomain};

// The codes that the built-in plugin has too mean the same there.
const MISSING_TOKEN: Failure = Failure::family(
    StatusCode::UNAUTHORIZED,
    "missing-token",
    "The Authorization header is missing.",
);
const INVALID_TOKEN: Failure = Failure::family(
    StatusCode::UNAUTHORIZED,
    "invalid-token",
    "The bearer token is not valid.",
);
const NO_ACCESS: Failure = Failure::family(
    StatusCode::FORBIDDEN,
    "tenant-not-accessible",
    "The client has no access to this tenant.",
);
const NO_PERMISSION: Failure = Failure::family(
    StatusCode::FORBIDDEN,
    "permission-missing",
    "The client may not do this with documents of this tenant.",
);
const INVALID_ACCOUNT: Failure = Failure::family(
    StatusCode::BAD_REQUEST,
    "invalid-user-account-id",
    "userAccountId must be an integer from 1 to 9223372036854775807.",
);

/// Where the document calls are.
pub(super) fn routes() -> [Route; 6] {
    let read = Access::Bearer(Permission::DocumentsRead);
    let write = Access::Bearer(Permission::DocumentsWrite);
    [
        Route::post("/api/library/documents/delete", write, delete::delete),
        Route::post("/api/library/documents/delete/", write, delete::delete),
        Route::get(
            "/api/library/documents/list/get/{tenantSubDomain}/{userAccountId}",
            read,
            list::list,
        ),
        Route::get(
            "/api/library/documents/activity/get/{tenantSubDomain}/{userAccountId}",
            read,
            activity::activity,
        ),
        Route::get(
            "/api/library/documents/file/get/{tenantSubDomain}/{userAccountId}/{fileGuid}",
            read,
            bytes::bytes,
        ),
        Route::post(
            "/api/file/upload/admin-for-client/store",
            write,
            upload::upload,
        )
        .uploads(),
    ]
}

/// What the address of a read names.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    tenant_sub_domain: String,
    user_account_id: String,
    #[serde(default)]
    file_guid: String,
}

/// Who reads, whose documents, and which.
struct Reading {
    caller: Caller,
    owner: String,
    file_guid: String,
}

/// Admits a read to one user's documents.
async fn reading(
    service: &Service,
    headers: &HeaderMap,
    place: Result<Path<Place>, PathRejection>,
) -> Result<Reading, Failure> {
    let Path(place) = place.map_err(|_| NO_ROUTE)?;
    let Bearer { token, .. } = bearer(service, headers).await?;
    let tenant = &place.tenant_sub_domain;
    let caller = caller(service, &token, tenant, Permission::DocumentsRead).await?;
    Ok(Reading {
        caller,
        owner: owner(&place.user_account_id)?,
        file_guid: place.file_guid.to_ascii_lowercase(),
    })
}

/// A bearer token, and the client that it stands for.
struct Bearer {
    token: String,
    client: String,
}

/// A bearer token that speaks for somebody, whatever the tenant.
async fn bearer(service: &Service, headers: &HeaderMap) -> Result<Bearer, Failure> {
    let header = wire::header(headers, AUTHORIZATION.as_str()).map_err(|_| INVALID_TOKEN)?;
    let header = header.filter(|header| !header.is_empty());
    let header = header.ok_or(MISSING_TOKEN)?;
    let (scheme, token) = header.split_once(' ').ok_or(INVALID_TOKEN)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(INVALID_TOKEN);
    }
    let token = token.trim_start_matches(' ');
    let client = service.credentials.token_client(token).await;
    let client = client.map_err(|error| Failure::auth(error, INVALID_TOKEN, NO_ACCESS))?;
    Ok(Bearer {
        token: token.to_owned(),
        client,
    })
}

/// Whom the token stands for in a tenant. What is no subdomain is a tenant without access.
async fn caller(
    service: &Service,
    token: &str,
    tenant: &str,
    permission: Permission,
) -> Result<Caller, Failure> {
    use crate::auth::Authority as _;
    let tenant: Subdomain = tenant.parse().map_err(|_| NO_ACCESS)?;
    let caller = service.credentials.authenticate_token(token, &tenant).await;
    let caller = caller.map_err(|error| Failure::auth(error, INVALID_TOKEN, NO_ACCESS))?;
    if caller.may(permission) {
        Ok(caller)
    } else {
        Err(NO_PERMISSION)
    }
}

/// The user that a decimal `userAccountId` names.
fn owner(sent: &str) -> Result<String, Failure> {
    naming::owner(Kind::Document, sent).map_err(|_| INVALID_ACCOUNT)
}

/// The page of the activity that a query asks for.
fn paging(query: Option<&str>) -> Result<Page, Failure> {
    let page = page::from_query(query.unwrap_or_default(), page::MAX_ROWS);
    page.map_err(|name| invalid_page(InvalidPage::Number(name)))
}

/// The page of an owner's documents that a query asks for.
fn listing(query: Option<&str>, owner: &str) -> Result<ListQuery, Failure> {
    let query = query.unwrap_or_default();
    ListQuery::read(query, page::MAX_ROWS, Kind::Document, owner).map_err(invalid_page)
}

fn invalid_page(invalid: InvalidPage) -> Failure {
    let message = match invalid {
        InvalidPage::Number(name) => {
            format!("{name} must be a whole number greater than 0.").into()
        }
        InvalidPage::Position => {
            "after must be as the Link header of an earlier page has it.".into()
        }
        InvalidPage::Both => {
            "after and pageIndex exclude each other; leave one of them out.".into()
        }
    };
    Failure {
        message,
        ..Failure::family(StatusCode::BAD_REQUEST, "invalid-page", "")
    }
}
