//! The WIT, as text and as parsed.

use std::path::Path;

use wit_parser::{Docs, Handle, PackageId, Resolve, SourceMap, Type, TypeDef, TypeDefKind};

/// The folders of the packages, each after those it uses.
const PACKAGES: [&str; 2] = ["policy", "deletion"];

/// The text of the contract: of each package the path and text of its files.
#[derive(Clone)]
pub(crate) struct Sources([Vec<(String, String)>; 2]);

impl Sources {
    /// Reads the folders of the packages beneath `folder`.
    pub(crate) fn read(folder: &Path) -> Self {
        Self(PACKAGES.map(|package| {
            let entries = std::fs::read_dir(folder.join(package)).expect("a package");
            let paths = entries.map(|entry| entry.expect("an entry").path());
            let files = paths.map(|path| {
                let text = std::fs::read_to_string(&path).expect("text");
                (path.display().to_string(), text)
            });
            files.collect()
        }))
    }

    /// With one passage of a file such as `policy/types` in other words. It must be there, and once.
    pub(crate) fn edited(mut self, file: &str, from: &str, to: &str) -> Self {
        let end = format!("/{file}.wit");
        let mut files = self.0.iter_mut().flatten();
        let file = files.find(|(path, _)| path.ends_with(&end));
        let (path, text) = file.expect(&end);
        assert_eq!(text.matches(from).count(), 1, "`{from}` in {path}");
        *text = text.replace(from, to);
        self
    }

    /// With another version of a package, which whatever uses it follows.
    pub(crate) fn moved(mut self, package: &str, from: &str, to: &str) -> Self {
        for (_, text) in self.0.iter_mut().flatten() {
            for item in ["", "/types"] {
                let name = format!("atropos:{package}{item}@");
                *text = text.replace(&format!("{name}{from}"), &format!("{name}{to}"));
            }
        }
        self
    }

    /// Parses the packages into `resolve`, in the order of the folders.
    pub(crate) fn push(&self, resolve: &mut Resolve) -> [PackageId; 2] {
        self.0.each_ref().map(|files| {
            let mut sources = SourceMap::default();
            for (path, text) in files {
                sources.push_str(path, text);
            }
            let parsed = sources.parse();
            let group =
                parsed.unwrap_or_else(|(sources, error)| panic!("{}", error.render(&sources)));
            let pushed = resolve.push_group(group);
            pushed.unwrap_or_else(|error| panic!("{error}"))
        })
    }
}

/// How a type that has a name is called.
pub(crate) type Name<'a> = &'a dyn Fn(&TypeDef) -> String;

/// Spells a type as WIT does.
pub(crate) fn spell(resolve: &Resolve, ty: Type, name: Name<'_>) -> String {
    let word = match ty {
        Type::Bool => "bool",
        Type::U8 => "u8",
        Type::U16 => "u16",
        Type::U32 => "u32",
        Type::U64 => "u64",
        Type::S8 => "s8",
        Type::S16 => "s16",
        Type::S32 => "s32",
        Type::S64 => "s64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::ErrorContext => "error-context",
        Type::Id(id) => {
            let def = &resolve.types[id];
            return match def.name {
                Some(_) => name(def),
                None => spell_kind(resolve, &def.kind, name),
            };
        }
    };
    word.to_owned()
}

/// Spells what a type is made of; what has members is spelled by its sort alone.
pub(crate) fn spell_kind(resolve: &Resolve, kind: &TypeDefKind, name: Name<'_>) -> String {
    let inner = |ty: &Type| spell(resolve, *ty, name);
    let named = |id| name(&resolve.types[id]);
    match kind {
        TypeDefKind::Type(ty) => inner(ty),
        TypeDefKind::Option(ty) => format!("option<{}>", inner(ty)),
        TypeDefKind::List(ty) => format!("list<{}>", inner(ty)),
        TypeDefKind::Result(result) => match (&result.ok, &result.err) {
            (None, None) => "result".to_owned(),
            (Some(ok), None) => format!("result<{}>", inner(ok)),
            (None, Some(err)) => format!("result<_, {}>", inner(err)),
            (Some(ok), Some(err)) => format!("result<{}, {}>", inner(ok), inner(err)),
        },
        TypeDefKind::Tuple(tuple) => {
            let types: Vec<_> = tuple.types.iter().map(inner).collect();
            format!("tuple<{}>", types.join(", "))
        }
        TypeDefKind::Handle(Handle::Own(id)) => named(*id),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", named(*id)),
        TypeDefKind::Record(_)
        | TypeDefKind::Variant(_)
        | TypeDefKind::Enum(_)
        | TypeDefKind::Flags(_)
        | TypeDefKind::Resource => kind.as_str().to_owned(),
        other => panic!("the contract has no {} so far", other.as_str()),
    }
}

/// A field, case or flag: name, type, if it has one, and documentation.
pub(crate) type Member<'a> = (&'a str, Option<Type>, &'a Docs);

/// The fields, cases or flags of a type, in their order.
pub(crate) fn members(kind: &TypeDefKind) -> Vec<Member<'_>> {
    match kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter();
            let fields = fields.map(|field| (&*field.name, Some(field.ty), &field.docs));
            fields.collect()
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter();
            cases
                .map(|case| (&*case.name, case.ty, &case.docs))
                .collect()
        }
        TypeDefKind::Enum(cases) => {
            let cases = cases.cases.iter();
            cases.map(|case| (&*case.name, None, &case.docs)).collect()
        }
        TypeDefKind::Flags(flags) => {
            let flags = flags.flags.iter();
            flags.map(|flag| (&*flag.name, None, &flag.docs)).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a type is only a name for one of another interface, as `use` makes it.
pub(crate) fn is_used(resolve: &Resolve, def: &TypeDef) -> bool {
    let TypeDefKind::Type(Type::Id(id)) = def.kind else {
        return false;
    };
    resolve.types[id].owner != def.owner
}
