//! What each id stands for: its bytes and its kind, in one arena.

use crate::error::{Code, Result, fail};

/// More ids than any vocabulary has; a damaged file must not make us allocate for billions.
const MAX_IDS: usize = 1 << 20;
/// Bytes of a token, more than any has.
const MAX_TOKEN: usize = 1 << 12;

/// What an id is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// No token has this id: the model's head has a row for it all the same.
    Absent,
    /// A piece of text.
    Text,
    /// A control token: it has a spelling, but it is not text.
    Special,
}

/// How the text of a token spells its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Each character stands for one byte: GPT-2's table.
    ByteLevel,
    /// UTF-8 with `▁` for a space, and `<0xNN>` for single bytes: SentencePiece.
    Pieces,
}

/// The table of tokens, by id.
#[derive(Clone)]
pub(super) struct TokenTable {
    kinds: Vec<TokenKind>,
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

/// One token on its way into the table.
pub(super) struct Entry<'a> {
    pub id: u32,
    pub text: &'a str,
    /// Added tokens are written as they are read; the others are spelled.
    pub added: bool,
    pub special: bool,
}

impl TokenTable {
    /// Lays out the tokens by id. The same token may come twice (from the model and as an added
    /// one: the later counts).
    pub fn new<'a>(
        entries: impl IntoIterator<Item = Entry<'a>>,
        spelling: Spelling,
    ) -> Result<TokenTable> {
        let mut slots: Vec<Option<Entry<'a>>> = Vec::new();
        for entry in entries {
            let id = entry.id as usize;
            if id >= MAX_IDS {
                fail!(
                    Code::BadTokenizer,
                    "token {:?} has id {id}, more than any vocabulary holds; the tokenizer's file \
                        is damaged",
                    entry.text
                );
            }
            if entry.text.len() > MAX_TOKEN {
                fail!(
                    Code::BadTokenizer,
                    "token {id} has {} bytes, and {MAX_TOKEN} are the most that we read",
                    entry.text.len()
                );
            }
            if slots.len() <= id {
                slots.resize_with(id + 1, || None);
            }
            if let Some(before) = &slots[id]
                && before.text != entry.text
            {
                fail!(
                    Code::BadTokenizer,
                    "tokens {:?} and {:?} share id {id}; the tokenizer's file is damaged",
                    before.text,
                    entry.text
                );
            }
            slots[id] = Some(entry);
        }
        let mut table = TokenTable {
            kinds: Vec::with_capacity(slots.len()),
            ends: Vec::with_capacity(slots.len()),
            bytes: Vec::new(),
        };
        for slot in slots {
            let kind = match slot {
                None => TokenKind::Absent,
                Some(entry) => {
                    if entry.added {
                        table.bytes.extend_from_slice(entry.text.as_bytes());
                    } else {
                        spell(entry.text, spelling, &mut table.bytes);
                    }
                    if entry.special { TokenKind::Special } else { TokenKind::Text }
                }
            };
            table.kinds.push(kind);
            table.ends.push(table.bytes.len() as u32);
        }
        Ok(table)
    }

    /// One more than the highest id that a token has.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// What `id` is; beyond the table everything is absent.
    pub fn kind(&self, id: u32) -> TokenKind {
        self.kinds.get(id as usize).copied().unwrap_or(TokenKind::Absent)
    }

    /// The bytes that `id` stands for, or `None` when no token has it.
    pub fn bytes(&self, id: u32) -> Option<&[u8]> {
        if self.kind(id) == TokenKind::Absent {
            return None;
        }
        let start = if id == 0 { 0 } else { self.ends[id as usize - 1] };
        Some(&self.bytes[start as usize..self.ends[id as usize] as usize])
    }
}

/// Appends the bytes that a token's text spells.
fn spell(text: &str, spelling: Spelling, out: &mut Vec<u8>) {
    match spelling {
        Spelling::ByteLevel => {
            let start = out.len();
            for c in text.chars() {
                let Some(byte) = byte_of(c) else {
                    // Not in the table, so it was never spelled: a token that somebody added by
                    // hand.
                    out.truncate(start);
                    out.extend_from_slice(text.as_bytes());
                    return;
                };
                out.push(byte);
            }
        }
        Spelling::Pieces => match byte_piece(text) {
            Some(byte) => out.push(byte),
            None => out.extend_from_slice(text.replace('▁', " ").as_bytes()),
        },
    }
}

/// The byte that a piece such as `<0x0A>` stands for.
pub(super) fn byte_piece(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        u8::from_str_radix(digits, 16).ok()
    } else {
        None
    }
}

/// The byte that a character stands for in GPT-2's table: printable Latin-1 is itself, and the
/// other 68 bytes follow from U+0100 on, in order.
pub(super) fn byte_of(c: char) -> Option<u8> {
    Some(match c as u32 {
        b @ (33..=126 | 161..=172 | 174..=255) => b as u8,
        n @ 256..=288 => (n - 256) as u8,
        n @ 289..=322 => (n - 289 + 127) as u8,
        323 => 173,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_character() {
        let mut seen = [0; 256];
        for c in (0..400).filter_map(char::from_u32) {
            if let Some(byte) = byte_of(c) {
                seen[byte as usize] += 1;
            }
        }
        assert_eq!(seen, [1; 256]);
        assert_eq!(
            (byte_of('Ġ'), byte_of('Ċ'), byte_of('ĉ'), byte_of('!'), byte_of(' ')),
            (Some(b' '), Some(b'\n'), Some(b'\t'), Some(b'!'), None)
        );
    }

    #[test]
    fn byte_pieces() {
        assert_eq!(byte_piece("<0x0A>"), Some(10));
        for other in ["<0x0>", "<0x+A>", "<0x0A", "0x0A", "<0x0AB>", ""] {
            assert_eq!(byte_piece(other), None, "{other}");
        }
    }
}
