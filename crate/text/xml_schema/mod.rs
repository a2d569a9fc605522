//! XML documents of a schema, as a grammar that llguidance reads: what is written by it is valid.
//!
//! An XML Schema is read as far as a grammar can hold it exactly; all else is refused, with its
//! place and what it is. A document that is no schema is a sample: what is written looks alike.
//!
//! There are fewer ways of writing than XML has: attributes come in the schema's order, between
//! double quotes; white space between elements is a line feed and some spaces; numbers have no
//! needless zeros unless a pattern asks for them. Nothing stands before the first element, nor
//! after it.

mod bounds;
mod built_in;
mod content;
mod facets;
mod lark;
mod node;
mod pattern;
mod probe;
mod sample;
mod schema;
mod simple;

use roxmltree::{Document, ParsingOptions};

use super::brief;
use crate::error::{Code, Error, Result};
pub use lark::Required;
use lark::{Expr, Lark, quoted};
use node::Place;
pub use probe::{Grammar, Probe};

/// The namespace of XML Schema.
const XS: &str = "http://www.w3.org/2001/XMLSchema";
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Bytes of a schema.
const LONGEST: usize = 1 << 20;
/// Its elements and texts.
const MOST_NODES: u32 = 100_000;

/// What a name begins with, and what it has, in every edition of XML; a class without brackets.
/// There are letters besides.
const NAME_START: &str = r"A-Za-z_\xc0-\xd6\xd8-\xf6\xf8-\xff";
const NAME: &str = r"A-Za-z0-9_.\-\xb7\xc0-\xd6\xd8-\xf6\xf8-\xff";

/// A grammar of the documents that an XML Schema, or a sample document, has in it.
///
/// # Errors
/// [`Code::BadConstraint`], which names what cannot be enforced, or read, and where it stands.
pub fn grammar(xml_schema: &str) -> Result<Grammar> {
    if xml_schema.len() > LONGEST {
        return Err(bad(&format!("it has {} bytes, and may have {LONGEST}", xml_schema.len())));
    }
    let options =
        ParsingOptions { allow_dtd: false, nodes_limit: MOST_NODES, ..Default::default() };
    let document = Document::parse_with_options(xml_schema, options)
        .map_err(|error| bad(&brief(&format!("it is no XML that is read here: {error}"), 200)))?;
    let root = document.root_element();
    let mut lark = Lark::default();
    let start = match root.tag_name().namespace() == Some(XS) {
        true => schema::start(root, &mut lark)?,
        false => sample::start(root, &mut lark)?,
    };
    lark.check_size()?;
    if !lark.ends() {
        return Err(bad("an element must contain itself, so that no document would ever end"));
    }
    Ok(Grammar::of(lark, &start))
}

fn bad(what: &str) -> Error {
    Error::new(Code::BadConstraint, format!("xml_schema: {what}"))
}

/// An attribute of an element that is written.
#[derive(Clone)]
struct Attribute {
    name: String,
    values: simple::Simple,
    is_required: bool,
}

/// What is between an element's tags.
#[derive(Clone)]
enum Content {
    Empty,
    Text(simple::Simple),
    Children(Expr),
}

/// An element that is written.
struct Element<'e> {
    name: &'e str,
    /// What stands in its tag besides, as it is written.
    declares: &'e str,
    attributes: &'e [Attribute],
    content: &'e Content,
    is_nillable: bool,
}

impl Lark {
    /// The root element is where the document begins; others may stand in a line of their own.
    fn element(&mut self, element: &Element, is_root: bool) -> Expr {
        let Element { name, declares, attributes, content, is_nillable } = *element;
        let is_bare = attributes.is_empty() && !is_nillable;
        let tag = format!("<{name}{declares}{}", if is_bare { ">" } else { "" });
        let open = match is_root {
            true => Expr::Text(tag),
            false => self.on_a_line(&tag),
        };
        let attributes: Vec<Expr> = attributes
            .iter()
            .map(|attribute| {
                let values = self.terminal(&attribute.values.in_attribute());
                let begin = quoted(&format!(" {}=\"", attribute.name));
                let written = self.terminal(&format!("{begin} {values} {}", quoted("\"")));
                let least = u32::from(attribute.is_required);
                self.repeat(Expr::Terminal(written), least, Some(1))
            })
            .collect();
        let attributes = Expr::Sequence(attributes);
        let close = format!("</{name}>");
        let (begin, nothing) = match is_bare {
            true => (Expr::Sequence(Vec::new()), Expr::Text(close.clone())),
            false => (Expr::Text(">".to_owned()), Expr::Text(format!(">{close}"))),
        };
        let inner = match content {
            Content::Empty => nothing.clone(),
            Content::Text(simple) => {
                let text = Expr::Terminal(simple.plain.clone());
                self.sequence(vec![begin, text, Expr::Text(close)])
            }
            Content::Children(children) => {
                let close = self.on_a_line(&close);
                self.sequence(vec![begin, children.clone(), close])
            }
        };
        let usual = self.sequence(vec![attributes.clone(), inner]);
        if !is_nillable {
            return self.sequence(vec![open, usual]);
        }
        let nil = Expr::Text(format!(" xmlns:xsi=\"{XSI}\" xsi:nil=\"true\""));
        let nothing = self.sequence(vec![nil, attributes, nothing]);
        let either = self.choice(vec![usual, nothing]);
        self.sequence(vec![open, either])
    }

    /// A text, or the same in a line of its own.
    fn on_a_line(&mut self, text: &str) -> Expr {
        let text = quoted(text);
        Expr::Terminal(self.terminal(&format!(r"/(?:\n {{0,24}})?/ {text}")))
    }
}

#[cfg(test)]
mod tests;
