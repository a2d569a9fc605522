//! What a dispatch has to move and to compute, however it goes about it: what its time is held
//! against.

use crate::layout::{QUAD, planes};
use crate::op::{Buf, Heads, KvPart, Matrix, PAGE, Part};

/// The work of a dispatch. Each byte counts once, however often a kernel comes back to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// The sizes of its operands, in words.
    pub over: String,
    /// Bytes of matrices.
    pub weights: u64,
    /// Bytes of everything else but what is cached.
    pub others: u64,
    /// Multiplications and additions of dot products, but those with what is cached.
    pub operations: u64,
    /// What grows with the position.
    pub attention: Option<Attention>,
}

/// Attention of `rows` queries, the first of them at the position in `step`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attention {
    pub step: Buf,
    rows: u32,
    window: u32,
    /// Bytes of a position's keys and values.
    bytes: u64,
    /// Operations of a query's heads for a position.
    operations: u64,
}

impl Work {
    /// The product of a part of a matrix with some tokens, and how many other floats it reads and
    /// writes.
    pub fn product(w: &Matrix, part: &Part, tokens: u32, floats: u32) -> Work {
        let (rows, cols) = (part.rows, w.cols);
        Work {
            over: if tokens == 1 {
                format!("{rows} × {cols}")
            } else {
                format!("{rows} × {cols} × {tokens}")
            },
            weights: part.planes(cols).bytes(),
            others: 4 * u64::from(floats),
            operations: 2 * u64::from(rows) * u64::from(cols) * u64::from(tokens),
            attention: None,
        }
    }

    /// Rows of a table, which are too few of it to count as weights. Each is in one of the table's
    /// parts: they share alike.
    pub fn lookup(table: &Matrix, part: &Part, tokens: u32) -> Work {
        let quad = planes(part.kind, QUAD, table.cols as usize).bytes();
        let row = quad / QUAD as u64 + 4 * u64::from(table.cols + 1);
        Work {
            over: format!("{tokens} of {} × {}", table.rows, table.cols),
            others: u64::from(tokens) * row / table.parts.len() as u64,
            ..Work::default()
        }
    }

    /// So many floats that are read or written, and hardly computed with.
    pub fn floats(over: String, floats: u32) -> Work {
        Work { over, others: 4 * u64::from(floats), ..Work::default() }
    }

    /// The rotation of queries and keys, and what is appended to the cache.
    pub fn rope(cache: KvPart, heads: Heads, rotary_dim: u32, rows: u32) -> Work {
        let queries = heads.n_heads / heads.n_kv_heads * cache.heads;
        let floats = 2 * queries * rotary_dim + 2 * cache.heads * heads.head_dim + rotary_dim;
        let mut work = Work::floats(of_heads(queries, heads, rows), rows * floats);
        work.others += u64::from(rows) * position_bytes(cache, heads);
        work
    }

    /// Attention to what is cached; its queries and sums are as wide.
    pub fn attention(step: Buf, cache: KvPart, heads: Heads, window: u32, rows: u32) -> Work {
        let queries = heads.n_heads / heads.n_kv_heads * cache.heads;
        let operations = 4 * u64::from(queries * heads.head_dim);
        let attention =
            Attention { step, rows, window, bytes: position_bytes(cache, heads), operations };
        Work {
            attention: Some(attention),
            ..Work::floats(of_heads(queries, heads, rows), 2 * rows * queries * heads.head_dim)
        }
    }
}

impl Attention {
    /// Bytes of the cache and operations, with the first query at a position.
    pub fn at(&self, position: u32) -> (u64, u64) {
        let [position, rows, window] = [position, self.rows, self.window].map(u64::from);
        let positions = (position + rows).min(window + rows - 1);
        let seen: u64 = (0..rows).map(|row| (position + row + 1).min(window)).sum();
        (positions * self.bytes, seen * self.operations)
    }
}

fn position_bytes(cache: KvPart, heads: Heads) -> u64 {
    let words: u32 = cache.kind.words(heads.head_dim).into_iter().sum();
    4 * u64::from(cache.heads) * u64::from(words) / u64::from(PAGE)
}

fn of_heads(queries: u32, heads: Heads, rows: u32) -> String {
    let tokens = if rows == 1 { String::new() } else { format!(" × {rows}") };
    format!("{queries} heads of {}{tokens}", heads.head_dim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attention_sees_what_is_before_it_and_in_its_window() {
        let attention =
            |rows, window| Attention { step: Buf(0), rows, window, bytes: 10, operations: 1 };
        assert_eq!(attention(1, u32::MAX).at(0), (10, 1));
        assert_eq!(attention(1, u32::MAX).at(99), (1000, 100));
        assert_eq!(attention(3, u32::MAX).at(4), (70, 5 + 6 + 7));
        assert_eq!(attention(1, 8).at(99), (80, 8));
        assert_eq!(attention(3, 6).at(4), (70, 5 + 6 + 6));
        assert_eq!(attention(3, 6).at(99), (80, 18));
    }
}
