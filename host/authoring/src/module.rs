//! From core module to component, for compilers that stop half-way.
//!
//! A Rust policy compiled for `wasm32-unknown-unknown` is a core module in which its bindings have
//! left the world it is of. That is all it takes to make the component.

use std::borrow::Cow;

/// How every core module begins; a component has another version in the last four bytes.
const CORE: &[u8] = b"\0asm\x01\0\0\0";

/// It is a core module of which no component can be made.
#[derive(Debug, thiserror::Error)]
#[error("this is a core module, and no component can be made of it")]
pub struct ModuleError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl ModuleError {
    /// The next thing to do.
    pub fn remedy(&self) -> &'static str {
        "build it for wasm32-unknown-unknown with the bindings of the SDK or of wit-bindgen, which write \
         the world into it; then `atropos component new` makes a component of it"
    }
}

/// Makes a component of a core module. What is no core module is left as it is.
///
/// # Errors
/// The module does not carry its world, or imports what that does not offer.
pub fn component_of(bytes: &[u8]) -> Result<Cow<'_, [u8]>, ModuleError> {
    if !bytes.starts_with(CORE) {
        return Ok(Cow::Borrowed(bytes));
    }
    let (world, _) = wit_component::metadata::decode(bytes).map_err(refused)?;
    if world.is_none() {
        return Err(refused("it does not say of which world it is"));
    }
    let component = atropos_guest_encode::component(bytes);
    Ok(Cow::Owned(component.map_err(refused)?))
}

fn refused(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ModuleError {
    ModuleError(error.into())
}
