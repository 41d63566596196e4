//! From the core module that cargo leaves to a component that its world offers all to.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use atropos_guest_encode::component;
use wit_component::DecodedWasm;

/// What a policy's world brings along: types alone.
const POLICY_TYPES: &str = "atropos:policy/types@";

/// What the plugin's world offers beyond that.
const PLUGIN_PACKAGE: &str = "atropos:deletion/";

/// Wraps the core module at `path`, which carries its world in a custom section.
pub(crate) fn encode(path: &Path) -> Result<Vec<u8>> {
    let module = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    component(&module).with_context(|| format!("making a component of {}", path.display()))
}

/// The imports of a component that its world does not offer. A component that exports something of
/// the deletion package is a plugin, any other a policy.
pub(crate) fn strangers(component: &[u8]) -> Result<Vec<String>> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
        bail!("not a component");
    };
    let world = resolve
        .worlds
        .get(world)
        .context("a component without a world")?;
    let imports = world
        .imports
        .keys()
        .map(|key| resolve.name_world_key(key))
        .collect();
    let exports: Vec<_> = world
        .exports
        .keys()
        .map(|key| resolve.name_world_key(key))
        .collect();
    Ok(outside(imports, &exports))
}

fn outside(mut imports: Vec<String>, exports: &[String]) -> Vec<String> {
    let is_plugin = exports.iter().any(|name| name.starts_with(PLUGIN_PACKAGE));
    imports.retain(|name| {
        !(name.starts_with(POLICY_TYPES) || is_plugin && name.starts_with(PLUGIN_PACKAGE))
    });
    imports
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(imports: &[&str], export: &str) -> Vec<String> {
        let imports = imports.iter().map(|&name| name.to_owned()).collect();
        super::outside(imports, &[export.to_owned()])
    }

    #[test]
    fn a_policy_imports_types_alone() {
        let imports = [
            "atropos:policy/types@0.1.0",
            "atropos:deletion/auth@0.1.0",
            "wasi:clocks/wall-clock@0.2.6",
        ];
        assert_eq!(
            outside(&imports, "atropos:policy/policy@0.1.0"),
            imports[1..]
        );
    }

    #[test]
    fn a_plugin_imports_what_its_world_offers() {
        let imports = [
            "atropos:policy/types@0.1.0",
            "atropos:deletion/auth@0.1.0",
            "wasi:clocks/wall-clock@0.2.6",
        ];
        assert_eq!(
            outside(&imports, "atropos:deletion/deletion@0.1.0"),
            imports[2..]
        );
    }

    #[test]
    fn what_is_not_a_component_is_an_error() {
        assert!(strangers(b"text").is_err());
    }
}
