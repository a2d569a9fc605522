//! Complex types: attributes, and which elements come in which order.

use roxmltree::Node;

use super::lark::Expr;
use super::node::{check_attributes, children, is_true, name_of};
use super::schema::{Schema, Typed};
use super::{Attribute, Content, Place};
use crate::error::Result;

/// The largest number of times that is counted.
const MOST_TIMES: u32 = 10_000;
/// Elements that come in any order.
const MOST_IN_ANY_ORDER: usize = 32;

/// What stands for elements in a type.
const PARTICLES: [&str; 5] = ["sequence", "choice", "all", "group", "any"];

impl<'s> Schema<'s> {
    /// A complex type as it is declared.
    pub fn complex(&mut self, node: Node<'s, 's>) -> Result<Typed> {
        self.inside(node, Schema::read_complex)
    }

    fn read_complex(&mut self, node: Node<'s, 's>) -> Result<Typed> {
        check_attributes(node, &["name", "mixed", "abstract"])?;
        check_not(node, "mixed", "text between elements is not known here: give it an element")?;
        check_not(node, "abstract", "types that stand for others are not known here")?;
        let inner = children(node)?;
        let Some(first) = inner.first() else {
            return Ok(Typed::Complex(Vec::new(), Content::Empty));
        };
        match first.tag_name().name() {
            "simpleContent" | "complexContent" => {
                check_attributes(*first, &["mixed"])?;
                check_not(*first, "mixed", "text between elements is not known here")?;
                let derived = children(*first)?;
                let [derived] = derived[..] else {
                    return Err(
                        Place(*first).refuse("it is neither an extension nor a restriction")
                    );
                };
                self.derived(derived, first.tag_name().name() == "simpleContent")
            }
            _ => {
                let mut attributes = Vec::new();
                let content = self.content(&inner, &mut attributes)?;
                Ok(Typed::Complex(attributes, content))
            }
        }
    }

    /// A type that is made from another.
    fn derived(&mut self, node: Node<'s, 's>, has_text: bool) -> Result<Typed> {
        check_attributes(node, &["base"])?;
        let place = Place(node);
        let is_extension = match node.tag_name().name() {
            "extension" => true,
            "restriction" => false,
            _ => return Err(place.refuse("it is neither an extension nor a restriction")),
        };
        let Some(base) = node.attribute("base") else {
            return Err(place.refuse("it has no base: give one"));
        };
        let is_any = base.trim().ends_with("anyType") && !is_extension && !has_text;
        let base = match is_any && self.global(node, "complexType", base)?.is_none() {
            true => Typed::Complex(Vec::new(), Content::Empty),
            false => self.typed(node, base)?,
        };
        let inner = children(node)?;
        if has_text {
            let (mut attributes, text) = match base {
                Typed::Simple(simple) if is_extension => (Vec::new(), simple),
                Typed::Complex(attributes, Content::Text(simple)) => (attributes, simple),
                _ => return Err(place.refuse("its base has no text: use complexContent")),
            };
            let is_attribute = |node: &&Node| node.tag_name().name().contains("ttribute");
            let (own, facets): (Vec<Node>, Vec<Node>) =
                inner.into_iter().partition(|node| is_attribute(&node));
            let text = match &facets[..] {
                [] => text,
                [first, ..] if is_extension => {
                    return Err(Place(*first).refuse("an extension has no facets"));
                }
                [own, facets @ ..] if own.tag_name().name() == "simpleType" => {
                    let own = self.simple(*own)?;
                    self.narrowed(&own, facets)?
                }
                facets => self.narrowed(&text, facets)?,
            };
            self.attributes(&own, &mut attributes)?;
            return Ok(Typed::Complex(attributes, Content::Text(text)));
        }
        let Typed::Complex(mut attributes, before) = base else {
            return Err(place.refuse("its base has no elements: use simpleContent"));
        };
        let own = self.content(&inner, &mut attributes)?;
        let content = match (is_extension, before, own) {
            (_, Content::Text(_), _) => {
                return Err(place.refuse("its base has no elements: use simpleContent"));
            }
            (true, Content::Children(before), Content::Children(own)) => {
                Content::Children(self.lark.sequence(vec![before, own]))
            }
            (true, before, Content::Empty) => before,
            (_, _, own) => own,
        };
        Ok(Typed::Complex(attributes, content))
    }

