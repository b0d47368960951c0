//! The imports of a package, parsed from its sources with `syn`.
//!
//! Code under `#[cfg(test)]` is left out. A path counts as an import of the file that defines the
//! item, since re-exports are followed. Method calls name no file and are not found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree, Visibility};

/// A package of the workspace.
#[derive(Debug, Clone, Copy)]
pub enum Package {
    Rollcall,
    ScimCore,
    OktaClient,
    FilterParser,
    SqliteDeadline,
}

impl Package {
    pub const ALL: [Self; 5] = [
        Self::Rollcall,
        Self::ScimCore,
        Self::OktaClient,
        Self::FilterParser,
        Self::SqliteDeadline,
    ];

    fn folder(self) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        match self {
            Self::Rollcall => root.join("src"),
            Self::ScimCore => root.join("crates/scim-core/src"),
            Self::OktaClient => root.join("crates/okta-client/src"),
            Self::FilterParser => root.join("crates/scim-filter-parser/src"),
            Self::SqliteDeadline => root.join("crates/sqlite-deadline/src"),
        }
    }
}

/// The first segment of a `use` that does not lead to a module of the package.
const EXTERNAL: &str = "::";

/// The segments of a path, without `crate`.
type Segments = Vec<String>;

/// The files of a package by module path. `lib.rs` is the empty path, `main.rs` is `main`.
pub struct Sources {
    files: BTreeMap<Segments, File>,
}

/// A path in one file that leads to another.
pub struct Import {
    pub file: String,
    pub from: Segments,
    /// The path as the file names it, from the root of the package.
    pub path: Segments,
    /// The module of the file that defines the item: re-exports are followed.
    to: Segments,
}

#[derive(Default)]
struct File {
    name: String,
    /// Names that the file imports or re-exports, each with the path that it stands for.
    imported: BTreeMap<String, Segments>,
    /// Modules that are imported with `*`.
    globs: Vec<Segments>,
    /// Every path in the file as written, except those of `use`.
    paths: BTreeSet<Segments>,
    has_code: bool,
}

impl Sources {
    pub fn read(package: Package) -> io::Result<Self> {
        let folder = package.folder();
        let mut files = BTreeMap::new();
        for path in rust_files(&folder)? {
            let module = module_of(&folder, &path);
            // Test modules in files of their own.
            if module
                .iter()
                .any(|segment| matches!(segment.as_str(), "tests" | "testing" | "plans"))
            {
                continue;
            }
            let text = super::read(&path)?;
            let parsed = syn::parse_file(&text).map_err(io::Error::other)?;
            let mut reader = Reader::new(&module);
            reader.visit_file(&parsed);
            let name = path.strip_prefix(&folder).unwrap_or(&path).display();
            reader.file.name = name.to_string();
            let file = reader.file;
            files.insert(module, file);
        }
        let modules: BTreeSet<Segments> = files.keys().cloned().collect();
        for (module, file) in &mut files {
            for path in file.imported.values_mut().chain(&mut file.globs) {
                // A `use` may also begin with the name of a child module.
                let Some((marker, rest)) = path.split_first() else {
                    continue;
                };
                let child = [module.as_slice(), rest.get(..1).unwrap_or_default()].concat();
                if marker == EXTERNAL && modules.contains(&child) {
                    *path = [module.as_slice(), rest].concat();
                }
            }
        }
        Ok(Self { files })
    }

    pub fn top_modules(&self) -> BTreeSet<String> {
        self.files
            .keys()
            .filter_map(|module| module.first().cloned())
            .collect()
    }

    /// Returns every import of another file.
    pub fn imports(&self) -> Vec<Import> {
        let mut imports = Vec::new();
        for (module, file) in &self.files {
            let uses = file.imported.values().chain(&file.globs).cloned();
            let paths = file
                .paths
                .iter()
                .filter_map(|path| self.absolute(module, path));
            for path in uses.chain(paths) {
                if let Some(to) = self.defining_file(&path, 0)
                    && to != *module
                {
                    imports.push(Import {
                        file: file.name.clone(),
                        from: module.clone(),
                        to,
                        path,
                    });
                }
            }
        }
        imports
    }

    /// Returns the first segments of paths that lead out of the package: file, module and crate.
    pub fn external_crates(&self) -> Vec<(String, Segments, String)> {
        let mut found = Vec::new();
        for (module, file) in &self.files {
            let imported = file.imported.values().chain(&file.globs);
            let external = imported.filter(|path| path.first().is_some_and(|it| it == EXTERNAL));
            let named = file.paths.iter().filter(|path| path.len() > 1);
            let first: BTreeSet<&String> = external
                .filter_map(|path| path.get(1))
                .chain(named.filter_map(|path| path.first()))
                .collect();
            found.extend(
                first
                    .into_iter()
                    .map(|name| (file.name.clone(), module.clone(), name.clone())),
            );
        }
        found
    }

