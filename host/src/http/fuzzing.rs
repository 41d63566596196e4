//! The parsers of what comes over the wire, within reach of `tests/fuzz`.

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use tokio::io::AsyncReadExt as _;

use super::form::{self, FormError, Shape};
use super::{oauth, page, wire};

/// The most bytes that a value may have.
pub const MAX_BYTES: usize = wire::MAX_BYTES;

/// A value that is there twice, too long, or not text.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable;

impl From<wire::Unreadable> for Unreadable {
    fn from(_: wire::Unreadable) -> Self {
        Self
    }
}

/// A parameter of a query string.
pub fn parameter(pairs: &str, name: &str) -> Result<Option<String>, Unreadable> {
    Ok(wire::parameter(pairs, name)?)
}

/// What an encoded value stands for.
pub fn decode(encoded: &str) -> Result<String, Unreadable> {
    Ok(wire::decode(encoded)?)
}

/// The value of a header.
pub fn header(headers: &HeaderMap, name: &str) -> Result<Option<String>, Unreadable> {
    Ok(wire::header(headers, name)?)
}

/// Offset and limit of a page, or the parameter that is wrong.
pub fn page(query: &str, default_rows: u32) -> Result<(u64, u32), &'static str> {
    page::from_query(query, default_rows).map(|page| (page.offset, page.limit))
}

/// Client id and secret of a token request; `None` if it is refused.
pub fn credentials(headers: &HeaderMap, body: &[u8]) -> Option<(String, String)> {
    oauth::credentials(headers, body).ok()
}

/// What a form with the field `user` and the file `file` came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Form {
    /// Refused: `malformed`, `field` or `file-first`.
    Refused(&'static str),
    /// The field, and of the file its name and what could be read of it.
    Read(Option<String>, Option<(String, Option<Vec<u8>>)>),
}

/// Reads a form whose body comes in these chunks, to the end of its file.
pub async fn form(headers: &HeaderMap, chunks: Vec<Bytes>, held_bytes: u64) -> Form {
    let shape = Shape {
        file: "file",
        fields: ["user"],
        held_bytes,
        file_bytes: 1 << 20,
    };
    let chunks = futures_util::stream::iter(chunks.into_iter().map(std::io::Result::Ok));
    let read = form::read(headers, Body::from_stream(chunks), &shape, [None]);
    let form = match read.await {
        Ok(form) => form,
        Err(FormError::Malformed) => return Form::Refused("malformed"),
        Err(FormError::Field(_)) => return Form::Refused("field"),
        Err(FormError::FileFirst) => return Form::Refused("file-first"),
    };
    let [user] = form.values;
    let Some(mut file) = form.file else {
        return Form::Read(user, None);
    };
    let mut content = Vec::new();
    let whole = file.content.read_to_end(&mut content).await.is_ok();
    Form::Read(user, Some((file.name, whole.then_some(content))))
}
