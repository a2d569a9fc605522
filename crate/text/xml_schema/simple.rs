//! Simple types: what may be said in an element or an attribute, as terminals.
//!
//! A terminal has texts as they are spelt in a document, `&amp;` and all. What a facet asks for is
//! a terminal of its own, and the type both at once.

use super::Place;
use super::lark::Lark;
use super::pattern::literal;

/// What facets mean for a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Its length is that of the text.
    Text,
    /// Its length is half of that of the text.
    Hex,
    /// Decimal numbers.
    Decimal,
    /// Numbers of so many digits that are all kept apart.
    Float(u32),
    /// Spelt in this shape, where a 0 stands for a digit.
    Moment(&'static str),
    /// Its length counts words.
    List,
    /// Patterns and enumerations alone.
    Other,
}

/// How white space around and within a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blanks {
    Preserved,
    Replaced,
    Collapsed,
}

/// A simple type.
#[derive(Clone, Debug)]
pub(super) struct Simple {
    pub family: Family,
    pub blanks: Blanks,
    /// The terminal of the texts that are written where nothing speaks for others.
    pub plain: String,
    /// That of all texts that a pattern or an enumeration may choose from.
    pub any: String,
}

/// A character as it may be spelt in an element.
pub(super) const SPELT: &str = concat!(
    r"(?:[\t\n\x20-\x25\x27-\x3b=\x3f-\x7e\xa0-\x{d7ff}\x{e000}-\x{fffd}\x{10000}-\x{10ffff}]",
    "|&(?:amp|lt|gt|quot|apos);)"
);
impl Simple {
    /// A list of this type's values.
    pub fn list(&self, lark: &mut Lark) -> Simple {
        let mut list_of = |texts: &str| {
            let item = lark.terminal(&format!(r"{texts} & /[^ \t\n]+/"));
            lark.terminal(&format!("({item} (\" \" {item})*)?"))
        };
        let (plain, any) = (list_of(&self.plain), list_of(&self.any));
        Simple { family: Family::List, blanks: Blanks::Collapsed, plain, any }
    }

    /// What is of any of these types.
    pub fn union(members: &[Simple], lark: &mut Lark) -> Simple {
        let either = |texts: Vec<&str>| texts.join(" | ");
        let plain = lark.terminal(&either(members.iter().map(|one| &*one.plain).collect()));
        let any = lark.terminal(&either(members.iter().map(|one| &*one.any).collect()));
        Simple { family: Family::Other, blanks: Blanks::Collapsed, plain, any }
    }

    /// The type that says this, and nothing else.
    pub fn fixed(&self, value: &str, place: &Place, lark: &mut Lark) -> Simple {
        let text = lark.terminal(&format!("/{}/", literal(&self.normalized(value))));
        let any = lark.terminal(&format!("{} & {text}", self.any));
        let what = format!("fixed is {value:?}, which is no value of its type: give one");
        lark.require(&any, place, &what);
        Simple { plain: any.clone(), any, ..*self }
    }

    /// The type in an attribute, where white space is a space and a quote ends it.
    pub fn in_attribute(&self) -> String {
        format!(r"{} & /[^\x22\t\n]*/", self.plain)
    }

    /// A value of the schema as it is compared.
    pub fn normalized(&self, value: &str) -> String {
        match self.blanks {
            Blanks::Preserved => value.to_owned(),
            Blanks::Replaced => value.replace(['\t', '\n', '\r'], " "),
            Blanks::Collapsed => value.split_ascii_whitespace().collect::<Vec<_>>().join(" "),
        }
    }
}
