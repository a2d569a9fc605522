//! An XML Schema, read declaration by declaration.

use std::collections::{HashMap, HashSet};

use roxmltree::{Node, NodeId};

use super::facets::Facet;
use super::lark::{Expr, Lark};
use super::node::{Place, check_attributes, children, is_true, name_of};
use super::simple::Simple;
use super::{Attribute, Content, Element, XS, built_in};
use crate::error::Result;

/// Types made from types, groups within groups, elements of the schema within one another.
const DEEPEST: usize = 64;
/// What lies in the schema's elements, one within another: three or more for each of a document's.
const DEEPEST_NODE: usize = 4 * DEEPEST;
/// The prefix of names that the default namespace does not do for.
const PREFIX: &str = "tns";

/// The documents of a schema.
pub(super) fn start(root: Node, lark: &mut Lark) -> Result<Expr> {
    let mut schema = Schema::new(root, lark)?;
    let roots = schema.roots()?;
    let roots = roots.into_iter().map(|element| schema.element(element, true));
    let roots = roots.collect::<Result<Vec<_>>>()?;
    while let Some((element, is_root, rule)) = schema.open.pop() {
        schema.write_element(element, is_root, rule)?;
        schema.lark.check_size()?;
    }
    Ok(schema.lark.choice(roots))
}

pub(super) struct Schema<'s> {
    root: Node<'s, 's>,
    pub lark: &'s mut Lark,
    target: Option<&'s str>,
    /// Whether elements have a prefix where they are in a namespace, since others are in none.
    is_prefixed: bool,
    /// What is declared at the top, by what it is and its name.
    globals: HashMap<(&'s str, &'s str), Node<'s, 's>>,
    elements: HashMap<(NodeId, bool), usize>,
    /// Elements whose rules are still to be written.
    open: Vec<(Node<'s, 's>, bool, usize)>,
    simple: HashMap<NodeId, Simple>,
    pub groups: HashMap<NodeId, Expr>,
    /// What is being read.
    within: HashSet<NodeId>,
}

/// What an element's or an attribute's type comes to.
pub(super) enum Typed {
    Simple(Simple),
    Complex(Vec<Attribute>, Content),
}

