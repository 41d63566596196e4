//! Names of everything: what is parsed is written back as the same, and whatever the default plugin
//! takes as the name of a user or an object, the storage can bear.

#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use atropos::naming;
use atropos::target::{BlobKey, Digest, Kind, Permission, Subdomain, WebsiteId};
use atropos_sdk::plugin::PhotoRequest;
use atropos_standard::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    has_one_spelling::<Subdomain>(text, str::eq_ignore_ascii_case);
    has_one_spelling::<Digest>(text, str::eq_ignore_ascii_case);
    has_one_spelling::<Permission>(text, str::eq);
    has_one_spelling::<WebsiteId>(text, |text, id| text.trim_start_matches('0') == id);
    // Hyphens, braces and the prefix of a URN mean nothing.
    has_one_spelling::<BlobKey>(text, |text, key| {
        let digits = text.to_ascii_lowercase().replace("urn:uuid:", "");
        let digits = digits.replace(['-', '{', '}'], "");
        digits == key
    });
    for kind in [Kind::Photo, Kind::Document] {
        is_stored_as_the_same(text, |text| naming::owner(kind, text).ok());
        is_stored_as_the_same(text, |text| naming::id(kind, text).ok());
    }
    plugin_and_storage_agree(text);
});

/// What is read is written as the same, but for what means nothing.
fn has_one_spelling<T>(text: &str, means: impl Fn(&str, &str) -> bool)
where
    T: FromStr<Err: Debug + Display> + Display + PartialEq + Debug,
{
    match text.parse::<T>() {
        Ok(value) => {
            let written = value.to_string();
            assert_eq!(
                written.parse::<T>().expect("what was written is read"),
                value
            );
            assert!(means(text, &written), "{text:?} is not {written:?}");
        }
        Err(error) => assert!(error.to_string().contains(" must be ")),
    }
}

fn is_stored_as_the_same(text: &str, store: impl Fn(&str) -> Option<String>) {
    if let Some(stored) = store(text) {
        assert!((1..=128).contains(&stored.len()));
        assert!(!stored.contains(char::is_control));
        assert_eq!(store(&stored).as_ref(), Some(&stored));
    }
}

/// Each part of a request is taken by the plugin exactly if the storage can bear such a name.
fn plugin_and_storage_agree(text: &str) {
    let good = || PhotoRequest {
        website_id: Some("7".to_owned()),
        site_key: Some("key".to_owned()),
        user_id: Some("u-1".to_owned()),
        photo_id: Some("p-1".to_owned()),
    };
    let text = || Some(text.to_owned());
    let takes = |request: PhotoRequest| fuzzing::photo(&request).0.is_ok();
    let word = text().unwrap_or_default();
    let website = takes(PhotoRequest {
        website_id: text(),
        ..good()
    });
    assert_eq!(
        website,
        word.parse::<WebsiteId>().is_ok(),
        "website {word:?}"
    );
    let user = takes(PhotoRequest {
        user_id: text(),
        ..good()
    });
    assert_eq!(
        user,
        naming::owner(Kind::Photo, &word).is_ok(),
        "user {word:?}"
    );
    let photo = takes(PhotoRequest {
        photo_id: text(),
        ..good()
    });
    assert_eq!(
        photo,
        naming::id(Kind::Photo, &word).is_ok(),
        "photo {word:?}"
    );
}
