//! The reference of the contract, generated from the WIT.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use wit_parser::{
    Docs, Function, Interface, InterfaceId, PackageId, Resolve, Type, TypeDef, TypeDefKind, TypeId,
    TypeOwner, WorldItem,
};

use super::current;
use super::wit::{is_used, members, spell, spell_kind};
use crate::support::written::assert_written;

const HEAD: &str = "\
# Reference of the contract

Every package, world, interface, function, type and field of [`wit/`](.), generated from it by a test:
`ATROPOS_BLESS=1 cargo test -p atropos-server --test atropos contract` writes it anew. How the contract may
change says [CONTRACT.md](CONTRACT.md).

";

/// Writes one item after the other.
struct Writer<'a> {
    resolve: &'a Resolve,
    text: String,
}

fn reference() -> String {
    let mut resolve = Resolve::new();
    let packages = current().push(&mut resolve);
    let mut writer = Writer {
        resolve: &resolve,
        text: HEAD.to_owned(),
    };
    for package in packages {
        writer.contents(package);
    }
    for package in packages {
        writer.package(package);
    }
    writer.text
}

impl Writer<'_> {
    fn line(&mut self, line: impl AsRef<str>) {
        self.text += line.as_ref();
        self.text.push('\n');
    }

    fn heading(&mut self, level: usize, heading: &str) {
        let hashes = "#".repeat(level);
        let _ = write!(self.text, "\n{hashes} {heading}\n\n");
    }

    fn docs(&mut self, of: &str, docs: &Docs) {
        self.line(documented(of, docs));
    }

    /// Links to all that has a heading of its own, but for functions and types.
    fn contents(&mut self, id: PackageId) {
        let package = &self.resolve.packages[id];
        self.line(format!(
            "- {}",
            link(&format!("Package `{}`", package.name))
        ));
        for world in package.worlds.keys() {
            self.line(format!("  - {}", link(&format!("World `{world}`"))));
        }
        for id in package.interfaces.values() {
            self.line(format!("  - {}", link(&self.title(*id))));
        }
    }

    fn package(&mut self, id: PackageId) {
        let package = &self.resolve.packages[id];
        let heading = format!("Package `{}`", package.name);
        self.heading(2, &heading);
        self.docs(&heading, &package.docs);
        for (name, id) in &package.worlds {
            let world = &self.resolve.worlds[*id];
            let heading = format!("World `{name}`");
            self.heading(3, &heading);
            self.docs(&heading, &world.docs);
            self.text.push('\n');
            for (direction, items) in [("imports", &world.imports), ("exports", &world.exports)] {
                let interfaces = items.values().map(|item| match item {
                    WorldItem::Interface { id, .. } => link(&self.title(*id)),
                    _ => panic!("worlds name interfaces alone so far"),
                });
                let interfaces: Vec<_> = interfaces.collect();
                self.line(format!("- {direction}: {}", interfaces.join(", ")));
            }
        }
        for id in package.interfaces.values() {
            let interface = &self.resolve.interfaces[*id];
            let title = self.title(*id);
            self.heading(3, &title);
            self.docs(&title, &interface.docs);
            self.interface(interface);
        }
    }

    fn interface(&mut self, interface: &Interface) {
        let functions = interface.functions.values();
        for function in functions.filter(|function| function.kind.resource().is_none()) {
            self.function(interface, function);
        }
        for id in interface.types.values() {
            if is_used(self.resolve, &self.resolve.types[*id]) {
                continue;
            }
            self.definition(*id);
            let functions = interface.functions.values();
            for method in functions.filter(|function| function.kind.resource() == Some(*id)) {
                self.function(interface, method);
            }
        }
    }

    fn function(&mut self, interface: &Interface, function: &Function) {
        let plain = |def: &TypeDef| def.name.clone().expect("a name");
        let spelled = |ty| spell(self.resolve, ty, &plain);
        let resource = function.kind.resource();
        // The first parameter of a method is the resource itself, which WIT does not write.
        let params = function.params.iter().skip(usize::from(resource.is_some()));
        let params: Vec<_> = params.collect();
        let types = params.iter().map(|param| param.ty).chain(function.result);
        let named: BTreeSet<_> = types.flat_map(|ty| self.named(ty)).collect();
        let written = params
            .iter()
            .map(|param| format!("{}: {}", param.name, spelled(param.ty)));
        let written: Vec<_> = written.collect();
        let name = function.item_name();
        let result = function.result.map(|ty| format!(" -> {}", spelled(ty)));
        let signature = format!(
            "{name}: func({}){};",
            written.join(", "),
            result.unwrap_or_default()
        );

        let of = interface.name.as_deref().expect("a name");
        let of = match resource {
            Some(id) => format!("{of}.{}", plain(&self.resolve.types[id])),
            None => of.to_owned(),
        };
        let heading = format!("Function `{of}.{name}`");
        self.heading(4, &heading);
        self.docs(&heading, &function.docs);
        self.line(format!("\n```wit\n{signature}\n```"));
        if !named.is_empty() {
            let links: Vec<_> = named.iter().map(|heading| link(heading)).collect();
            self.line(format!("\nTypes: {}", links.join(", ")));
        }
    }

    fn definition(&mut self, id: TypeId) {
        let def = &self.resolve.types[id];
        let heading = self.type_heading(def);
        self.heading(4, &heading);
        self.docs(&heading, &def.docs);
        let member = match &def.kind {
            TypeDefKind::Record(_) => "field",
            TypeDefKind::Flags(_) => "flag",
            TypeDefKind::Resource => return,
            TypeDefKind::Variant(_) | TypeDefKind::Enum(_) => "case",
            kind => {
                let spelled =
                    spell_kind(self.resolve, kind, &|def| def.name.clone().expect("a name"));
                return self.line(format!("\nIt is `{spelled}`."));
            }
        };
        let members = members(&def.kind);
        let typed = members.iter().any(|(_, ty, _)| ty.is_some());
        let columns = if typed { ["| type ", "|---"] } else { ["", ""] };
        self.line(format!(
            "\n| {member} {}| |\n|---{}|---|",
            columns[0], columns[1]
        ));
        for (name, ty, docs) in members {
            let docs = documented(name, docs)
                .replace('\n', " ")
                .replace('|', "\\|");
            let ty = ty.map_or_else(String::new, |ty| self.cell(ty));
            let ty = if typed { format!("| {ty} ") } else { ty };
            self.line(format!("| `{name}` {ty}| {docs} |"));
        }
    }

    /// A type in a table, linked to what it names.
    fn cell(&self, ty: Type) -> String {
        let spelled = spell(self.resolve, ty, &|def| def.name.clone().expect("a name"));
        match &self.named(ty)[..] {
            [] => format!("`{spelled}`"),
            [heading, ..] => format!("[`{spelled}`](#{})", anchor(heading)),
        }
    }

    /// The headings of the types that a type names.
    fn named(&self, ty: Type) -> Vec<String> {
        let headings = std::cell::RefCell::new(Vec::new());
        spell(self.resolve, ty, &|def| {
            headings.borrow_mut().push(self.type_heading(def));
            String::new()
        });
        headings.into_inner()
    }

    /// The heading of a type where it is defined, whoever uses it.
    fn type_heading(&self, def: &TypeDef) -> String {
        if let TypeDefKind::Type(Type::Id(id)) = def.kind {
            return self.type_heading(&self.resolve.types[id]);
        }
        let TypeOwner::Interface(id) = def.owner else {
            panic!("types are of interfaces so far");
        };
        let interface = self.resolve.interfaces[id].name.as_deref().expect("a name");
        let name = def.name.as_deref().expect("a name");
        let sort = match &def.kind {
            TypeDefKind::Record(_) => "Record",
            TypeDefKind::Variant(_) => "Variant",
            TypeDefKind::Enum(_) => "Enum",
            TypeDefKind::Flags(_) => "Flags",
            TypeDefKind::Resource => "Resource",
            _ => "Type",
        };
        format!("{sort} `{interface}.{name}`")
    }

    fn title(&self, id: InterfaceId) -> String {
        let interface = &self.resolve.interfaces[id];
        let package = &self.resolve.packages[interface.package.expect("a package")];
        format!(
            "Interface `{}/{}`",
            package.name.name,
            interface.name.as_deref().expect("a name")
        )
    }
}

