//! Header fields, and the credentials of a token request. The input is lines of `name: value`, an
//! empty line, and the body.

#![no_main]

use atropos_server::http::fuzzing::{MAX_BYTES, Unreadable, credentials, header};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 5] = [
    "websiteId",
    "webApiClientKey",
    "authorization",
    "content-type",
    "idempotency-key",
];

fuzz_target!(|input: &[u8]| {
    let at = input.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match at {
        Some(at) => (&input[..at], &input[at + 2..]),
        None => (input, &[][..]),
    };
    let fields = fields(head);
    let mut map = HeaderMap::new();
    for (name, value) in &fields {
        map.append(name, value.clone());
    }
    for name in NAMES {
        assert_eq!(header(&map, name), expected(&fields, name), "{name}");
    }
    come_from_one_place(&map, &fields, body);
    if let Ok(text) = std::str::from_utf8(body) {
        arrive_as_they_were_sent(text);
    }
});

fn fields(head: &[u8]) -> Vec<(HeaderName, HeaderValue)> {
    let lines = head.split(|byte| *byte == b'\n');
    let field = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        Some((name, value))
    };
    lines.filter_map(field).collect()
}

fn expected(
    fields: &[(HeaderName, HeaderValue)],
    name: &str,
) -> Result<Option<String>, Unreadable> {
    let named = |(field, _): &&_| HeaderName::as_str(field).eq_ignore_ascii_case(name);
    let values: Vec<_> = fields
        .iter()
        .filter(named)
        .map(|(_, value)| value)
        .collect();
    match values[..] {
        [] => Ok(None),
        [value] if value.len() <= MAX_BYTES => match std::str::from_utf8(value.as_bytes()) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(Unreadable),
        },
        _ => Err(Unreadable),
    }
}

/// A secret comes from the form or from HTTP Basic, never from both, and only for the one grant.
fn come_from_one_place(map: &HeaderMap, fields: &[(HeaderName, HeaderValue)], body: &[u8]) {
    let Some((id, secret)) = credentials(map, body) else {
        return;
    };
    let form = |name: &str| -> Vec<String> {
        let pairs = form_urlencoded::parse(body);
        let named = pairs.filter(|(key, _)| key == name);
        named.map(|(_, value)| value.into_owned()).collect()
    };
    assert_eq!(form("grant_type"), ["client_credentials"]);
    match expected(fields, "authorization") {
        Ok(None) => {
            assert_eq!(form("client_id"), [id]);
            assert_eq!(form("client_secret"), [secret]);
        }
        Ok(Some(_)) => {
            assert!(form("client_secret").is_empty());
            assert!(form("client_id").iter().all(|named| *named == id));
        }
        Err(_) => panic!("the header was not readable"),
    }
}

/// Whatever id and secret are, both ways of sending them deliver them.
fn arrive_as_they_were_sent(text: &str) {
    let middle = text.floor_char_boundary(text.len() / 2);
    let (id, secret) = text.split_at(middle);
    if id.len().max(secret.len()) > MAX_BYTES / 8 {
        return;
    }
    let sent = Some((id.to_owned(), secret.to_owned()));
    let encode =
        |text: &str| -> String { form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    let (id, secret) = (encode(id), encode(secret));

    let mut map = HeaderMap::new();
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    map.insert("content-type", form);
    let grant = "grant_type=client_credentials";
    let body = format!("{grant}&client_id={id}&client_secret={secret}");
    assert_eq!(credentials(&map, body.as_bytes()), sent);

    let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    map.insert(
        "authorization",
        HeaderValue::try_from(basic).expect("ASCII"),
    );
    assert_eq!(credentials(&map, grant.as_bytes()), sent);
    assert_eq!(credentials(&map, body.as_bytes()), None);
}
