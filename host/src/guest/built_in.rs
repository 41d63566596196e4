//! The components that come with the program, compiled from `guest/` by the build script.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::target::Digest;

/// The deletion plugin that serves unless the operator chose another.
pub(super) const PLUGIN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/standard.wasm"));

/// The policy that forbids nothing, by name: the first chain of every tenant.
pub const ALLOW_ALL: (&str, &[u8]) = (
    "allow-all",
    include_bytes!(concat!(env!("OUT_DIR"), "/allow-all.wasm")),
);

/// The policies that come with the program, by name.
pub const POLICIES: [(&str, &[u8]); 4] = [
    ALLOW_ALL,
    (
        "retention",
        include_bytes!(concat!(env!("OUT_DIR"), "/retention.wasm")),
    ),
    (
        "labels",
        include_bytes!(concat!(env!("OUT_DIR"), "/labels.wasm")),
    ),
    (
        "change-freeze",
        include_bytes!(concat!(env!("OUT_DIR"), "/change-freeze.wasm")),
    ),
];

/// The policy that comes with the program under this name.
pub fn policy(name: &str) -> Option<&'static [u8]> {
    let found = POLICIES.iter().find(|(known, _)| *known == name);
    found.map(|(_, bytes)| *bytes)
}

static BY_DIGEST: LazyLock<HashMap<Digest, &'static [u8]>> = LazyLock::new(|| {
    let policies = POLICIES.map(|(_, bytes)| bytes);
    let all = policies.into_iter().chain([PLUGIN]);
    all.map(|bytes| (Digest::of(bytes), bytes)).collect()
});

/// The bytes of a built-in component.
pub(super) fn by_digest(digest: Digest) -> Option<&'static [u8]> {
    BY_DIGEST.get(&digest).copied()
}

/// The digest of [`PLUGIN`].
pub(super) static PLUGIN_DIGEST: LazyLock<Digest> = LazyLock::new(|| Digest::of(PLUGIN));
