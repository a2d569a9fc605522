//! Whether there is a value of each type, which only who reads the grammar can tell.

use std::fmt::Write;

use super::lark::{Expr, Lark, Required, quoted};

/// Types that are looked at together.
const TOGETHER: usize = 64;
/// What comes before the values of the first of them; the next byte, before those of the second.
const FIRST: u8 = b'!';

/// The grammar of a schema's documents.
pub struct Grammar {
    /// As llguidance reads it.
    pub text: String,
    terminals: String,
    required: Vec<Required>,
}

/// A grammar beside it, which tells whether some types have a value.
pub struct Probe<'g> {
    /// As llguidance reads it.
    pub text: String,
    /// Bytes that its texts begin with, and what is refused where none goes on from one.
    pub begins: Vec<(u8, &'g Required)>,
}

impl Grammar {
    pub(super) fn of(mut lark: Lark, start: &Expr) -> Grammar {
        let (text, terminals) = (lark.write(start), lark.terminals());
        Grammar { text, terminals, required: lark.required() }
    }

    /// What must be asked before the grammar is used: facets may contradict one another, and then
    /// no document would end that begins with an element of such a type.
    pub fn probes(&self) -> impl Iterator<Item = Probe<'_>> {
        self.required.chunks(TOGETHER).map(|all| self.probe(all))
    }

    /// The same, of each type that a probe is of.
    pub fn each<'g>(&'g self, probe: &Probe<'g>) -> impl Iterator<Item = Probe<'g>> {
        probe.begins.iter().map(|(_, one)| self.probe(std::slice::from_ref(*one)))
    }

    fn probe<'g>(&self, required: &'g [Required]) -> Probe<'g> {
        let (mut text, mut values, mut begins) = (String::new(), String::new(), Vec::new());
        for (byte, one) in (FIRST..).zip(required) {
            let way = if begins.is_empty() { "start:" } else { " |" };
            let begin = quoted(&char::from(byte).to_string());
            // What follows a value tells an empty one from none.
            let _ = write!(text, "{way} {begin} V{byte} \".\"");
            let _ = writeln!(values, "V{byte}: {}", one.expression);
            begins.push((byte, one));
        }
        Probe { text: format!("{text}\n{values}{}", self.terminals), begins }
    }
}