    /// Elements, if any, then attributes.
    fn content(
        &mut self,
        inner: &[Node<'s, 's>],
        attributes: &mut Vec<Attribute>,
    ) -> Result<Content> {
        let has_elements =
            inner.first().is_some_and(|first| PARTICLES.contains(&first.tag_name().name()));
        let (elements, rest) = inner.split_at(usize::from(has_elements));
        self.attributes(rest, attributes)?;
        match elements {
            [elements] => Ok(Content::Children(self.particle(*elements)?)),
            _ => Ok(Content::Empty),
        }
    }

    fn attributes(&mut self, nodes: &[Node<'s, 's>], all: &mut Vec<Attribute>) -> Result<()> {
        for &node in nodes {
            match node.tag_name().name() {
                "attribute" => self.attribute(node, all)?,
                "attributeGroup" => {
                    check_attributes(node, &["ref"])?;
                    let name = node.attribute("ref").unwrap_or_default();
                    if let Some(group) = self.global(node, "attributeGroup", name)? {
                        check_attributes(group, &["name"])?;
                        let inner = children(group)?;
                        self.inside(group, |schema, _| schema.attributes(&inner, all))?;
                    }
                }
                "anyAttribute" => {
                    return Err(Place(node).refuse("it allows anything: name the attributes"));
                }
                "assert" => {
                    return Err(Place(node).refuse("a grammar does not compute: leave it out"));
                }
                _ => return Err(Place(node).refuse("it is not known here: leave it out")),
            }
        }
        Ok(())
    }

    fn attribute(&mut self, node: Node<'s, 's>, all: &mut Vec<Attribute>) -> Result<()> {
        check_attributes(node, &["name", "ref", "type", "use", "default", "fixed", "form"])?;
        let declared = match node.attribute("ref") {
            Some(name) => match self.global(node, "attribute", name)? {
                Some(global) => global,
                None => return Ok(()),
            },
            None => node,
        };
        check_attributes(declared, &["name", "type", "use", "default", "fixed", "form"])?;
        let name = self.written(name_of(declared)?, self.is_qualified(declared));
        let is_required = match node.attribute("use").map(str::trim) {
            None | Some("optional") => false,
            Some("required") => true,
            Some("prohibited") => {
                all.retain(|attribute| attribute.name != name);
                return Ok(());
            }
            Some(other) => {
                return Err(Place(node).refuse(&format!(
                    "use is {other:?}: it must be required, optional or prohibited"
                )));
            }
        };
        let inner = children(declared)?;
        let values = match (declared.attribute("type"), &inner[..]) {
            (Some(name), []) => self.simple_named(declared, name)?,
            (None, [inner]) => self.simple(*inner)?,
            (None, []) => self.built_in(declared, "string")?,
            _ => return Err(Place(declared).refuse("it has two types: leave one out")),
        };
        let fixed = node.attribute("fixed").or(declared.attribute("fixed"));
        let values = match fixed {
            Some(fixed) => values.fixed(fixed, &Place(node), self.lark),
            None => values,
        };
        self.lark.require(
            &values.in_attribute(),
            &Place(node),
            "all its values have tabs or line feeds: use an element",
        );
        let attribute = Attribute { name, values, is_required };
        match all.iter_mut().find(|other| other.name == attribute.name) {
            Some(other) => *other = attribute,
            None => all.push(attribute),
        }
        Ok(())
    }

    /// What comes in an element, and how often.
    fn particle(&mut self, node: Node<'s, 's>) -> Result<Expr> {
        let (least, most) = occurs(node)?;
        let one = self.inside(node, Schema::one)?;
        Ok(self.lark.repeat(one, least, most))
    }