    /// Returns the groups of files in which each file imports every other, directly or through
    /// others of the group.
    pub fn cycles(&self) -> Vec<BTreeSet<String>> {
        let mut reachable: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for import in self.module_edges() {
            reachable.entry(import.0).or_default().insert(import.1);
        }
        // Computes the transitive closure; the graph is small.
        loop {
            let mut grown = false;
            let names: Vec<String> = reachable.keys().cloned().collect();
            for name in names {
                let direct = reachable.get(&name).cloned().unwrap_or_default();
                let further: BTreeSet<String> = direct
                    .iter()
                    .filter_map(|next| reachable.get(next))
                    .flatten()
                    .cloned()
                    .collect();
                let all = reachable.entry(name).or_default();
                let before = all.len();
                all.extend(further);
                grown |= all.len() > before;
            }
            if !grown {
                break;
            }
        }
        let reaches =
            |from: &str, to: &str| reachable.get(from).is_some_and(|all| all.contains(to));
        let mut cycles: Vec<BTreeSet<String>> = Vec::new();
        for name in reachable.keys().filter(|name| reaches(name, name)) {
            if cycles.iter().any(|cycle| cycle.contains(name)) {
                continue;
            }
            let cycle = reachable
                .keys()
                .filter(|other| reaches(name, other) && reaches(other, name));
            cycles.push(cycle.cloned().collect());
        }
        cycles
    }

    /// Lists the imports between the files of a cycle, one per line.
    pub fn edges_within(&self, cycle: &BTreeSet<String>) -> Vec<String> {
        let lines: BTreeSet<String> = self
            .imports()
            .into_iter()
            .filter_map(|import| {
                let to = &self.files.get(&import.to)?.name;
                (cycle.contains(&import.file) && cycle.contains(to))
                    .then(|| format!("{} uses {to} by {}", import.file, import.path.join("::")))
            })
            .collect();
        lines.into_iter().collect()
    }

    /// Returns the `mod.rs` files that contain more than declarations and re-exports.
    pub fn mod_files_with_code(&self) -> Vec<String> {
        self.files
            .values()
            .filter(|file| file.has_code && file.name.ends_with("mod.rs"))
            .map(|file| file.name.clone())
            .collect()
    }

    fn module_edges(&self) -> BTreeSet<(String, String)> {
        let name_of = |module: &Segments| self.files.get(module).map(|file| file.name.clone());
        self.imports()
            .into_iter()
            .filter_map(|import| Some((import.file, name_of(&import.to)?)))
            .collect()
    }

    /// Returns the path from the root of the package, or `None` for a path of another crate or of a
    /// local item.
    fn absolute(&self, module: &Segments, path: &Segments) -> Option<Segments> {
        let (first, rest) = path.split_first()?;
        if let Some(known) = root_of(module, path) {
            return Some(known);
        }
        let file = self.files.get(module)?;
        let mut known = match file.imported.get(first) {
            Some(known) => known.clone(),
            None => {
                let mut child = module.clone();
                child.push(first.clone());
                self.files.contains_key(&child).then_some(child)?
            }
        };
        known.extend(rest.iter().cloned());
        Some(known)
    }

    /// Returns the module of the file that defines the item.
    fn defining_file(&self, path: &[String], depth: usize) -> Option<Segments> {
        // A cycle of re-exports does not compile; the limit guards against paths that this reader
        // misparses.
        if depth > 8 {
            return None;
        }
        let (module, rest) = (1..=path.len())
            .rev()
            .map(|length| path.split_at(length))
            .find(|(module, _)| self.files.contains_key(*module))
            .or_else(|| {
                // An item of `lib.rs` itself.
                let root: &[String] = &[];
                self.files.contains_key(root).then_some((root, path))
            })?;
        let file = self.files.get(module)?;
        let Some((name, further)) = rest.split_first() else {
            return Some(module.to_vec());
        };
        if let Some(target) = file.imported.get(name) {
            let mut target = target.clone();
            target.extend(further.iter().cloned());
            return self.defining_file(&target, depth + 1);
        }
        (!module.is_empty()).then(|| module.to_vec())
    }
}

/// Resolves a leading `crate`, `self` or `super`.
fn root_of(module: &Segments, path: &[String]) -> Option<Segments> {
    let mut base = module.clone();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => {
            base.clear();
            rest = path.get(1..)?;
        }
        "self" => rest = path.get(1..)?,
        "super" => {
            while rest.first().is_some_and(|segment| segment == "super") {
                base.pop();
                rest = rest.get(1..)?;
            }
        }
        _ => return None,
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

struct Reader<'a> {
    module: &'a Segments,
    /// Names of the enclosing inline modules.
    inside: Segments,
    file: File,
}

impl<'a> Reader<'a> {
    fn new(module: &'a Segments) -> Self {
        Self {
            module,
            inside: Segments::new(),
            file: File::default(),
        }
    }

