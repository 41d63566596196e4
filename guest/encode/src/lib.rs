//! From core module to component: what the build scripts do with our guests, and `atropos policy` with
//! those of others.

mod trim;

use anyhow::Result;
use wit_component::ComponentEncoder;

use crate::trim::trim;

/// Makes a component of a core module, without what a component of one call does not need.
///
/// # Errors
/// The module does not carry its world, or imports what that does not offer.
pub fn component(module: &[u8]) -> Result<Vec<u8>> {
    let encoder = ComponentEncoder::default().validate(true);
    encoder.module(&trim(module)?)?.encode()
}
