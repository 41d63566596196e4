//! What a component must be: its world's imports and no more, its world's export and no less.
//!
//! Names count up to the version line: a component of 0.1.7 meets a host of 0.1.0 if it asks for nothing
//! that came later, and the other way round. `wit/CONTRACT.md` says what that takes.
//!
//! **Invariant:** a component that could reach anything outside its world is never instantiated.

use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, ComponentNamedList, Lift, Lower};

use super::GuestError;
use crate::text;

/// The two kinds of guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum World {
    /// Serves deletes.
    DeletionPlugin,
    /// Judges one object.
    PolicyPlugin,
}

impl World {
    const ALL: [Self; 2] = [Self::DeletionPlugin, Self::PolicyPlugin];

    /// As in `wit/`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::DeletionPlugin => "deletion-plugin",
            Self::PolicyPlugin => "policy-plugin",
        }
    }

    /// The one interface that it must export, in any version of the line.
    fn export(self) -> &'static str {
        match self {
            Self::DeletionPlugin => "atropos:deletion/deletion@0.1",
            Self::PolicyPlugin => "atropos:policy/policy@0.1",
        }
    }

    /// What it may import, the same way. The `types` interfaces hold no function.
    fn imports(self) -> &'static [&'static str] {
        match self {
            Self::DeletionPlugin => &[
                "atropos:policy/types@0.1",
                "atropos:deletion/types@0.1",
                "atropos:deletion/auth@0.1",
                "atropos:deletion/storage@0.1",
                "atropos:deletion/gate@0.1",
                "atropos:deletion/erasure@0.1",
            ],
            Self::PolicyPlugin => &["atropos:policy/types@0.1"],
        }
    }
}

/// What a compiled component imports and exports, by name, escaped: an escaped name is of no world.
pub(super) struct Surface {
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
}

impl Surface {
    pub(super) fn of(engine: &Engine, component: &Component) -> Self {
        let ty = component.component_type();
        Self {
            imports: ty
                .imports(engine)
                .map(|(name, _)| text::escape(name).into_owned())
                .collect(),
            exports: ty
                .exports(engine)
                .map(|(name, _)| text::escape(name).into_owned())
                .collect(),
        }
    }

    /// The world whose export it has.
    pub(super) fn world(&self) -> Result<World, GuestError> {
        let world = World::ALL.into_iter().find(|world| self.exports(*world));
        world.ok_or_else(|| GuestError::NoWorld {
            exports: match self.exports.as_slice() {
                [] => "nothing".to_owned(),
                names => names.join(", "),
            },
        })
    }

    /// Refuses what `world` does not allow, naming it.
    pub(super) fn require(&self, world: World) -> Result<(), GuestError> {
        let foreign = |name: &&String| !world.imports().iter().any(|line| is_of(line, name));
        if let Some(import) = self.imports.iter().find(foreign) {
            return Err(GuestError::ForeignImport {
                import: import.clone(),
                world: world.as_str(),
            });
        }
        if !self.exports(world) {
            return Err(GuestError::MissingExport {
                export: world.export(),
                world: world.as_str(),
            });
        }
        Ok(())
    }

    fn exports(&self, world: World) -> bool {
        self.exports.iter().any(|name| is_of(world.export(), name))
    }
}

/// Refuses a component whose function of this name, in what its world exports, takes or gives other types
/// than the contract says. Left to itself, wasmtime would say so when the function is called. What it
/// offers for this is public but not documented.
pub(super) fn typecheck<Params, Return>(
    engine: &Engine,
    component: &Component,
    world: World,
    function: &'static str,
) -> Result<(), GuestError>
where
    Params: ComponentNamedList + Lower,
    Return: ComponentNamedList + Lift,
{
    let missing = GuestError::MissingFunction {
        function,
        export: world.export(),
    };
    let ty = component.component_type();
    let mut exports = ty.exports(engine);
    let Some((_, export)) = exports.find(|(name, _)| is_of(world.export(), name)) else {
        return Err(missing);
    };
    let ComponentItem::ComponentInstance(interface) = export.ty else {
        return Err(missing);
    };
    let found = interface.get_export(engine, function);
    let Some(ComponentItem::ComponentFunc(found)) = found.map(|found| found.ty) else {
        return Err(missing);
    };
    let types = found.typecheck::<Params, Return>(&ty.instance_type());
    types.map_err(|error| GuestError::types(error.context(format!("in `{function}`"))))
}

/// Where a component has the function of this name, in what its world exports, once it has been held
/// against these types.
pub(super) fn function<Params, Return>(
    component: &Component,
    world: World,
    function: &'static str,
) -> Result<ComponentExportIndex, GuestError>
where
    Params: ComponentNamedList + Lower,
    Return: ComponentNamedList + Lift,
{
    let (engine, ty) = (component.engine(), component.component_type());
    typecheck::<Params, Return>(engine, component, world, function)?;
    let mut exports = ty.exports(engine).map(|(name, _)| name);
    let interface = exports.find(|name| is_of(world.export(), name));
    let interface = interface.and_then(|name| component.get_export_index(None, name));
    let found = interface.and_then(|found| component.get_export_index(Some(&found), function));
    found.ok_or(GuestError::MissingFunction {
        function,
        export: world.export(),
    })
}

/// Whether an interface is of this version line: `…@0.1.7` of `…@0.1`. What comes before a release or
/// was built aside is of none.
fn is_of(line: &str, name: &str) -> bool {
    let patch = name
        .strip_prefix(line)
        .and_then(|rest| rest.strip_prefix('.'));
    patch.is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_line_has_releases_and_nothing_else() {
        let of = |name: &str| is_of("atropos:policy/policy@0.1", name);
        for good in ["0.1.0", "0.1.7", "0.1.19"] {
            assert!(of(&format!("atropos:policy/policy@{good}")), "{good}");
        }
        for other in [
            "0.1",
            "0.1.",
            "0.10.0",
            "0.2.0",
            "1.0.1",
            "0.1.1-rc.1",
            "0.1.1+mine",
            "0.1.0.1",
        ] {
            assert!(!of(&format!("atropos:policy/policy@{other}")), "{other}");
        }
        for other in [
            "atropos:policy/types@0.1.0",
            "atropos:policy/policy",
            "policy@0.1.0",
            "",
        ] {
            assert!(!of(other), "{other}");
        }
    }
}