    fn one(&mut self, node: Node<'s, 's>) -> Result<Expr> {
        const TIMES: [&str; 2] = ["minOccurs", "maxOccurs"];
        let kind = node.tag_name().name();
        match kind {
            "element" => match node.attribute("ref") {
                Some(name) => {
                    check_attributes(node, &["ref", "minOccurs", "maxOccurs"])?;
                    match self.global(node, "element", name)? {
                        Some(global) => self.element(global, false),
                        None => Err(Place(node).refuse("it is none of this schema: declare it")),
                    }
                }
                None => self.element(node, false),
            },
            "sequence" | "choice" => {
                check_attributes(node, &TIMES)?;
                let parts = children(node)?;
                let parts = parts.into_iter().map(|part| self.particle(part));
                let parts = parts.collect::<Result<Vec<_>>>()?;
                match kind {
                    "choice" if parts.is_empty() => {
                        Err(Place(node).refuse("it has nothing to choose from"))
                    }
                    "choice" => Ok(self.lark.choice(parts)),
                    _ => Ok(self.lark.sequence(parts)),
                }
            }
            "all" => {
                check_attributes(node, &TIMES)?;
                self.in_any_order(node)
            }
            "group" => {
                check_attributes(node, &["ref", "minOccurs", "maxOccurs"])?;
                let name = node.attribute("ref").unwrap_or_default();
                match self.global(node, "group", name)? {
                    Some(group) => self.group(group),
                    None => Err(Place(node).refuse("it is none of this schema: declare it")),
                }
            }
            "any" => Err(Place(node).refuse("it allows anything: name the elements")),
            _ => Err(Place(node).refuse("it is not known here: use a sequence or a choice")),
        }
    }

    fn in_any_order(&mut self, node: Node<'s, 's>) -> Result<Expr> {
        let parent = node.parent_element().map(|parent| parent.tag_name().name().to_owned());
        if matches!(parent.as_deref(), Some("sequence" | "choice")) {
            return Err(Place(node).refuse("it may only be all that is in a type"));
        }
        let inner = children(node)?;
        if inner.len() > MOST_IN_ANY_ORDER {
            return Err(Place(node).refuse(&format!(
                "it has {} elements, and may have {MOST_IN_ANY_ORDER}: use a sequence",
                inner.len()
            )));
        }
        let mut members = Vec::new();
        for member in inner {
            let (least, most) = occurs(member)?;
            if member.tag_name().name() != "element" || most != Some(1) {
                return Err(Place(member).refuse("in xs:all each element comes at most once"));
            }
            members.push((self.inside(member, Schema::one)?, least == 0));
        }
        Ok(self.lark.all(members))
    }

    fn group(&mut self, node: Node<'s, 's>) -> Result<Expr> {
        if let Some(known) = self.groups.get(&node.id()) {
            return Ok(known.clone());
        }
        check_attributes(node, &["name"])?;
        let inner = children(node)?;
        let [inner] = inner[..] else {
            return Err(Place(node).refuse("it is neither a sequence, nor a choice, nor all"));
        };
        let body = self.inside(node, |schema, _| schema.particle(inner))?;
        let rule = self.lark.open_rule();
        self.lark.close_rule(rule, body);
        self.groups.insert(node.id(), Expr::Rule(rule));
        Ok(Expr::Rule(rule))
    }
}

/// How often something comes: at least, and at most where there is an end.
fn occurs(node: Node) -> Result<(u32, Option<u32>)> {
    let number = |name: &str| match node.attribute(name).map(str::trim) {
        None => Ok(1),
        Some(text) => match text.parse() {
            Ok(number) if number <= MOST_TIMES && !text.starts_with('+') => Ok(number),
            _ => Err(Place(node).refuse(&format!(
                "{name} is {text:?}: it must be a whole number, {MOST_TIMES} at the most"
            ))),
        },
    };
    let least = number("minOccurs")?;
    let most = match node.attribute("maxOccurs").map(str::trim) {
        Some("unbounded") => None,
        _ => Some(number("maxOccurs")?),
    };
    match most.is_some_and(|most| most < least) {
        true => Err(Place(node).refuse("maxOccurs is below minOccurs: raise it")),
        false => Ok((least, most)),
    }
}

fn check_not(node: Node, attribute: &str, why: &str) -> Result<()> {
    match is_true(node, attribute)? {
        true => Err(Place(node).refuse(why)),
        false => Ok(()),
    }
}
