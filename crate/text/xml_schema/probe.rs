//! Whether there is a value of each type, which only who reads the grammar can tell.

use super::lark::{Expr, Lark, quoted};
use crate::error::Error;

/// Types that are looked at together.
const TOGETHER: usize = 64;
/// What comes before the values of the first of them; the next byte, before those of the second.
const FIRST: u8 = b'!';

/// The grammar of a schema's documents.
pub struct Grammar {
    /// As llguidance reads it.
    pub text: String,
    terminals: String,
    required: Vec<(String, Error)>,
}

/// A grammar beside it, which tells whether some types have a value.
pub struct Probe<'g> {
    /// As llguidance reads it.
    pub text: String,
    /// Bytes that its texts begin with, and why the schema is refused where none goes on from one.
    pub begins: Vec<(u8, &'g Error)>,
}

impl Grammar {
    pub(super) fn of(mut lark: Lark, start: &Expr) -> Grammar {
        let (text, terminals) = (lark.write(start), lark.terminals());
        Grammar { text, terminals, required: lark.required() }
    }

    /// What must be asked before the grammar is used: facets may contradict one another, and then
    /// no document would end that begins with an element of such a type.
    pub fn probes(&self) -> impl Iterator<Item = Probe<'_>> {
        self.required.chunks(TOGETHER).map(|required| {
            let bytes = FIRST..;
            let ways = bytes.clone().zip(required).map(|(byte, (terminal, _))| {
                // What follows a value tells an empty one from none.
                format!("{} {terminal} \".\"", quoted(&char::from(byte).to_string()))
            });
            let ways: Vec<_> = ways.collect();
            let text = format!("start: {}\n{}", ways.join(" | "), self.terminals);
            let begins = bytes.zip(required.iter().map(|(_, refusal)| refusal)).collect();
            Probe { text, begins }
        })
    }
}
