//! `GET GetUserUploadedList`.

use std::sync::Arc;

use atropos::domain::Stored;
use atropos::target::Kind;
use atropos_service::service::Service;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::request::{PAGE_ROWS, caller, invalid_page, lists_of, rest};
use crate::http::envelope::{self, EnvelopeError};
use crate::http::page::ListQuery;

/// A photo as its owner sees it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Asset<'a> {
    id: &'a str,
    image_name: &'a str,
    unique_name: String,
    width: u32,
    height: u32,
    extension: &'static str,
    mime_type: &'a str,
    #[serde(rename = "OriginalURL")]
    original_url: String,
    #[serde(rename = "StandardURL")]
    standard_url: String,
}

impl<'a> Asset<'a> {
    pub(super) fn of(stored: &'a Stored) -> Self {
        let id = &stored.object.target.id;
        let (width, height) = stored.dimensions.unwrap_or_default();
        let url = |name: &str| {
            let named = |rendition: &&atropos::domain::Rendition| rendition.name == name;
            let rendition = stored.renditions.iter().find(named);
            // A picture that is small enough has no smaller form.
            let rendition = rendition.or(stored.renditions.first());
            rendition.map_or_else(String::new, |rendition| {
                let extension = extension(&rendition.media_type);
                format!("/media/{}/{id}{extension}", rendition.key)
            })
        };
        let extension = extension(&stored.object.media_type);
        Self {
            id,
            image_name: &stored.name,
            unique_name: format!("{id}{extension}"),
            width,
            height,
            extension,
            mime_type: &stored.object.media_type,
            original_url: url("original"),
            standard_url: url("standard"),
        }
    }
}

fn extension(media_type: &str) -> &'static str {
    match media_type {
        "image/jpeg" => ".jpg",
        "image/png" => ".png",
        "image/gif" => ".gif",
        "image/webp" => ".webp",
        _ => "",
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Assets<'a> {
    asset_list: Vec<Asset<'a>>,
}

/// Lists the photos of a user.
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, EnvelopeError> {
    let caller = caller(&service, &headers).await?;
    let query = uri.query().unwrap_or_default();
    let owner = lists_of(query)?;
    let query = ListQuery::read(query, PAGE_ROWS, Kind::Photo, &owner).map_err(invalid_page)?;
    let (page, rest) = (query.page.clone(), rest(&owner));
    let render = move |photos: Vec<Stored>| {
        let next = query.next(&rest, &photos);
        let asset_list = photos.iter().map(Asset::of).collect();
        (next, envelope::success("", Some(Assets { asset_list }))).into_response()
    };
    let lists = &service.lists;
    let listed = lists.objects(&caller, Kind::Photo, &owner, page, render);
    Ok(listed.await?)
}
