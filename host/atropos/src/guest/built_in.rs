//! The components that come with the crate. Without its feature `guests` there are none.

use std::collections::HashMap;
use std::sync::LazyLock;

#[cfg(feature = "guests")]
use atropos_guests as guests;

use crate::target::Digest;

#[cfg(not(feature = "guests"))]
mod guests {
    pub(super) const POLICIES: [(&str, &[u8]); 0] = [];
}

#[cfg(feature = "guests")]
pub use atropos_guests::ALLOW_ALL;

/// The policies that come with the crate, by name.
pub const POLICIES: &[(&str, &[u8])] = &guests::POLICIES;

/// The policy that comes with the crate under this name.
pub fn policy(name: &str) -> Option<&'static [u8]> {
    let found = POLICIES.iter().find(|(known, _)| *known == name);
    found.map(|(_, bytes)| *bytes)
}

static BY_DIGEST: LazyLock<HashMap<Digest, &'static [u8]>> = LazyLock::new(|| {
    let policies = POLICIES.iter().map(|(_, bytes)| *bytes);
    let all = policies.chain(plugin());
    all.map(|bytes| (Digest::of(bytes), bytes)).collect()
});

/// The bytes of a built-in component.
pub(super) fn by_digest(digest: Digest) -> Option<&'static [u8]> {
    BY_DIGEST.get(&digest).copied()
}

/// The digest of the plugin that serves unless the operator chose another. Without one, that of no bytes:
/// nothing has it, so what is asked to serve is missing.
pub(super) static PLUGIN_DIGEST: LazyLock<Digest> =
    LazyLock::new(|| Digest::of(plugin().unwrap_or_default()));

#[cfg(feature = "guests")]
fn plugin() -> Option<&'static [u8]> {
    Some(guests::PLUGIN)
}

#[cfg(not(feature = "guests"))]
fn plugin() -> Option<&'static [u8]> {
    None
}
