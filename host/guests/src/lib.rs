//! The components that come with the program, compiled from `guest/` by the build script.

/// The deletion plugin that serves unless the operator chose another.
pub const PLUGIN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/standard.wasm"));

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
