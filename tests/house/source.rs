//! Rust sources as a compiler reads them: what a file is called, and which others it uses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, UseTree, Visibility};

use crate::support::root;

/// The crates of the host, from the bottom up.
pub(super) const CRATES: [&str; 5] = ["atropos", "stores", "service", "authoring", "server"];

/// One file of a crate, its tests aside.
pub(super) struct Source {
    /// The folder of its crate beneath `host`.
    pub(super) krate: &'static str,
    /// Where it lies beneath the crate's `src`.
    pub(super) file: String,
    /// The path of its module; empty for that of the crate itself.
    pub(super) module: Vec<String>,
    pub(super) text: String,
    /// Paths in it that begin with a keyword, from the crate on, and those that begin with a crate's name.
    pub(super) paths: BTreeSet<Vec<String>>,
    /// What it hands on under a name of its own: name, and path from the crate on.
    pub(super) hands_on: BTreeMap<String, Vec<String>>,
}

/// Every source of the host, test modules aside.
pub(super) fn sources() -> Vec<Source> {
    let of = |krate: &'static str| {
        let folder = root().join("host").join(krate).join("src");
        let mut sources: Vec<_> = files(&folder, is_rust)
            .into_iter()
            .filter(|(file, _)| !is_test(file))
            .map(|(file, text)| Source::read(krate, file, text))
            .collect();
        let modules: BTreeSet<_> = sources.iter().map(|source| source.module.clone()).collect();
        for source in &mut sources {
            source.resolve(&modules);
        }
        sources
    };
    CRATES.into_iter().flat_map(of).collect()
}

pub(super) fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "rs")
}

fn is_test(file: &str) -> bool {
    file.split(['/', '.']).any(|part| part == "tests")
}

/// Every such file beneath `folder`, with its path from there.
pub(super) fn files(folder: &Path, wanted: fn(&Path) -> bool) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if wanted(&path) {
                let name = path.strip_prefix(folder).expect("beneath").display();
                let text = std::fs::read_to_string(&path).expect("text");
                found.insert(name.to_string(), text);
            }
        }
    }
    found
}

impl Source {
    fn read(krate: &'static str, file: String, text: String) -> Self {
        let stem = file.trim_end_matches(".rs").split('/');
        let module = stem.filter(|part| !matches!(*part, "lib" | "main"));
        let module: Vec<_> = module.map(str::to_owned).collect();
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut reader = Reader::default();
        for item in parsed.items.iter().filter(|item| !is_for_tests(item)) {
            reader.visit_item(item);
        }
        Self {
            krate,
            file,
            module,
            text,
            paths: reader.paths,
            hands_on: reader.hands_on,
        }
    }

    /// Where it lies beneath `host`.
    pub(super) fn path(&self) -> String {
        format!("{}/src/{}", self.krate, self.file)
    }

    /// The code without its test module and without comments, as one line of words.
    pub(super) fn code(&self) -> String {
        let parsed = syn::parse_file(&self.text).expect("Rust");
        let items = parsed.items.iter().filter(|item| !is_for_tests(item));
        let tokens = items.map(|item| quote::ToTokens::to_token_stream(item).to_string());
        tokens.collect::<Vec<_>>().join(" ")
    }

    /// Makes paths that begin with `self`, `super` or a child's name begin with the crate.
    fn resolve(&mut self, modules: &BTreeSet<Vec<String>>) {
        let paths = std::mem::take(&mut self.paths).into_iter();
        self.paths = paths
            .filter_map(|path| self.absolute(path, modules))
            .collect();
        let hands_on = std::mem::take(&mut self.hands_on).into_iter();
        let from = |(name, path)| Some((name, self.absolute(path, modules)?));
        self.hands_on = hands_on.filter_map(from).collect();
    }

