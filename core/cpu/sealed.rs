//! Pages that are sealed: made of floats once they are full, and read.

use half::f16;

use super::lanes::Lanes;
use super::memory::Shared;
use super::{Context, Half, Place, Step};
use crate::error::{Code, Result, fail};
use crate::op::{KvKind, PAGE, Seal};

const ROWS: usize = PAGE as usize;

/// A sealed page of one head.
pub struct Page<'a> {
    pub kind: KvKind,
    pub dim: usize,
    /// Codes, then scales and minima.
    pub words: &'a [u32],
}

impl Page<'_> {
    /// Whether a byte has two codes.
    pub fn is_double(&self) -> bool {
        self.kind == KvKind::Int4
    }

    /// Bytes of a position's codes.
    pub fn row(&self) -> usize {
        if self.is_double() { self.dim / 2 } else { self.dim }
    }

    /// Bytes of a position's codes, all codes, and the words after them.
    pub fn parts(&self) -> (usize, &[u8], &[u32]) {
        let row = self.row();
        let (codes, rest) = self.words.split_at(ROWS * row / 4);
        (row, bytemuck::cast_slice(codes), rest)
    }

    /// Unpacks an element of a position's keys or values.
    pub fn element(&self, half: Half, position: usize, i: usize) -> f32 {
        let (row, codes, words) = self.parts();
        let groups = self.kind.value_groups() as usize;
        let byte = codes[position * row + i % row];
        let code = match (self.is_double(), i < row) {
            (false, _) => byte,
            (true, true) => byte & 15,
            (true, false) => byte >> 4,
        };
        let word = match half {
            Half::Keys => words[i],
            Half::Values => words[position * groups + i / row],
        };
        let [scale, min] = [word as u16, (word >> 16) as u16];
        f32::from(code) * f16::from_bits(scale).to_f32() + f16::from_bits(min).to_f32()
    }
}

/// Floats that unpacking needs: as many scales as a head's keys have, or a block's values, and as
/// many minima.
pub fn scales(head_dim: usize, rows: usize) -> usize {
    2 * head_dim.max(2 * rows)
}

/// The scales and the minima in words.
///
/// # Safety
/// The CPU has the instructions of `L`.
#[inline(always)]
pub unsafe fn spread<L: Lanes>(words: &[u32], scale: &mut [f32], min: &mut [f32]) {
    let (scale, min) = (&mut scale[..words.len()], &mut min[..words.len()]);
    let whole = words.len() - words.len() % L::WIDTH;
    for at in (0..whole).step_by(L::WIDTH) {
        // SAFETY: the caller's; a vector of words is left.
        unsafe {
            let both = L::halves(L::load_quads(words.as_ptr().add(at).cast(), 16));
            both[0].store(scale.as_mut_ptr().add(at));
            both[1].store(min.as_mut_ptr().add(at));
        }
    }
    for at in whole..words.len() {
        let half = |bits: u32| f16::from_bits(bits as u16).to_f32();
        (scale[at], min[at]) = (half(words[at]), half(words[at] >> 16));
    }
}

/// What elements are made codes by.
#[derive(Clone, Copy)]
struct Scale {
    min: f32,
    inverse: f32,
    /// The largest code.
    largest: f32,
    word: u32,
}

impl Scale {
    /// Of elements, which are halves.
    fn of(elements: impl Iterator<Item = f32>, bits: u32) -> Scale {
        let (min, max) = elements
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(min, max), x| (x.min(min), x.max(max)));
        let largest = ((1u32 << bits) - 1) as f32;
        let scale = f16::from_f32((max - min) / largest);
        let inverse = if scale.to_f32() > 0.0 { 1.0 / scale.to_f32() } else { 0.0 };
        let word = u32::from(scale.to_bits()) | u32::from(f16::from_f32(min).to_bits()) << 16;
        Scale { min, inverse, largest, word }
    }

    fn code(self, x: f32) -> u8 {
        ((x - self.min) * self.inverse).round_ties_even().clamp(0.0, self.largest) as u8
    }
}

pub fn run(context: &Context, op: &Seal) -> Result<()> {
    let cache = op.cache;
    let step = context.step(op.step, (op.first_row, op.rows), cache, op.heads)?;
    let (page, end) = (step.position / ROWS, step.position + op.rows as usize);
    if page == 0 || !end.is_multiple_of(ROWS) {
        return Ok(());
    }
    if step.open.contains(&step.pages[page]) {
        fail!(Code::Internal, "a step seals page {} into itself", step.pages[page]);
    }
    let (keys, values) = (context.memory.share(cache.keys)?, context.memory.share(cache.values)?);
    context.threads.each(2 * cache.heads as usize, |task| {
        let (half, all) = if task % 2 == 0 { (Half::Keys, &keys) } else { (Half::Values, &values) };
        seal(&step, half, task / 2, page, all);
    });
    Ok(())
}

/// Seals one head's keys or values.
fn seal(step: &Step, half: Half, head: usize, page: usize, all: &Shared<u32>) {
    let (kind, dim) = (step.cache.kind, step.head_dim);
    let words = kind.words(dim as u32)[half as usize] as usize;
    let to = (step.pages[page] as usize * step.cache.heads as usize + head) * words;
    let mut elements = Vec::with_capacity(ROWS * dim);
    for row in 0..ROWS {
        let Place::Exact(at) = step.place(half, head, page * ROWS + row) else { return };
        // SAFETY: nobody writes the open page meanwhile.
        let from: &[u32] = unsafe { all.slice(at / 2, dim / 2) };
        elements.extend(
            bytemuck::cast_slice::<u32, u16>(from)
                .iter()
                .map(|&bits| f16::from_bits(bits).to_f32()),
        );
    }
    // SAFETY: a task has a head's keys or values to itself.
    let to = unsafe { all.slice(to, words) };
    let bits = kind.code_bits().unwrap_or(8);
    let row = dim * bits as usize / 8;
    let (codes, scales) = to.split_at_mut(ROWS * row / 4);
    let codes: &mut [u8] = bytemuck::cast_slice_mut(codes);
    codes.fill(0);
    // Elements that have a scale together: a channel's, or a part of a position's.
    let (count, step) = match half {
        Half::Keys => (ROWS, dim),
        Half::Values => (dim / kind.value_groups() as usize, 1),
    };
    for (at, word) in scales.iter_mut().enumerate() {
        let first = if step == 1 { at * count } else { at };
        let own = (0..count).map(|i| first + i * step);
        let scale = Scale::of(own.clone().map(|at| elements[at]), bits);
        *word = scale.word;
        for at in own {
            let (i, j) = (at / dim, at % dim);
            let (byte, shift) = if j < row { (j, 0) } else { (j - row, 4) };
            codes[i * row + byte] |= scale.code(elements[at]) << shift;
        }
    }
}
