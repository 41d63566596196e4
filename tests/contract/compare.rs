//! What became of a package since it was released, and whether its version may say so.
//!
//! Components stay as they were built, while the host moves on. They have what their world exports and
//! call what it imports, with types that both sides know to the last field. So within a version line
//! the host may offer more, and whatever is there stays as it is.

use std::collections::BTreeMap;

use wit_parser::{
    Function, FunctionKind, InterfaceId, PackageId, PackageName, Resolve, Type, TypeDef,
    TypeDefKind, TypeOwner, World, WorldItem, WorldKey,
};

use super::wit::{is_used, members, spell, spell_kind};

/// All that component and host must agree on in a package. Documentation is none of it.
pub(crate) struct Shape {
    package: PackageName,
    /// Worlds, interfaces, functions and types by path, such as `types.object-facts`.
    items: BTreeMap<String, Item>,
}

/// One difference.
struct Change {
    /// What differs and how.
    what: String,
    /// Whether a component that was built before can no longer be served.
    breaks: bool,
}

struct Item {
    /// `record`, `func`, or what another type is made of.
    sort: String,
    /// Imports and exports, parameters and result, fields or cases, each with its type.
    parts: Vec<(String, String)>,
    /// Whether the host calls it, and components have it.
    called: bool,
}

impl Shape {
    pub(crate) fn of(resolve: &Resolve, package: PackageId) -> Self {
        let reader = Reader { resolve, package };
        let package = &resolve.packages[package];
        let mut items = BTreeMap::new();
        let mut exported = Vec::new();
        for (name, id) in &package.worlds {
            let world = &resolve.worlds[*id];
            exported.extend(world.exports.keys().cloned());
            items.insert(format!("world {name}"), reader.world(world));
        }
        for (name, id) in &package.interfaces {
            let called = exported.contains(&WorldKey::Interface(*id));
            items.insert(name.clone(), Item::new("interface", Vec::new()));
            items.extend(reader.interface(name, *id, called));
        }
        Self {
            package: package.name.clone(),
            items,
        }
    }

    /// What a package may not be after this one: each change that its version does not allow, and the
    /// version that would.
    pub(crate) fn forbids(&self, now: &Self) -> Vec<String> {
        let version = |shape: &Self| shape.package.version.clone().expect("a version");
        let (old, new) = (version(self), version(now));
        let line = PackageName::version_compat_track(&old);
        if new < old {
            return vec![format!("{} comes after {}", now.package, self.package)];
        }
        if PackageName::version_compat_track(&new) != line {
            return Vec::new();
        }
        let changes = self.changes(now).into_iter();
        let forbidden = changes.filter(|change| change.breaks || new == old);
        let forbidden = forbidden.map(|Change { what, breaks }| {
            let remedy = match breaks {
                true => "existing components break, so it needs the next version line",
                false => "it needs the next version of this line",
            };
            format!("{}, {what}: {remedy}", now.package)
        });
        forbidden.collect()
    }

    fn changes(&self, now: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (path, old) in &self.items {
            let difference = match now.items.get(path) {
                None => vec![Change::breaking("is gone".to_owned())],
                Some(new) => old.changes(new),
            };
            changes.extend(difference.into_iter().map(|change| change.of(path)));
        }
        for (path, new) in &now.items {
            if !self.items.contains_key(path) {
                let what = "is new".to_owned();
                let breaks = new.called;
                changes.push(Change { what, breaks }.of(path));
            }
        }
        changes
    }
}

impl Change {
    fn breaking(what: String) -> Self {
        Self { what, breaks: true }
    }

    fn of(self, path: &str) -> Self {
        Self {
            what: format!("{path} {}", self.what),
            ..self
        }
    }
}

impl Item {
    fn new(sort: &str, parts: Vec<(String, String)>) -> Self {
        Self {
            sort: sort.to_owned(),
            parts,
            called: false,
        }
    }

    fn changes(&self, now: &Self) -> Vec<Change> {
        if self.sort != now.sort {
            let what = format!("was {} and is {}", self.sort, now.sort);
            return vec![Change::breaking(what)];
        }
        let mut changes = Vec::new();
        for (name, old) in &self.parts {
            match now.part(name) {
                None => changes.push(Change::breaking(format!("has lost `{name}`"))),
                Some(new) if new != old => {
                    let what = format!("has `{name}` as {new}, which was {old}");
                    changes.push(Change::breaking(what));
                }
                Some(_) => {}
            }
        }
        for (name, _) in &now.parts {
            if self.part(name).is_none() {
                // What a world offers more is nothing to components that do not ask for it.
                let breaks = !name.starts_with(IMPORT);
                let what = format!("has `{name}`, which is new");
                changes.push(Change { what, breaks });
            }
        }
        if changes.is_empty() && self.sort != WORLD && self.parts != now.parts {
            changes.push(Change::breaking("has another order".to_owned()));
        }
        changes
    }