impl<'s> Schema<'s> {
    fn new(root: Node<'s, 's>, lark: &'s mut Lark) -> Result<Schema<'s>> {
        let known = [
            "targetNamespace",
            "elementFormDefault",
            "attributeFormDefault",
            "version",
            "blockDefault",
            "finalDefault",
        ];
        check_attributes(root, &known)?;
        let target = root.attribute("targetNamespace");
        if root.tag_name().name() != "schema" {
            return Err(Place(root).refuse("it is no schema: give one"));
        }
        let is_deep = |node: &Node| node.ancestors().nth(DEEPEST_NODE).is_some();
        if let Some(deep) = root.descendants().filter(Node::is_element).find(is_deep) {
            return Err(Place(deep).refuse(&format!("it is more than {DEEPEST_NODE} deep")));
        }
        let mut globals = HashMap::new();
        for node in children(root)? {
            let kind = node.tag_name().name();
            let place = Place(node);
            if !matches!(
                kind,
                "element" | "attribute" | "simpleType" | "complexType" | "group" | "attributeGroup"
            ) {
                return Err(place.refuse(match kind {
                    "import" | "include" | "redefine" | "override" => {
                        "other files are not read: put what is in it here"
                    }
                    _ => "it is not known here: leave it out",
                }));
            }
            let kind = if kind == "simpleType" { "complexType" } else { kind };
            if globals.insert((kind, name_of(node)?), node).is_some() {
                return Err(place.refuse("it is declared twice: leave one out"));
            }
        }
        let mut schema = Schema {
            root,
            lark,
            target,
            is_prefixed: false,
            globals,
            elements: HashMap::new(),
            open: Vec::new(),
            simple: HashMap::new(),
            groups: HashMap::new(),
            within: HashSet::new(),
        };
        schema.is_prefixed = target.is_some()
            && root.descendants().any(|node| {
                node.has_tag_name((XS, "element"))
                    && node.has_attribute("name")
                    && !schema.is_qualified(node)
            });
        Ok(schema)
    }

    /// Elements that no other refers to, or all.
    fn roots(&self) -> Result<Vec<Node<'s, 's>>> {
        let elements: Vec<_> = children(self.root)?
            .into_iter()
            .filter(|node| node.has_tag_name((XS, "element")))
            .collect();
        if elements.is_empty() {
            return Err(Place(self.root).refuse("it declares no element: declare one"));
        }
        let named: HashSet<&str> = self
            .root
            .descendants()
            .filter(|node| node.has_tag_name((XS, "element")))
            .filter_map(|node| node.attribute("ref"))
            .map(|name| name.rsplit(':').next().unwrap_or(name))
            .collect();
        let is_root = |node: &&Node| node.attribute("name").is_none_or(|n| !named.contains(n));
        let roots: Vec<_> = elements.iter().filter(is_root).copied().collect();
        Ok(if roots.is_empty() { elements } else { roots })
    }

    /// The rule of a declared element.
    pub fn element(&mut self, node: Node<'s, 's>, is_root: bool) -> Result<Expr> {
        if let Some(&rule) = self.elements.get(&(node.id(), is_root)) {
            return Ok(Expr::Rule(rule));
        }
        let rule = self.lark.open_rule();
        self.elements.insert((node.id(), is_root), rule);
        self.open.push((node, is_root, rule));
        Ok(Expr::Rule(rule))
    }

    fn write_element(&mut self, node: Node<'s, 's>, is_root: bool, rule: usize) -> Result<()> {
        let place = Place(node);
        let known =
            ["name", "type", "default", "fixed", "nillable", "form", "minOccurs", "maxOccurs"];
        if is_true(node, "abstract")? || node.has_attribute("substitutionGroup") {
            return Err(place.refuse(
                "elements that stand for one another are not known here: use a choice of them",
            ));
        }
        check_attributes(node, &[&known[..], &["abstract"]].concat())?;
        let name = self.written(name_of(node)?, self.is_qualified(node) && self.is_prefixed);
        let inner = children(node)?;
        let what_else = inner
            .iter()
            .find(|inner| !matches!(inner.tag_name().name(), "simpleType" | "complexType"));
        if let Some(what_else) = what_else {
            return Err(Place(*what_else)
                .refuse("a grammar knows nothing of other places of the document: leave it out"));
        }
        let typed = match (node.attribute("type"), inner.first()) {
            (Some(name), None) => self.typed(node, name)?,
            (None, Some(inner)) if inner.tag_name().name() == "simpleType" => {
                Typed::Simple(self.simple(*inner)?)
            }
            (None, Some(inner)) => self.complex(*inner)?,
            (Some(_), Some(_)) => return Err(place.refuse("it has two types: leave one out")),
            (None, None) => {
                return Err(
                    place.refuse("it has no type, so that anything might be in it: give one")
                );
            }
        };
        let (attributes, mut content) = match typed {
            Typed::Simple(simple) => (Vec::new(), Content::Text(simple)),
            Typed::Complex(attributes, content) => (attributes, content),
        };
        if let Some(fixed) = node.attribute("fixed") {
            content = match content {
                Content::Text(simple) => Content::Text(simple.fixed(fixed, &place, self.lark)),
                _ => return Err(place.refuse("fixed says what a text is, and here is none")),
            };
        }
        let declares = if is_root { self.namespaces() } else { String::new() };
        let written = self.lark.element(
            &Element {
                name: &name,
                declares: &declares,
                attributes: &attributes,
                content: &content,
                is_nillable: is_true(node, "nillable")? && !node.has_attribute("fixed"),
            },
            is_root,
        );
        self.lark.close_rule(rule, written);
        Ok(())
    }

    /// What the root element declares.
    fn namespaces(&self) -> String {
        let Some(target) = self.target else { return String::new() };
        let escaped = target.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        let has_qualified_attributes = self
            .root
            .descendants()
            .any(|node| node.has_tag_name((XS, "attribute")) && self.is_qualified(node));
        let mut all = String::new();
        if !self.is_prefixed {
            all += &format!(" xmlns=\"{escaped}\"");
        }
        if self.is_prefixed || has_qualified_attributes {
            all += &format!(" xmlns:{PREFIX}=\"{escaped}\"");
        }
        all
    }

    /// Whether a declared element or attribute is in the schema's namespace.
    pub fn is_qualified(&self, node: Node) -> bool {
        let default = match node.tag_name().name() {
            "element" => "elementFormDefault",
            _ => "attributeFormDefault",
        };
        node.parent_element() == Some(self.root)
            || node.attribute("form").or(self.root.attribute(default)) == Some("qualified")
    }

    pub fn written(&self, name: &str, has_prefix: bool) -> String {
        match has_prefix && self.target.is_some() {
            true => format!("{PREFIX}:{name}"),
            false => name.to_owned(),
        }
    }

    /// What is declared at the top under a name that stands in `node`; nothing where the name is
    /// one of XML Schema's own.
    pub fn global(
        &self,
        node: Node<'s, 's>,
        kind: &'static str,
        name: &'s str,
    ) -> Result<Option<Node<'s, 's>>> {
        let (prefix, local) = match name.trim().split_once(':') {
            Some((prefix, local)) => (Some(prefix), local),
            None => (None, name.trim()),
        };
        let namespace = node.lookup_namespace_uri(prefix);
        if namespace == Some(XS) && kind == "complexType" {
            return Ok(None);
        }
        let is_ours = namespace == self.target && (prefix.is_none() || namespace.is_some());
        match self.globals.get(&(kind, local)).filter(|_| is_ours) {
            Some(global) => Ok(Some(*global)),
            None => Err(Place(node).refuse(&format!("{name:?} is not declared here: declare it"))),
        }
    }

    /// The type of this name.
    pub fn typed(&mut self, node: Node<'s, 's>, name: &'s str) -> Result<Typed> {
        match self.global(node, "complexType", name)? {
            Some(own) if own.tag_name().name() == "complexType" => self.complex(own),
            Some(own) => Ok(Typed::Simple(self.simple(own)?)),
            None => {
                let local = name.trim().rsplit(':').next().unwrap_or(name);
                self.built_in(node, local).map(Typed::Simple)
            }
        }
    }

    /// A type that XML Schema has.
    pub fn built_in(&mut self, node: Node, name: &str) -> Result<Simple> {
        built_in::built_in(name, self.lark)
            .map_err(|why| Place(node).refuse(&format!("xs:{name}: {why}")))
    }

    /// The simple type of this name.
    pub fn simple_named(&mut self, node: Node<'s, 's>, name: &'s str) -> Result<Simple> {
        match self.typed(node, name)? {
            Typed::Simple(simple) => Ok(simple),
            Typed::Complex(..) => {
                Err(Place(node).refuse(&format!("{name:?} is no simple type: give one")))
            }
        }
    }

    /// A simple type as it is declared.
    pub fn simple(&mut self, node: Node<'s, 's>) -> Result<Simple> {
        if let Some(known) = self.simple.get(&node.id()) {
            return Ok(known.clone());
        }
        let simple = self.inside(node, Schema::read_simple)?;
        self.simple.insert(node.id(), simple.clone());
        self.lark.check_size()?;
        Ok(simple)
    }

    fn read_simple(&mut self, node: Node<'s, 's>) -> Result<Simple> {
        check_attributes(node, &["name"])?;
        let inner = children(node)?;
        let [made] = inner[..] else {
            return Err(Place(node).refuse("it is neither a restriction, nor a list, nor a union"));
        };
        let inner = children(made)?;
        match made.tag_name().name() {
            "restriction" => {
                check_attributes(made, &["base"])?;
                self.restriction(made, &inner)
            }
            "list" => {
                check_attributes(made, &["itemType"])?;
                let item = match (made.attribute("itemType"), &inner[..]) {
                    (Some(name), []) => self.simple_named(made, name)?,
                    (None, [item]) => self.simple(*item)?,
                    _ => return Err(Place(made).refuse("it has not one type: give one")),
                };
                Ok(item.list(self.lark))
            }
            "union" => {
                check_attributes(made, &["memberTypes"])?;
                let names = made.attribute("memberTypes").unwrap_or_default().split_whitespace();
                let mut members = Vec::new();
                for name in names {
                    members.push(self.simple_named(made, name)?);
                }
                for member in inner {
                    members.push(self.simple(member)?);
                }
                match members.is_empty() {
                    true => Err(Place(made).refuse("it has no types: give some")),
                    false => Ok(Simple::union(&members, self.lark)),
                }
            }
            _ => Err(Place(made).refuse("it is not known here: use a restriction")),
        }
    }

    /// A simple type narrowed by facets, of which `inner` begins with the type where it is not
    /// named.
    pub fn restriction(&mut self, node: Node<'s, 's>, inner: &[Node<'s, 's>]) -> Result<Simple> {
        let own = inner.first().filter(|first| first.has_tag_name((XS, "simpleType")));
        let base = match (own, node.attribute("base")) {
            (Some(own), _) => self.simple(*own)?,
            (None, Some(name)) => self.simple_named(node, name)?,
            (None, None) => return Err(Place(node).refuse("it has no base: give one")),
        };
        self.narrowed(&base, &inner[usize::from(own.is_some())..])
    }

    pub fn narrowed(&mut self, base: &Simple, facets: &[Node<'s, 's>]) -> Result<Simple> {
        let facets = facets
            .iter()
            .map(|&facet| {
                check_attributes(facet, &["value", "fixed"])?;
                match facet.attribute("value") {
                    Some(value) => {
                        Ok(Facet { name: facet.tag_name().name(), value, place: Place(facet) })
                    }
                    None => Err(Place(facet).refuse("it has no value, or is no facet")),
                }
            })
            .collect::<Result<Vec<_>>>()?;
        base.restricted(&facets, self.lark)
    }

    /// Reads what is not being read already, nor too deep in what is.
    pub fn inside<T>(
        &mut self,
        node: Node<'s, 's>,
        read: impl FnOnce(&mut Self, Node<'s, 's>) -> Result<T>,
    ) -> Result<T> {
        if self.within.len() == DEEPEST {
            return Err(Place(node).refuse(&format!("it is more than {DEEPEST} deep")));
        }
        if !self.within.insert(node.id()) {
            return Err(Place(node).refuse("it is made of itself"));
        }
        let read = read(self, node);
        self.within.remove(&node.id());
        read
    }
}
