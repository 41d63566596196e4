//! What a document call asks for, and who asks.

use atropos::domain::Page;
use atropos::naming;
use atropos::target::{Caller, Kind, Permission, Subdomain};
use atropos_service::service::Service;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::http::failure::{Failure, NO_ROUTE};
use crate::http::page::{InvalidPage, ListQuery};
use crate::http::{page, wire};

// The codes that the built-in plugin has too mean the same there.
pub(super) const MISSING_TOKEN: Failure = Failure::family(
    StatusCode::UNAUTHORIZED,
    "missing-token",
    "The Authorization header is missing.",
);
pub(super) const INVALID_TOKEN: Failure = Failure::family(
    StatusCode::UNAUTHORIZED,
    "invalid-token",
    "The bearer token is not valid.",
);
pub(super) const NO_ACCESS: Failure = Failure::family(
    StatusCode::FORBIDDEN,
    "tenant-not-accessible",
    "The client has no access to this tenant.",
);
pub(super) const NO_PERMISSION: Failure = Failure::family(
    StatusCode::FORBIDDEN,
    "permission-missing",
    "The client may not do this with documents of this tenant.",
);
pub(super) const INVALID_ACCOUNT: Failure = Failure::family(
    StatusCode::BAD_REQUEST,
    "invalid-user-account-id",
    "userAccountId must be an integer from 1 to 9223372036854775807.",
);

/// What the address of a read names.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Place {
    pub(super) tenant_sub_domain: String,
    pub(super) user_account_id: String,
    #[serde(default)]
    pub(super) file_guid: String,
}

/// Who reads, whose documents, and which.
pub(super) struct Reading {
    pub(super) caller: Caller,
    pub(super) owner: String,
    pub(super) file_guid: String,
}

/// Admits a read to one user's documents.
pub(super) async fn reading(
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
pub(super) struct Bearer {
    pub(super) token: String,
    pub(super) client: String,
}

/// A bearer token that speaks for somebody, whatever the tenant.
pub(super) async fn bearer(service: &Service, headers: &HeaderMap) -> Result<Bearer, Failure> {
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
pub(super) async fn caller(
    service: &Service,
    token: &str,
    tenant: &str,
    permission: Permission,
) -> Result<Caller, Failure> {
    use atropos_service::auth::Authority as _;
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
pub(super) fn owner(sent: &str) -> Result<String, Failure> {
    naming::owner(Kind::Document, sent).map_err(|_| INVALID_ACCOUNT)
}

/// The page of the activity that a query asks for.
pub(super) fn paging(query: Option<&str>) -> Result<Page, Failure> {
    let page = page::from_query(query.unwrap_or_default(), page::MAX_ROWS);
    page.map_err(|name| invalid_page(InvalidPage::Number(name)))
}

/// The page of an owner's documents that a query asks for.
pub(super) fn listing(query: Option<&str>, owner: &str) -> Result<ListQuery, Failure> {
    let query = query.unwrap_or_default();
    ListQuery::read(query, page::MAX_ROWS, Kind::Document, owner).map_err(invalid_page)
}

pub(super) fn invalid_page(invalid: InvalidPage) -> Failure {
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