    fn add_use(&mut self, tree: &UseTree, mut path: Segments) {
        match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.add_use(&part.tree, path);
            }
            UseTree::Name(last) if last.ident == "self" => {
                let name = path.last().cloned().unwrap_or_default();
                self.add_import(name, path);
            }
            UseTree::Name(last) => {
                let name = last.ident.to_string();
                path.push(name.clone());
                self.add_import(name, path);
            }
            UseTree::Rename(last) => {
                if last.ident != "self" {
                    path.push(last.ident.to_string());
                }
                self.add_import(last.rename.to_string(), path);
            }
            UseTree::Glob(_) => {
                let path = self.resolved(path);
                self.file.globs.push(path);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_use(tree, path.clone());
                }
            }
        }
    }

    fn add_import(&mut self, name: String, path: Segments) {
        let path = self.resolved(path);
        self.file.imported.insert(name, path);
    }

    /// Returns the path from the root if it begins with `crate`, `self` or `super`. Any other path
    /// is marked, so that a crate or a macro is not mistaken for a module of the same name.
    fn resolved(&self, mut path: Segments) -> Segments {
        let mut here = self.module.clone();
        here.extend(self.inside.iter().cloned());
        root_of(&here, &path).unwrap_or_else(|| {
            path.insert(0, EXTERNAL.to_owned());
            path
        })
    }

    fn add_path(&mut self, path: Segments) {
        // Within an inline module, `super` means this file.
        let path = match path.first().map(String::as_str) {
            Some("super" | "self") if !self.inside.is_empty() => {
                let mut root = vec!["crate".to_owned()];
                root.extend(self.resolved(path));
                root
            }
            _ => path,
        };
        self.file.paths.insert(path);
    }

    /// Reads the paths in the arguments of a macro, which `syn` leaves as tokens.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path = Segments::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.end_path(&mut path);
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.end_path(&mut path);
                    colons = 0;
                    self.add_tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.end_path(&mut path);
                    colons = 0;
                }
            }
        }
        self.end_path(&mut path);
    }

    fn end_path(&mut self, path: &mut Segments) {
        let path = std::mem::take(path);
        if !path.is_empty() {
            self.add_path(path);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_test(attributes(item)) {
            return;
        }
        let is_declaration = match item {
            Item::Mod(module) => module.content.is_none(),
            Item::Use(import) => !matches!(import.vis, Visibility::Inherited),
            _ => false,
        };
        self.file.has_code |= !is_declaration;
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if module.content.is_some() {
            self.inside.push(module.ident.to_string());
            visit::visit_item_mod(self, module);
            self.inside.pop();
        }
    }

    fn visit_item_use(&mut self, import: &'ast ItemUse) {
        self.add_use(&import.tree, Segments::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string());
        self.add_path(segments.collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.visit_path(&called.path);
        self.add_tokens(called.tokens.clone());
    }

    // `pub(in crate::store)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"))
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn rust_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}

fn module_of(folder: &Path, file: &Path) -> Segments {
    let relative = file.strip_prefix(folder).unwrap_or(file).with_extension("");
    let mut module: Segments = relative
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
        module.pop();
    }
    module
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(module: &str, source: &str) -> (BTreeMap<String, Segments>, BTreeSet<String>) {
        let module: Segments = module.split("::").map(str::to_owned).collect();
        let mut reader = Reader::new(&module);
        reader.visit_file(&syn::parse_str(source).unwrap());
        let paths = reader.file.paths.iter().map(|path| path.join("::"));
        (reader.file.imported.clone(), paths.collect())
    }

    #[test]
    fn every_form_of_import_is_found() {
        let imported = |source: &str| -> Vec<String> {
            let (imported, _) = paths("store::page", source);
            imported.values().map(|path| path.join("::")).collect()
        };
        assert_eq!(imported("use crate::store::Store;"), ["store::Store"]);
        assert_eq!(
            imported("use crate::{a, b::{self, c}};"),
            ["a", "b", "b::c"]
        );
        assert_eq!(
            imported("use super::conn::Conn as C;"),
            ["store::conn::Conn"]
        );
        assert_eq!(
            imported("use self::order::Order;"),
            ["store::page::order::Order"]
        );
        assert_eq!(imported("mod inner { use super::x; }"), ["store::page::x"]);
        assert_eq!(
            imported("#[cfg(test)] mod tests { use crate::http; }"),
            [""; 0]
        );
        assert_eq!(
            imported("use diesel::prelude::Queryable;"),
            ["::::diesel::prelude::Queryable"]
        );
        let (_, named) = paths(
            "store",
            "fn f(x: crate::auth::Principal) { g!(crate::clock::now(), y); super::h::<a::B>(); }",
        );
        for path in [
            "crate::auth::Principal",
            "crate::clock::now",
            "super::h",
            "a::B",
        ] {
            assert!(named.contains(path), "{path} in {named:?}");
        }
    }
}
