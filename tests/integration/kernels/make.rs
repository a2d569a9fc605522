//! What a case's memory begins with.

use std::sync::Arc;

use half::f16;
use phi_wasm::layout::panel::{Block, Group, Panel};
use phi_wasm::layout::{BLOCK, GROUP, Kind};
use phi_wasm::op::{Buf, Heads, KvKind, KvPart, Matrix, Op, PAGE, Part, step_words};

use super::cases::Case;
use super::host::Host;
use super::oracle::{Place, place};

/// Makes a case's memory.
pub struct Make {
    noise: Noise,
    memory: Vec<Host>,
}

/// Pages that a sequence with room for `ctx_len` has: those that make up its first one and the open
/// one, where pages are sealed, then its own.
fn own_pages(kind: KvKind, ctx_len: u32) -> u32 {
    2 * kind.exact_pages() + ctx_len.div_ceil(PAGE)
}

/// Pages of a cache in which a sequence has every other one.
fn pages(kind: KvKind, ctx_len: u32) -> u32 {
    2 * own_pages(kind, ctx_len) + 1
}

/// A step at a position. Of the sequence's pages later ones lie before; what it does not have is
/// another's.
pub fn step(kind: KvKind, pos: u32, ctx_len: u32) -> Host {
    let all = pages(kind, ctx_len);
    let mut words = vec![0; step_words(kind, all) as usize];
    words[0] = pos;
    for at in 0..own_pages(kind, ctx_len) {
        words[1 + at as usize] = all - 2 - 2 * at;
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
    pub fn step(&mut self, kind: KvKind, pos: u32, ctx_len: u32) -> Buf {
        self.push(step(kind, pos, ctx_len))
    }

    /// The cache in `parts` parts: noise in the first `filled` positions of a sequence that has
    /// room for `ctx_len`, and large numbers that nobody may see in the others, and in others'
    /// pages. Where pages are sealed, those are that lie before the page of position `pos`.
    pub fn caches(
        &mut self,
        kind: KvKind,
        heads: Heads,
        ctx_len: u32,
        (pos, filled): (u32, u32),
        parts: u32,
    ) -> Vec<KvPart> {
        let each = heads.n_kv_heads.div_ceil(parts);
        let pages = pages(kind, ctx_len);
        let part = |first_head: u32| {
            let count = each.min(heads.n_kv_heads - first_head);
            let place =
                KvPart { keys: Buf(0), values: Buf(0), first_head, heads: count, pages, kind };
            let step = step(kind, pos, ctx_len);
            let mut cache = |half| self.cache(&place, half, (heads, &step), filled);
            KvPart { keys: cache(0), values: cache(1), ..place }
        };
        (0..heads.n_kv_heads).step_by(each as usize).map(part).collect()
    }

    fn cache(
        &mut self,
        part: &KvPart,
        half: usize,
        (heads, step): (Heads, &Host),
        filled: u32,
    ) -> Buf {
        let words = part.kind.words(heads.head_dim)[half];
        let size = (part.pages * part.heads * words * 4) as usize / part.kind.bytes() as usize;
        let mut values = vec![100.0; size];
        let Host::U32(step) = step else { panic!("a step is words") };
        for (head, position) in (0..part.heads).flat_map(|h| (0..filled).map(move |p| (h, p))) {
            match place(part, half, heads.head_dim, step, (head as usize, position as usize)) {
                Place::Exact(at) => {
                    (0..heads.head_dim as usize).for_each(|i| values[at + i] = self.noise.float())
                }
                Place::Sealed(at) if position % PAGE == 0 => {
                    // Codes of any bits, as halves, then scales and minima.
                    let scales = (words - self.scale_words(part.kind, heads, half)) as usize;
                    for i in 0..words as usize {
                        let bits = self.noise.next();
                        let [low, high] = if i < scales {
                            [bits as u16, (bits >> 16) as u16].map(f16::from_bits)
                        } else {
                            let largest = ((1u32 << part.kind.code_bits().unwrap()) - 1) as f32;
                            let scale = (1.0 + self.noise.float()) / largest;
                            [scale, self.noise.float()].map(f16::from_f32)
                        };
                        (values[2 * (at + i)], values[2 * (at + i) + 1]) =
                            (low.into(), high.into());
                    }
                }
                Place::Sealed(_) => {}
            }
        }
        self.push(match part.kind {
            KvKind::F32 => Host::F32(values),
            _ => Host::F16(values.into_iter().map(f16::from_f32).collect()),
        })
    }

    fn scale_words(&self, kind: KvKind, heads: Heads, half: usize) -> u32 {
        [heads.head_dim, PAGE * kind.value_groups()][half]
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
