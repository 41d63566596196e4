//! Query strings. A value is what a well-known parser reads, if there is exactly one.

#![no_main]

use atropos_server::http::fuzzing::{MAX_BYTES, decode, page, parameter};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 4] = ["userId", "photoId", "pageIndex", "pageSize"];

fuzz_target!(|query: &str| {
    for name in NAMES {
        agrees_with_the_reference(query, name);
    }
    a_page_is_bounded(query);
    what_is_encoded_is_decoded(query);
});

fn agrees_with_the_reference(query: &str, name: &str) {
    let expected = values(query, name);
    match parameter(query, name) {
        Ok(None) => assert!(expected.is_empty(), "{name}: {expected:?}"),
        Ok(Some(value)) => assert_eq!(expected, [value], "{name}"),
        // The reference reads on where ours refuses: a broken escape stays as it is, and what is not
        // text becomes U+FFFD.
        Err(_) => assert!(
            expected.len() > 1
                || expected[0].len() > MAX_BYTES
                || expected[0].contains(['%', '\u{fffd}']),
            "{name}: {expected:?}"
        ),
    }
}

fn values(query: &str, name: &str) -> Vec<String> {
    form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .collect()
}

fn a_page_is_bounded(query: &str) {
    match page(query, 25) {
        Ok((offset, limit)) => {
            assert!((1..=1000).contains(&limit));
            assert_eq!(offset % u64::from(limit), 0);
        }
        Err(name) => assert!(!values(query, name).is_empty(), "{name} is not there"),
    }
}

fn what_is_encoded_is_decoded(text: &str) {
    let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let decoded = decode(&encoded);
    assert_eq!(decoded.is_ok(), text.len() <= MAX_BYTES);
    if let Ok(decoded) = decoded {
        assert_eq!(decoded, text);
    }
}
