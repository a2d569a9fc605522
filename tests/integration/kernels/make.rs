//! What a case's memory begins with.

use std::sync::Arc;

use half::f16;
use phi_wasm::layout::panel::{Block, Group, Panel};
use phi_wasm::layout::{BLOCK, GROUP, Kind};
use phi_wasm::op::{Buf, Heads, KvKind, KvPart, Matrix, Op, PAGE, Part, step_words};

use super::cases::Case;
use super::host::Host;

/// Makes a case's memory.
pub struct Make {
    noise: Noise,
    memory: Vec<Host>,
}

/// Pages of a cache in which a sequence with room for `ctx_len` has every other one.
fn pages(ctx_len: u32) -> u32 {
    2 * ctx_len.div_ceil(PAGE) + 1
}

/// The page that holds a sequence's positions from `at * PAGE` on: later ones lie before.
fn page(at: u32, ctx_len: u32) -> u32 {
    pages(ctx_len) - 2 - 2 * at
}

/// A step at a position; pages that the sequence does not have are another's.
pub fn step(pos: u32, ctx_len: u32) -> Host {
    let mut words = vec![0; step_words(pages(ctx_len)) as usize];
    words[0] = pos;
    for at in 0..ctx_len.div_ceil(PAGE) {
        words[1 + at as usize] = page(at, ctx_len);
    }
    Host::U32(words)
}

impl Make {
    pub fn new() -> Make {
        Make { noise: Noise(1), memory: Vec::new() }
    }

    pub fn case(self, name: String, ops: Vec<Op>) -> Case {
        Case { name, memory: self.memory, ops, then: None, chained: None, passing: Vec::new() }
    }

    pub fn push(&mut self, host: Host) -> Buf {
        self.memory.push(host);
        Buf(self.memory.len() as u32 - 1)
    }

    pub fn floats(&mut self, n: u32) -> Buf {
        let values = (0..n).map(|_| self.noise.float()).collect();
        self.push(Host::F32(values))
    }

    /// Noise to be overwritten, and some more that must stay.
    pub fn output(&mut self, n: u32) -> Buf {
        self.floats(n + 7)
    }

    /// Cosines and sines, scaled as LongRoPE does. A buffer cannot be empty.
    pub fn angles(&mut self, n: u32) -> Buf {
        let values = (0..n.max(1)).map(|_| (self.noise.float() * 3.0).cos() * 1.19).collect();
        self.push(Host::F32(values))
    }

    /// A step of a sequence with room for `ctx_len`, at a position.
    pub fn step(&mut self, pos: u32, ctx_len: u32) -> Buf {
        self.push(step(pos, ctx_len))
    }

    /// The cache in `parts` parts: noise in the first `filled` positions of a sequence that has
    /// room for `ctx_len`, and large numbers that nobody may see in the others, and in others'
    /// pages.
    pub fn caches(
        &mut self,
        kind: KvKind,
        heads: Heads,
        ctx_len: u32,
        filled: u32,
        parts: u32,
    ) -> Vec<KvPart> {
        let each = heads.n_kv_heads.div_ceil(parts);
        let part = |first_head: u32| {
            let count = each.min(heads.n_kv_heads - first_head);
            let pages = pages(ctx_len);
            let mut cache = || self.cache(kind, heads, ctx_len, filled, count);
            KvPart { keys: cache(), values: cache(), first_head, heads: count, pages, kind }
        };
        (0..heads.n_kv_heads).step_by(each as usize).map(part).collect()
    }

    fn cache(&mut self, kind: KvKind, heads: Heads, ctx_len: u32, filled: u32, count: u32) -> Buf {
        let is_seen = |place: u32, in_page: u32| {
            (0..filled.div_ceil(PAGE))
                .find(|&at| page(at, ctx_len) == place)
                .is_some_and(|at| at * PAGE + in_page < filled)
        };
        let element = |i: u32| {
            let position = i / heads.head_dim;
            let is_seen = is_seen(position / PAGE / count, position % PAGE);
            if is_seen { self.noise.float() } else { 100.0 }
        };
        let elements = pages(ctx_len) * count * PAGE * heads.head_dim;
        let values: Vec<f32> = (0..elements).map(element).collect();
        self.push(match kind {
            KvKind::F32 => Host::F32(values),
            KvKind::F16 => Host::F16(values.into_iter().map(f16::from_f32).collect()),
        })
    }

    /// Random weights of about the size that keeps a product's scale, packed part by part.
    pub fn matrix(&mut self, kind: Kind, rows: u32, cols: u32, parts: u32) -> Arc<Matrix> {
        self.banded(&[(kind, rows, parts)], cols)
    }

    /// The same, of bands: kinds, with how many rows are held so, in how many parts.
    pub fn banded(&mut self, bands: &[(Kind, u32, u32)], cols: u32) -> Arc<Matrix> {
        let mut matrix = Matrix { rows: 0, cols, parts: Vec::new() };
        for &(kind, rows, parts) in bands {
            let (each, end) = (rows.div_ceil(parts).next_multiple_of(4), matrix.rows + rows);
            while matrix.rows < end {
                let (first_row, rows) = (matrix.rows, each.min(end - matrix.rows));
                let panel = self.noise.panel(kind, rows as usize, cols as usize);
                let codes = self.push(Host::Bytes(panel.codes));
                let scales = kind.has_scales().then(|| self.push(Host::Bytes(panel.scales)));
                let mins = kind.has_mins().then(|| self.push(Host::Bytes(panel.mins)));
                matrix.parts.push(Part { kind, first_row, rows, codes, scales, mins });
                matrix.rows += rows;
            }
        }
        Arc::new(matrix)
    }
}

/// Numbers that look random and are the same everywhere (splitmix64).
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between −1 and 1.
    pub fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// Random rows, every code among them, scales of both signs.
    pub fn panel(&mut self, kind: Kind, rows: usize, cols: usize) -> Panel {
        let mut panel = Panel::new(kind, rows, cols);
        let size = 1.0 / (cols as f32).sqrt();
        let mask = ((1u32 << kind.code_bits().min(8)) - 1) as u8;
        for row in 0..rows {
            if kind.has_blocks() {
                for block in 0..cols / GROUP / BLOCK {
                    let block_of_row = self.block(kind, size);
                    panel.set_block(row, block, &block_of_row);
                }
            } else if kind.has_scales() {
                for group in 0..cols / GROUP {
                    let codes = std::array::from_fn(|_| self.next() as u8 & mask);
                    let step = if kind.is_signed() { 0.02 } else { 4.5 / f32::from(mask) };
                    let scale = f16::from_f32(self.float() * size * step);
                    let min = f16::from_f32(if kind.has_mins() {
                        self.float() * size * 2.0
                    } else {
                        0.0
                    });
                    panel.set_group(row, group, &Group { codes, scale, min });
                }
            } else {
                let values: Vec<f32> = (0..cols).map(|_| self.float() * size).collect();
                panel.set_row(row, &values);
            }
        }
        panel
    }

    /// Every code and every scale among them.
    fn block(&mut self, kind: Kind, size: f32) -> Block {
        let mask = (1 << kind.code_bits()) - 1;
        let most = if kind.table().is_some() { 127.0 } else { f32::from(mask) };
        Block {
            codes: [(); BLOCK].map(|_| [(); GROUP].map(|_| self.next() as u8 & mask)),
            scales: [(); BLOCK].map(|_| [self.next() as u8, self.next() as u8]),
            factors: [4.0 / most, 2.0]
                .map(|most| f16::from_f32(self.float() * size * most / 100.0)),
        }
    }
}