    fn absolute(&self, path: Vec<String>, modules: &BTreeSet<Vec<String>>) -> Option<Vec<String>> {
        let beneath = |module: &[String], rest: &[String]| [module, rest].concat();
        let path = match path.first()?.as_str() {
            "crate" => path[1..].to_vec(),
            "self" => beneath(&self.module, &path[1..]),
            "super" => {
                let up = path.iter().take_while(|word| *word == "super").count();
                let module = &self.module[..self.module.len().checked_sub(up)?];
                beneath(module, &path[up..])
            }
            child if modules.contains(&beneath(&self.module, &[child.to_owned()])) => {
                beneath(&self.module, &path)
            }
            _ => return Some([vec!["::".to_owned()], path].concat()),
        };
        Some([vec!["crate".to_owned()], path].concat())
    }
}

/// Whether it is compiled for tests or the fuzzer alone.
fn is_for_tests(item: &Item) -> bool {
    let attributes: &[Attribute] = match item {
        Item::Mod(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        _ => &[],
    };
    attributes.iter().any(|attribute| {
        let list = attribute.meta.require_list();
        let on = list.map(|list| list.tokens.to_string()).unwrap_or_default();
        attribute.path().is_ident("cfg") && matches!(&*on, "test" | "fuzzing")
    })
}

/// Gathers the paths of one file.
#[derive(Default)]
struct Reader {
    paths: BTreeSet<Vec<String>>,
    hands_on: BTreeMap<String, Vec<String>>,
    /// How many modules within the file surround what is read.
    within: usize,
}

impl Reader {
    /// Paths of a macro's input, which no parser knows the grammar of.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(word) if colons == 2 => path.push(word.to_string()),
                TokenTree::Ident(word) => {
                    self.keep(std::mem::take(&mut path));
                    path = vec![word.to_string()];
                }
                TokenTree::Punct(sign) if sign.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => {
                    self.keep(std::mem::take(&mut path));
                    self.tokens(group.stream());
                }
                _ => self.keep(std::mem::take(&mut path)),
            }
            colons = 0;
        }
        self.keep(path);
    }

    fn keep(&mut self, mut path: Vec<String>) {
        // What is above a module within the file is the file.
        let up = path.iter().take_while(|word| *word == "super").count();
        if self.within > 0 && up > 0 {
            path.drain(..up.min(self.within));
            if up <= self.within {
                path.insert(0, "self".to_owned());
            }
        }
        if path.len() > 1 {
            self.paths.insert(path);
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.within += 1;
        visit::visit_item_mod(self, item);
        self.within -= 1;
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let mut leaves = Vec::new();
        leaves_of(&item.tree, &mut Vec::new(), &mut leaves);
        for (name, path) in leaves {
            match item.vis {
                Visibility::Inherited => self.keep(path),
                _ => drop(self.hands_on.insert(name, path)),
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string());
        self.keep(words.collect());
        visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {
        // `pub(in crate::…)` uses nothing.
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

/// The leaves of a tree of imports, each with the name it has here.
fn leaves_of(tree: &UseTree, begun: &mut Vec<String>, leaves: &mut Vec<(String, Vec<String>)>) {
    let mut leaf = |last: Option<String>, name: Option<String>| {
        let path: Vec<_> = begun.iter().cloned().chain(last).collect();
        let name = name.or_else(|| path.last().cloned()).unwrap_or_default();
        leaves.push((name, path));
    };
    match tree {
        UseTree::Path(path) => {
            begun.push(path.ident.to_string());
            leaves_of(&path.tree, begun, leaves);
            begun.pop();
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                leaves_of(tree, begun, leaves);
            }
        }
        UseTree::Name(name) if name.ident == "self" => leaf(None, None),
        UseTree::Name(name) => leaf(Some(name.ident.to_string()), None),
        UseTree::Rename(renamed) => {
            let name = renamed.rename.to_string();
            leaf(Some(renamed.ident.to_string()), Some(name));
        }
        UseTree::Glob(_) => leaf(None, None),
    }
}