fn documented<'a>(of: &str, docs: &'a Docs) -> &'a str {
    let docs = docs.contents.as_deref().unwrap_or_default().trim();
    assert!(!docs.is_empty(), "{of} has no documentation");
    docs
}

/// A link to a heading: what is in its code as text.
fn link(heading: &str) -> String {
    let name = heading.split('`').nth(1).expect("a name");
    format!("[`{name}`](#{})", anchor(heading))
}

/// The anchor that renderers of Markdown give a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c => c.is_alphanumeric().then(|| c.to_ascii_lowercase()),
    });
    kept.collect()
}

#[test]
fn the_reference_is_what_the_wit_says() {
    assert_written("wit/REFERENCE.md", &reference());
}

#[test]
fn every_link_of_the_reference_leads_to_one_heading() {
    let reference = reference();
    let headings = reference.lines().filter(|line| line.starts_with('#'));
    let headings: Vec<_> = headings
        .map(|line| anchor(line.trim_start_matches(['#', ' '])))
        .collect();
    let unique: BTreeSet<_> = headings.iter().collect();
    assert_eq!(unique.len(), headings.len(), "two headings have one anchor");
    let links = reference.split("](#").skip(1);
    let links = links.map(|rest| rest.split(')').next().unwrap_or_default());
    for target in links {
        assert!(headings.iter().any(|heading| heading == target), "{target}");
    }
}
