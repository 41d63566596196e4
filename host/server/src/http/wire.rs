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

/// A value as it stands in a query string, so that [`decode`] gives it back.
pub(super) fn encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => encoded.push(byte.into()),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn text(bytes: Vec<u8>) -> Result<String, Unreadable> {
    if bytes.len() > MAX_BYTES {
        return Err(Unreadable);
    }
    String::from_utf8(bytes).map_err(|_| Unreadable)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_parameter_is_absent_or_empty_or_decoded_or_unreadable() {
        let long = format!("a={}", "x".repeat(MAX_BYTES + 1));
        let table: [(&str, Result<Option<&str>, Unreadable>); 14] = [
            ("", Ok(None)),
            ("b=1", Ok(None)),
            ("A=1", Ok(None)),
            ("a", Ok(Some(""))),
            ("a=", Ok(Some(""))),
            ("a=1=2", Ok(Some("1=2"))),
            ("b=%zz&a=%20x%2f+y%00", Ok(Some(" x/ y\0"))),
            ("a=%C3%A9", Ok(Some("é"))),
            ("%61=1", Ok(Some("1"))),
            ("a=1&a=1", Err(Unreadable)),
            ("a=1&%61=2", Err(Unreadable)),
            ("a=%FF", Err(Unreadable)),
            ("a=%4", Err(Unreadable)),
            (&long, Err(Unreadable)),
        ];
        for (query, expected) in table {
            let expected = expected.map(|value| value.map(str::to_owned));
            assert_eq!(parameter(query, "a"), expected, "{query}");
        }
    }

    #[test]
    fn what_is_encoded_stands_for_itself_and_ends_no_value() {
        for value in ["", "a b", "u-1&x=\"<>;%", "é", "~._-"] {
            let encoded = encode(value);
            assert_eq!(decode(&encoded).as_deref(), Ok(value));
            assert!(!encoded.contains(['&', '=', '"', '<', '>', ';', ' ', '+']));
        }
    }

    #[test]
    fn a_header_is_absent_or_one_text_or_unreadable() {
        let mut headers = HeaderMap::new();
        assert_eq!(header(&headers, "webApiClientKey"), Ok(None));
        headers.insert("webapiclientkey", HeaderValue::from_static(""));
        assert_eq!(header(&headers, "webApiClientKey"), Ok(Some(String::new())));
        headers.append("webapiclientkey", HeaderValue::from_static("k"));
        assert_eq!(header(&headers, "webApiClientKey"), Err(Unreadable));
        let broken = HeaderValue::from_bytes(b"\xff").unwrap();
        headers.insert("webapiclientkey", broken);
        assert_eq!(header(&headers, "webApiClientKey"), Err(Unreadable));
    }
}
