//! From core module to component.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use wit_component::{ComponentEncoder, DecodedWasm};

/// The namespace of the contract's packages.
const CONTRACT: &str = "atropos:";

/// Wraps the core module at `path`, which carries its world in a custom section.
pub(crate) fn encode(path: &Path) -> Result<Vec<u8>> {
    let module = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .with_context(|| format!("making a component of {}", path.display()))
}

/// The imports of a component that are not of the contract.
pub(crate) fn strangers(component: &[u8]) -> Result<Vec<String>> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
        bail!("not a component");
    };
    let imports = resolve.worlds.get(world).map(|world| &world.imports);
    let names = imports
        .into_iter()
        .flatten()
        .map(|(key, _)| resolve.name_world_key(key));
    Ok(names.filter(|name| !name.starts_with(CONTRACT)).collect())
}
