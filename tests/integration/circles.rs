//! No two modules of a package name each other, at any depth, nor by way of a third.
//!
//! The rule: a module names another where a path in it, in `use` or elsewhere, leads to what that
//! one defines, through whatever re-exports. The two are compared where their ways part: if
//! `gpu::kernels::layer` names `gpu::shaders::module`, then `kernels` names `shaders`. A module and
//! what is inside it are one: a parent may call and re-export its children, and they may use what
//! it defines itself. Tests may name what they like.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::layering::code_of;

/// A path, or a module by its path from the package's root.
type Names = Vec<String>;

/// Which children of a module name which others of them, and by which path, for example.
type Edges = BTreeMap<(String, String), String>;

/// The modules of a package.
#[derive(Default)]
struct Tree {
    /// The code of each; of all its files where hosts have different ones.
    modules: BTreeMap<Names, String>,
    /// What their `use`s bring in, by the name that it has there.
    uses: BTreeMap<Names, BTreeMap<String, Names>>,
}

impl Tree {
    /// All modules from a root's file on.
    fn read(root: &str) -> Tree {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
        let mut tree = Tree::default();
        tree.add(&Names::new(), &file);
        for (module, code) in &tree.modules {
            tree.uses.insert(module.clone(), used(code).into_iter().collect());
        }
        tree
    }

    fn add(&mut self, module: &Names, file: &Path) {
        let code = code_of(&fs::read_to_string(file).unwrap());
        let here = file.parent().unwrap();
        let stem = file.file_stem().unwrap().to_str().unwrap();
        let inside = match stem {
            "mod" | "lib" | "main" => here.to_owned(),
            stem => here.join(stem),
        };
        for statement in code.split(';') {
            let Some((before, name)) = statement.rsplit_once("mod ") else { continue };
            let attributes = before.rsplit(['{', '}']).next().unwrap_or_default();
            if !name.chars().all(is_of_name) || attributes.contains("cfg(test)") {
                continue;
            }
            let others =
                attributes.split("path = \"").skip(1).filter_map(|at| at.split('"').next());
            let mut files: Vec<_> = others.map(|path| here.join(path)).collect();
            files.push(inside.join(format!("{name}.rs")));
            files.push(inside.join(name).join("mod.rs"));
            let child = [&module[..], &[name.to_owned()]].concat();
            files.iter().filter(|file| file.exists()).for_each(|file| self.add(&child, file));
        }
        self.modules.entry(module.clone()).or_default().push_str(&code);
    }

    /// The module that defines what a path in another leads to; `None` for other crates'.
    fn home(&self, module: &Names, path: &[String]) -> Option<Names> {
        let (first, mut rest) = path.split_first()?;
        let mut home = module.clone();
        match first.as_str() {
            "crate" => home.clear(),
            "self" => {}
            "super" => _ = home.pop(),
            child => {
                home.push(child.to_owned());
                self.modules.get(&home)?;
            }
        }
        while let Some((next, after)) = rest.split_first() {
            if next == "super" {
                home.pop();
            } else {
                home.push(next.clone());
            }
            if !self.modules.contains_key(&home) {
                home.pop();
                let elsewhere = self.uses[&home].get(next);
                return elsewhere.and_then(|path| self.home(&home, path)).or(Some(home));
            }
            rest = after;
        }
        Some(home)
    }

    /// Who names whom, by what they are in.
    fn edges(&self) -> BTreeMap<Names, Edges> {
        let mut edges: BTreeMap<Names, Edges> = BTreeMap::new();
        for (module, code) in &self.modules {
            let paths = used(code).into_iter().map(|(_, path)| path).chain(written(code));
            for path in paths {
                let Some(home) = self.home(module, &path) else { continue };
                let common =
                    module.iter().zip(&home).take_while(|(one, other)| one == other).count();
                if let (Some(one), Some(other)) = (module.get(common), home.get(common)) {
                    let example = format!("{} has {}", module.join("::"), path.join("::"));
                    let ends = (one.clone(), other.clone());
                    edges.entry(module[..common].to_vec()).or_default().insert(ends, example);
                }
            }
        }
        edges
    }
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The paths of a file's `use`s, each with the name that it brings in.
fn used(code: &str) -> Vec<(String, Names)> {
    let mut used = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let line = code[..at].rsplit('\n').next().unwrap_or_default().trim();
        let tree = code[at + 4..].split(';').next().unwrap_or_default();
        let is_tree = tree.chars().all(|c| is_of_name(c) || "{}:,* \n".contains(c));
        if is_tree && (line.is_empty() || line == "pub" || line.starts_with("pub(")) {
            expand(&[], tree.trim(), &mut used);
        }
    }
    used
}

