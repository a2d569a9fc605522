//! What is asked of the elements of a schema, and what is refused of them.

use roxmltree::Node;

use super::{XS, bad, brief};
use crate::error::{Error, Result};

/// What attributes say that means nothing for documents that have no `xsi:type`, nor members of
/// substitution groups.
const OF_NO_MATTER: [&str; 3] = ["id", "block", "final"];

/// A node of the schema, for errors.
#[derive(Clone, Copy)]
pub(super) struct Place<'p>(pub Node<'p, 'p>);

impl Place<'_> {
    /// The element that it is in.
    pub fn parent(&self) -> Option<Place<'_>> {
        self.0.parent_element().map(Place)
    }

    /// The error that says what is refused here.
    pub fn refuse(&self, what: &str) -> Error {
        bad(&format!("{}: {}", self.shown(), brief(what, 200)))
    }

    /// The path to it, as it is told.
    pub fn shown(&self) -> String {
        let mut path = String::new();
        let elements: Vec<_> = self.0.ancestors().filter(Node::is_element).collect();
        for element in elements.into_iter().rev() {
            path.push('/');
            path.push_str(element.tag_name().name());
            let name = ["name", "ref", "base"].iter().find_map(|name| element.attribute(*name));
            if let Some(name) = name {
                path.extend(["[", name, "]"]);
            }
        }
        brief(&path, 100)
    }
}

/// The elements of the schema in one, but for what explains it.
pub(super) fn children<'s>(node: Node<'s, 's>) -> Result<Vec<Node<'s, 's>>> {
    let all = node.children().filter(Node::is_element);
    let all = all.filter(|inner| !inner.has_tag_name((XS, "annotation")));
    let all: Vec<_> = all.collect();
    match all.iter().find(|inner| inner.tag_name().namespace() != Some(XS)) {
        Some(other) => Err(Place(*other).refuse("it is none of XML Schema's: leave it out")),
        None => Ok(all),
    }
}

/// Refuses attributes that are not known.
pub(super) fn check_attributes(node: Node, known: &[&str]) -> Result<()> {
    for attribute in node.attributes() {
        let name = attribute.name();
        let is_ours = attribute.namespace().is_none();
        if is_ours && !known.contains(&name) && !OF_NO_MATTER.contains(&name) {
            return Err(Place(node).refuse(&format!("{name} is not known here: leave it out")));
        }
        if attribute.namespace() == Some("http://www.w3.org/2007/XMLSchema-versioning") {
            return Err(Place(node).refuse("versions of XML Schema are not known here"));
        }
    }
    Ok(())
}

/// The name that is declared.
pub(super) fn name_of<'s>(node: Node<'s, 's>) -> Result<&'s str> {
    let name = node.attribute("name").unwrap_or_default().trim();
    let is_letter = |c: char| c.is_ascii_alphabetic() || c >= '\u{c0}' && c.is_alphabetic();
    let begins = name.starts_with(|c| is_letter(c) || c == '_');
    match begins && name.chars().all(|c| is_letter(c) || c.is_ascii_digit() || "_-.".contains(c)) {
        true => Ok(name),
        false => Err(Place(node).refuse("it has no name that is one: give it one")),
    }
}

pub(super) fn is_true(node: Node, attribute: &str) -> Result<bool> {
    match node.attribute(attribute).map(str::trim) {
        None | Some("false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(other) => {
            Err(Place(node).refuse(&format!("{attribute} is {other:?}: it must be true or false")))
        }
    }
}
