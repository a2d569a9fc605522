//! The cache as ops see it: keys and values in pages, and where a sequence's are.

use super::{Access, Buf, Operand};
use crate::error::{Code, Result, fail};

/// Positions of a page of the cache.
pub const PAGE: u32 = 64;

/// Words of a *step*: what ops that look into the cache read from a buffer, so that a program knows
/// no sequence. The position of row 0 in its sequence; where pages are sealed, the pages that make
/// up the sequence's first one, and those of the one that row 0 is in,
/// [`KvKind::exact_pages`] each; then a page for each of the sequence's, in their order, as many as
/// the rows need. Of these the one that the rows are in is sealed once it is full.
pub fn step_words(kind: KvKind, pages: u32) -> u32 {
    1 + 2 * kind.exact_pages() + pages
}

/// How a row of fused projections is divided: `n_heads` queries, then `n_kv_heads` keys, then as
/// many values, each `head_dim` wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Heads {
    /// Query heads.
    pub n_heads: u32,
    /// Key and value heads; `n_heads` is a multiple.
    pub n_kv_heads: u32,
    /// Width of a head, a multiple of 4.
    pub head_dim: u32,
}

impl Heads {
    /// Width of a fused row: `(n_heads + 2 * n_kv_heads) * head_dim`.
    pub fn qkv_width(self) -> u32 {
        (self.n_heads + 2 * self.n_kv_heads) * self.head_dim
    }

    /// Width of the queries, and of attention's output.
    pub fn q_width(self) -> u32 {
        self.n_heads * self.head_dim
    }

    /// Width of the keys, and of the values.
    pub fn kv_width(self) -> u32 {
        self.n_kv_heads * self.head_dim
    }
}

/// How cached keys and values are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KvKind {
    /// Half precision, two to a u32.
    F16,
    /// Single precision.
    F32,
    /// Codes of 8 bits, four to a u32, in pages that are sealed.
    Int8,
    /// Codes of 4 bits, eight to a u32, in pages that are sealed.
    Int4,
}

impl KvKind {
    /// Bytes of one element of a page that is not sealed.
    pub fn bytes(self) -> u64 {
        match self {
            KvKind::F32 => 4,
            KvKind::F16 | KvKind::Int8 | KvKind::Int4 => 2,
        }
    }

    /// Bits of a code, where pages are sealed once they are full: all but a sequence's first page,
    /// which attention rests on. A position sees its own page as it was before, and others that
    /// are sealed as codes, however many tokens are read at once.
    pub fn code_bits(self) -> Option<u32> {
        match self {
            KvKind::F16 | KvKind::F32 => None,
            KvKind::Int8 => Some(8),
            KvKind::Int4 => Some(4),
        }
    }

    /// Pages that take the elements of one before they are codes, where pages are sealed: each has
    /// as many of its positions.
    pub fn exact_pages(self) -> u32 {
        match self {
            KvKind::F16 | KvKind::F32 => 0,
            KvKind::Int8 => 2,
            KvKind::Int4 => 4,
        }
    }

    /// Positions of a page that is not sealed.
    pub fn exact_positions(self) -> u32 {
        PAGE / self.exact_pages().max(1)
    }

    /// Parts of a value, each with a scale and a minimum; none without codes.
    pub fn value_groups(self) -> u32 {
        match self {
            KvKind::F16 | KvKind::F32 => 0,
            KvKind::Int8 => 1,
            KvKind::Int4 => 2,
        }
    }

    /// Words of a head's keys in a page, and of its values.
    pub fn words(self, head_dim: u32) -> [u32; 2] {
        match self.code_bits() {
            None => [PAGE * head_dim * self.bytes() as u32 / 4; 2],
            Some(bits) => {
                let codes = PAGE * head_dim * bits / 32;
                [codes + head_dim, codes + PAGE * self.value_groups()]
            }
        }
    }
}

/// The cached keys and values of some KV heads of one layer: the buffers are `[pages, heads,
/// words]`, with the words of [`KvKind::words`]. Which page is whose is data, told by a step (see
/// [`step_words`]).
///
/// A page that is not sealed is `[heads, positions, head_dim]` floats or halves, of as many
/// positions as [`KvKind::exact_positions`]. One that is sealed has
/// for each head first codes, `[PAGE, head_dim]`, of four bits byte j those of elements j (below)
/// and j + head_dim / 2 (above), then words of two halves, a scale (below) and a minimum: of keys
/// one for each element, of values one for each position or, of four bits, for either half of the
/// elements there. An element is `code * scale + minimum`.
///
/// A page lies together, so that it can be copied at once, and in it a head's keys, so that they
/// are read in one go; split by heads where a device cannot bind a whole layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KvPart {
    /// The rotated keys.
    pub keys: Buf,
    /// The values.
    pub values: Buf,
    /// The first KV head held here.
    pub first_head: u32,
    /// How many KV heads are held here.
    pub heads: u32,
    /// Pages that the buffers have room for, of all sequences.
    pub pages: u32,
    /// Element type.
    pub kind: KvKind,
}

impl Heads {
    pub(super) fn check(self) -> Result<()> {
        let Heads { n_heads, n_kv_heads, head_dim } = self;
        if n_kv_heads == 0
            || n_heads == 0
            || !n_heads.is_multiple_of(n_kv_heads)
            || head_dim == 0
            || !head_dim.is_multiple_of(4)
        {
            fail!(Code::Internal, "{n_heads} heads over {n_kv_heads} of {head_dim} elements");
        }
        let width = (u64::from(n_heads) + 2 * u64::from(n_kv_heads)) * u64::from(head_dim);
        if width > u32::MAX.into() {
            fail!(Code::Internal, "a row of {width} elements");
        }
        Ok(())
    }
}

impl KvPart {
    /// Whether these heads are among a model's.
    pub(super) fn check(self, heads: Heads) -> Result<()> {
        heads.check()?;
        if self.heads == 0
            || self.first_head >= heads.n_kv_heads
            || self.heads > heads.n_kv_heads - self.first_head
        {
            fail!(
                Code::Internal,
                "{} KV heads from head {} of {}",
                self.heads,
                self.first_head,
                heads.n_kv_heads
            );
        }
        if self.kind == KvKind::Int4 && !heads.head_dim.is_multiple_of(8) {
            fail!(Code::Internal, "two codes a byte in heads of {}", heads.head_dim);
        }
        Ok(())
    }

    /// Whether so many rows may be in as many pages as they like: with pages that are sealed they
    /// are in one.
    pub(super) fn check_rows(self, rows: u32) -> Result<()> {
        if self.kind.code_bits().is_some() && rows > PAGE {
            fail!(Code::Internal, "{rows} rows in a page of {PAGE}");
        }
        Ok(())
    }

    /// Bytes of a page of the keys, and of the values.
    pub fn page_bytes(self, head_dim: u32) -> [u64; 2] {
        self.kind.words(head_dim).map(|words| 4 * u64::from(words) * u64::from(self.heads))
    }

    pub(super) fn operands(self, heads: Heads, access: Access) -> [Operand; 2] {
        let [keys, values] = self.kind.words(heads.head_dim);
        let half =
            |name, buf, words| Operand::words(name, buf, access, &[self.pages, self.heads, words]);
        [half("cached keys", self.keys, keys), half("cached values", self.values, values)]
    }
}
