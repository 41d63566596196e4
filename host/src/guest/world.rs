//! What a component must be: its world's imports and no more, its world's export and no less.
//!
//! **Invariant:** a component that could reach anything outside its world is never instantiated.

use wasmtime::Engine;
use wasmtime::component::Component;

use super::GuestError;

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

    /// The one interface that it must export.
    fn export(self) -> &'static str {
        match self {
            Self::DeletionPlugin => "atropos:deletion/deletion@0.1.0",
            Self::PolicyPlugin => "atropos:policy/policy@0.1.0",
        }
    }

    /// What it may import. The `types` interfaces hold no function.
    fn imports(self) -> &'static [&'static str] {
        match self {
            Self::DeletionPlugin => &[
                "atropos:policy/types@0.1.0",
                "atropos:deletion/types@0.1.0",
                "atropos:deletion/auth@0.1.0",
                "atropos:deletion/storage@0.1.0",
                "atropos:deletion/gate@0.1.0",
                "atropos:deletion/erasure@0.1.0",
            ],
            Self::PolicyPlugin => &["atropos:policy/types@0.1.0"],
        }
    }
}

/// What a compiled component imports and exports, by name.
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
                .map(|(name, _)| name.to_owned())
                .collect(),
            exports: ty
                .exports(engine)
                .map(|(name, _)| name.to_owned())
                .collect(),
        }
    }

    /// The world whose export it has.
    pub(super) fn world(&self) -> Result<World, GuestError> {
        let exports = |world: &World| self.exports.iter().any(|name| name == world.export());
        let world = World::ALL.into_iter().find(exports);
        world.ok_or_else(|| GuestError::NoWorld {
            exports: match self.exports.as_slice() {
                [] => "nothing".to_owned(),
                names => names.join(", "),
            },
        })
    }

    /// Refuses what `world` does not allow, naming it.
    pub(super) fn require(&self, world: World) -> Result<(), GuestError> {
        let foreign = |name: &&String| !world.imports().contains(&name.as_str());
        if let Some(import) = self.imports.iter().find(foreign) {
            return Err(GuestError::ForeignImport {
                import: import.clone(),
                world: world.as_str(),
            });
        }
        if !self.exports.iter().any(|name| name == world.export()) {
            return Err(GuestError::MissingExport {
                export: world.export(),
                world: world.as_str(),
            });
        }
        Ok(())
    }
}
