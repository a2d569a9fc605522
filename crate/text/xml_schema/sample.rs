//! Documents that look like a sample: the same elements in the same order. What is repeated in it
//! may come more often, what one of several alike lacks may be lacking, and what reads as a number,
//! a date or a truth value everywhere is one.

use roxmltree::Node;

use super::built_in::built_in;
use super::lark::{Expr, Lark};
use super::simple::Simple;
use super::{Attribute, Content, Element, Place};
use crate::error::Result;

/// Elements within one another.
const DEEPEST: usize = 64;

/// The documents that look like this one.
pub(super) fn start(root: Node, lark: &mut Lark) -> Result<Expr> {
    let namespace = root.tag_name().namespace();
    for node in root.descendants().filter(Node::is_element) {
        let has_other = node.tag_name().namespace() != namespace
            || node.attributes().any(|attribute| attribute.namespace().is_some());
        if has_other {
            return Err(Place(node).refuse("a sample is all in one namespace: give a schema"));
        }
    }
    let declares = namespace.map(|namespace| {
        let escaped = namespace.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        format!(" xmlns=\"{escaped}\"")
    });
    element(&[root], &declares.unwrap_or_default(), lark, 0)
}

/// An element that looks like all of these.
fn element(alike: &[Node], declares: &str, lark: &mut Lark, depth: usize) -> Result<Expr> {
    if depth == DEEPEST {
        return Err(Place(alike[0]).refuse(&format!("it is more than {DEEPEST} deep")));
    }
    let attributes = attributes(alike, lark);
    let names = names(alike)?;
    let content = if names.is_empty() {
        let texts: Vec<&str> = alike.iter().map(|node| node.text().unwrap_or_default()).collect();
        Content::Text(guessed(&texts, lark))
    } else {
        let mut parts = Vec::new();
        for name in names {
            let children: Vec<Vec<Node>> = alike.iter().map(|node| named(*node, name)).collect();
            let least = children.iter().map(Vec::len).min().unwrap_or(0).min(1);
            let is_one = children.iter().all(|children| children.len() <= 1);
            let part = element(&children.concat(), "", lark, depth + 1)?;
            parts.push(lark.repeat(part, least as u32, is_one.then_some(1)));
        }
        let children = lark.sequence(parts);
        Content::Children(children)
    };
    lark.check_size()?;
    let written = lark.element(
        &Element {
            name: alike[0].tag_name().name(),
            declares,
            attributes: &attributes,
            content: &content,
            is_nillable: false,
        },
        depth == 0,
    );
    let rule = lark.open_rule();
    lark.close_rule(rule, written);
    Ok(Expr::Rule(rule))
}

fn attributes(alike: &[Node], lark: &mut Lark) -> Vec<Attribute> {
    let mut names: Vec<&str> = Vec::new();
    for attribute in alike.iter().flat_map(|node| node.attributes()) {
        if !names.contains(&attribute.name()) {
            names.push(attribute.name());
        }
    }
    let attribute = |name: &str| {
        let texts: Vec<&str> = alike.iter().filter_map(|node| node.attribute(name)).collect();
        let is_required = texts.len() == alike.len();
        Attribute { name: name.to_owned(), values: guessed(&texts, lark), is_required }
    };
    names.into_iter().map(attribute).collect()
}

fn named<'d>(node: Node<'d, 'd>, name: &str) -> Vec<Node<'d, 'd>> {
    let is_named = |child: &Node| child.is_element() && child.tag_name().name() == name;
    node.children().filter(is_named).collect()
}

/// The names of the children of all, in an order that is that of each.
fn names<'d>(alike: &[Node<'d, 'd>]) -> Result<Vec<&'d str>> {
    let mut all: Vec<&str> = Vec::new();
    for node in alike {
        let mut at = 0;
        let mut before = None;
        for child in node.children().filter(Node::is_element) {
            let name = child.tag_name().name();
            if before == Some(name) {
                continue;
            }
            before = Some(name);
            match all.iter().position(|known| *known == name) {
                Some(place) if place >= at => at = place + 1,
                Some(_) => {
                    return Err(Place(child).refuse(
                        "it comes in several places of the sample: give a schema, which says what \
                            may come where",
                    ));
                }
                None => {
                    all.insert(at, name);
                    at += 1;
                }
            }
        }
    }
    let has_text = |node: &&Node| {
        node.children().any(|child| {
            child.is_text() && child.text().is_some_and(|text| !text.trim().is_empty())
        })
    };
    match alike.iter().find(has_text).filter(|_| !all.is_empty()) {
        Some(mixed) => Err(Place(*mixed)
            .refuse("text between elements is not known here: give it an element of its own")),
        None => Ok(all),
    }
}

/// The narrowest type of all these texts.
fn guessed(texts: &[&str], lark: &mut Lark) -> Simple {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = |text: &'_ str| text.strip_prefix('-').map(str::to_owned);
    let is_whole = |text: &str| {
        let text = unsigned(text).unwrap_or_else(|| text.to_owned());
        is_digits(&text) && (text == "0" || !text.starts_with('0')) && text.len() < 18
    };
    let is_decimal = |text: &str| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        is_whole(whole) && is_digits(fraction)
    };
    let is_date = |text: &str| {
        let shape = |c: char| if c.is_ascii_digit() { '0' } else { c };
        text.chars().map(shape).eq("0000-00-00".chars())
    };
    let all = |is: &dyn Fn(&str) -> bool| !texts.is_empty() && texts.iter().all(|text| is(text));
    let name = match () {
        () if all(&|text| matches!(text, "true" | "false")) => "boolean",
        () if all(&is_whole) => "integer",
        () if all(&is_decimal) => "decimal",
        () if all(&is_date) => "date",
        () => "string",
    };
    match built_in(name, lark) {
        Ok(simple) => simple,
        Err(_) => unreachable!("these are all there"),
    }
}