/// Takes the braces of a `use` apart.
fn expand(before: &[String], tree: &str, into: &mut Vec<(String, Names)>) {
    let (path, list) = match tree.split_once('{') {
        Some((path, list)) => (path, list.trim_end().strip_suffix('}')),
        None => (tree, None),
    };
    let (path, alias) = path.split_once(" as ").unwrap_or((path, ""));
    let names = path.split("::").map(str::trim).filter(|name| !name.is_empty() && *name != "*");
    let mut path: Names = before.iter().cloned().chain(names.map(str::to_owned)).collect();
    if let Some(list) = list {
        parts(list).for_each(|part| expand(&path, part, into));
        return;
    }
    // `self` in braces is what stands before them.
    path.pop_if(|last| last == "self" && !before.is_empty());
    if let Some(last) = path.last() {
        let name = if alias.is_empty() { last } else { alias.trim() };
        into.push((name.to_owned(), path));
    }
}

/// What commas part, but for those within braces.
fn parts(list: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let parts = list.split(move |c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

/// The paths from the root, or from a parent, that stand in the code itself.
fn written(code: &str) -> Vec<Names> {
    let starts = ["crate::", "super::"].into_iter().flat_map(|start| code.match_indices(start));
    starts
        .filter(|(at, _)| !code[..*at].ends_with(|c| is_of_name(c) || c == ':'))
        .map(|(at, _)| {
            let path = code[at..].split(|c| !is_of_name(c) && c != ':').next().unwrap_or_default();
            path.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect()
        })
        .collect()
}

/// The modules that a module names, and those that these name, and so on.
fn named<'e>(module: &str, edges: &'e Edges) -> BTreeSet<&'e str> {
    let (mut found, mut left) = (BTreeSet::new(), vec![module]);
    while let Some(one) = left.pop() {
        for (from, to) in edges.keys() {
            if from == one && found.insert(&**to) {
                left.push(to);
            }
        }
    }
    found
}

/// The modules that name each other, with this one among them.
fn circle<'e>(module: &str, edges: &'e Edges) -> BTreeSet<&'e str> {
    named(module, edges).into_iter().filter(|other| named(other, edges).contains(module)).collect()
}

#[test]
fn there_is_no_circle_of_modules() {
    for root in ["crate/lib.rs", "crate/main.rs", "core/lib.rs"] {
        let tree = Tree::read(root);
        assert!(tree.modules.len() > 5, "{root}: the modules were not found");
        for (parent, edges) in tree.edges() {
            for (module, _) in edges.keys() {
                let circle = circle(module, &edges);
                let is_on_it = |(from, to): &(String, String)| {
                    circle.contains(&**from) && circle.contains(&**to)
                };
                let paths: Vec<_> =
                    edges.iter().filter(|(ends, _)| is_on_it(ends)).map(|(_, path)| path).collect();
                let parent = parent.join("::");
                assert!(circle.is_empty(), "in {parent} {circle:?} name each other: {paths:#?}");
            }
        }
    }
}

#[test]
fn a_circle_is_found_through_re_exports_and_at_any_depth() {
    let module = |names: &str| names.split("::").map(str::to_owned).collect::<Names>();
    let mut tree = Tree::default();
    for (name, code) in [
        ("a", "pub use inner::{Thing, other as Another};"),
        ("a::inner", "use crate::b::{self, c};\npub struct Thing;"),
        ("b", "pub struct Own;"),
        ("b::c", "use super::Own;\nfn f() { super::super::a::Thing; }"),
    ] {
        tree.modules.insert(module(name), code.to_owned());
        tree.uses.insert(module(name), used(code).into_iter().collect());
    }
    tree.modules.insert(Names::new(), String::new());
    tree.uses.insert(Names::new(), BTreeMap::new());
    assert_eq!(tree.home(&module("b::c"), &module("crate::a::Thing")), Some(module("a::inner")));
    assert_eq!(tree.home(&module("b"), &module("std::fmt")), None);
    let edges = tree.edges();
    assert_eq!(edges.len(), 1, "a parent and its children are one: {edges:?}");
    assert_eq!(circle("a", &edges[&Names::new()]), BTreeSet::from(["a", "b"]));
}