    fn part(&self, name: &str) -> Option<&String> {
        let mut parts = self.parts.iter();
        parts.find_map(|(part, ty)| (part == name).then_some(ty))
    }
}

const WORLD: &str = "world";
const IMPORT: &str = "import ";

/// Reads the items of one package.
#[derive(Clone, Copy)]
struct Reader<'a> {
    resolve: &'a Resolve,
    package: PackageId,
}

impl Reader<'_> {
    fn world(self, world: &World) -> Item {
        let part = |direction: &str, key: &WorldKey, item: &WorldItem| match item {
            WorldItem::Interface { id, .. } => (
                format!("{direction}{}", self.name(*id)),
                "interface".to_owned(),
            ),
            _ => {
                let name = self.resolve.name_world_key(key);
                panic!("worlds name interfaces alone so far, and no {name}")
            }
        };
        let imports = world
            .imports
            .iter()
            .map(|(key, item)| part(IMPORT, key, item));
        let exports = world
            .exports
            .iter()
            .map(|(key, item)| part("export ", key, item));
        Item::new(WORLD, imports.chain(exports).collect())
    }

    fn interface(self, name: &str, id: InterfaceId, called: bool) -> Vec<(String, Item)> {
        let interface = &self.resolve.interfaces[id];
        let functions = interface.functions.values().map(|function| {
            let (_, own) = function
                .name
                .rsplit_once(']')
                .unwrap_or(("", &function.name));
            let item = Item {
                called,
                ..self.function(function)
            };
            (format!("{name}.{own}"), item)
        });
        let types = interface
            .types
            .iter()
            .map(|(own, id)| (own, &self.resolve.types[*id]));
        let types = types.filter(|(_, def)| !is_used(self.resolve, def));
        let types = types.map(|(own, def)| (format!("{name}.{own}"), self.definition(def)));
        functions.chain(types).collect()
    }

    fn function(self, function: &Function) -> Item {
        let params = function.params.iter();
        let params = params.map(|param| (param.name.clone(), self.spell(param.ty)));
        let result = function.result.map(|ty| ("->".to_owned(), self.spell(ty)));
        let sort = match function.kind {
            FunctionKind::Freestanding => "func",
            FunctionKind::Method(_) => "method",
            FunctionKind::Static(_) => "static func",
            FunctionKind::Constructor(_) => "constructor",
            FunctionKind::AsyncFreestanding
            | FunctionKind::AsyncMethod(_)
            | FunctionKind::AsyncStatic(_) => "async func",
        };
        Item::new(sort, params.chain(result).collect())
    }

    fn definition(self, def: &TypeDef) -> Item {
        let parts = members(&def.kind).into_iter().map(|(name, ty, _)| {
            let ty = ty.map_or_else(|| "a name".to_owned(), |ty| self.spell(ty));
            (name.to_owned(), ty)
        });
        let sort = spell_kind(self.resolve, &def.kind, &|def| self.path(def));
        Item::new(&sort, parts.collect())
    }

    fn spell(self, ty: Type) -> String {
        spell(self.resolve, ty, &|def| self.path(def))
    }

    /// Where a type is defined, whoever uses it.
    fn path(self, def: &TypeDef) -> String {
        if let TypeDefKind::Type(Type::Id(id)) = def.kind {
            return self.path(&self.resolve.types[id]);
        }
        let name = def.name.as_deref().expect("a name");
        match def.owner {
            TypeOwner::Interface(id) => format!("{}.{name}", self.name(id)),
            _ => panic!("types are of interfaces so far, and {name} is not"),
        }
    }

    /// An interface; one of another package with the version line, which decides what it holds.
    fn name(self, id: InterfaceId) -> String {
        let interface = &self.resolve.interfaces[id];
        let package = interface.package.expect("a package");
        let name = interface.name.as_deref().expect("a name");
        if package == self.package {
            return name.to_owned();
        }
        let PackageName {
            namespace,
            name: of,
            version,
        } = &self.resolve.packages[package].name;
        let line = PackageName::version_compat_track_string(version.as_ref().expect("a version"));
        format!("{namespace}:{of}@{line}/{name}")
    }
}
