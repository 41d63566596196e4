//! Single values out of headers and `name=value` pairs, neither trimmed nor guessed at.
//!
//! **Invariant:** a value is absent, or one, or an error; of two values none is picked.

use axum::http::HeaderMap;

/// The most bytes that a value may have.
pub(super) const MAX_BYTES: usize = 4096;

/// A value that is there twice, too long, or not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The value of a header.
pub(super) fn header(headers: &HeaderMap, name: &str) -> Result<Option<String>, Unreadable> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() {
        return Err(Unreadable);
    }
    value
        .map(|value| text(value.as_bytes().to_vec()))
        .transpose()
}

/// The value of a parameter in a query string or a URL-encoded form.
pub(super) fn parameter(pairs: &str, name: &str) -> Result<Option<String>, Unreadable> {
    let mut found = None;
    for pair in pairs.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        // A name that cannot be decoded is none that anybody asks for.
        if decode(key).as_deref() != Ok(name) {
            continue;
        }
        if found.replace(decode(value)?).is_some() {
            return Err(Unreadable);
        }
    }
    Ok(found)
}

/// Undoes the encoding of a URL-encoded form.
pub(super) fn decode(encoded: &str) -> Result<String, Unreadable> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit(), digit());
                let value = high.zip(low).map(|(high, low)| high * 16 + low);
                value
                    .and_then(|value| u8::try_from(value).ok())
                    .ok_or(Unreadable)?
            }
            plain => plain,
        });
    }
    text(bytes)
}

fn text(bytes: Vec<u8>) -> Result<String, Unreadable> {
    if bytes.len() > MAX_BYTES {
        return Err(Unreadable);
    }
    String::from_utf8(bytes).map_err(|_| Unreadable)
}
