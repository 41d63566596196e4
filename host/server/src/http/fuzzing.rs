//! The parsers of what comes over the wire, within reach of `tests/fuzz`.

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use tokio::io::AsyncReadExt as _;

use super::form::{Form as Parts, FormError, Shape};
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
    /// Refused: `malformed`, `field` or `file-first`. A form that breaks off is malformed, wherever
    /// it does.
    Refused(&'static str),
    /// The field, and the name and the bytes of the file.
    Read(Option<String>, Option<(String, Vec<u8>)>),
}

/// Reads a form whose body comes in these chunks. A file that comes before its field may have
/// `file_first_bytes`.
pub async fn form(headers: &HeaderMap, chunks: Vec<Bytes>, file_first_bytes: u64) -> Form {
    let shape = Shape {
        file: "file",
        fields: ["user"],
        file_bytes: 1 << 20,
        file_first_bytes,
    };
    let chunks = futures_util::stream::iter(chunks.into_iter().map(std::io::Result::Ok));
    let refused = |error| match error {
        FormError::Malformed => Form::Refused("malformed"),
        FormError::Field(_) => Form::Refused("field"),
    };
    let mut form = match Parts::open(headers, Body::from_stream(chunks), shape, [None]) {
        Ok(form) => form,
        Err(error) => return refused(error),
    };
    let part = match form.file().await {
        Ok(part) => part,
        Err(error) => return refused(error),
    };
    let mut file = None;
    if let Some(mut part) = part {
        let mut content = Vec::new();
        let mut some = (&mut *part.content).take(part.at_most + 1);
        let whole = some.read_to_end(&mut content).await.is_ok();
        if content.len() as u64 > part.at_most {
            return Form::Refused("file-first");
        }
        if !whole {
            return Form::Refused("malformed");
        }
        file = Some((part.name, content));
    }
    match form.finish().await {
        Ok([user]) => Form::Read(user, file),
        Err(error) => refused(error),
    }
}
