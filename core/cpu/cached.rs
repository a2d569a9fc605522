//! Cached keys or values, as attention reads them.

use half::f16;

use super::attend_work::{BLOCK, Work};
use super::lanes::Lanes;
use super::{Context, Half, Place, Step, sealed};
use crate::error::Result;
use crate::op::{KvKind, KvPart, PAGE};

/// Bytes of a line of a CPU's cache.
const LINE: usize = 64;

/// Cached keys or values.
pub struct ReadCache<'a> {
    half: Half,
    elements: Elements<'a>,
    /// Of pages that are sealed.
    words: &'a [u32],
}

/// Elements of pages that are not sealed.
enum Elements<'a> {
    F16(&'a [u16]),
    F32(&'a [f32]),
}

impl ReadCache<'_> {
    pub fn new<'a>(context: &Context<'a>, cache: KvPart, half: Half) -> Result<ReadCache<'a>> {
        let buf = match half {
            Half::Keys => cache.keys,
            Half::Values => cache.values,
        };
        let elements = match cache.kind {
            KvKind::F32 => Elements::F32(context.memory.read(buf)?),
            KvKind::F16 | KvKind::Int8 | KvKind::Int4 => Elements::F16(context.memory.read(buf)?),
        };
        Ok(ReadCache { half, elements, words: context.memory.read(buf)? })
    }

    /// Unpacks `count` of a head's positions, which lie in one page, to rows of `w.block`, of which
    /// the rest stays as it is.
    ///
    /// # Safety
    /// The CPU has the instructions of `L`.
    #[inline(always)]
    pub unsafe fn unpack<L: Lanes>(
        &self,
        step: &Step,
        (head, position): (usize, usize),
        count: usize,
        w: &mut Work,
    ) {
        let (dim, stride, to) = (step.head_dim, w.dim, &mut *w.block);
        match (step.place(self.half, head, position), &self.elements) {
            (Place::Sealed(at), _) => {
                let (page, first) = (self.page(step, at), position % PAGE as usize);
                for (i, to) in to.chunks_exact_mut(stride).take(count).enumerate() {
                    let elements = (0..dim).map(|j| page.element(self.half, first + i, j));
                    to.iter_mut().zip(elements).for_each(|(to, element)| *to = element);
                }
            }
            (Place::Exact(at), Elements::F32(all)) => {
                for (i, to) in to.chunks_exact_mut(stride).take(count).enumerate() {
                    to[..dim].copy_from_slice(&all[at + i * dim..][..dim]);
                }
            }
            (Place::Exact(_), Elements::F16(all)) => {
                for (i, to) in to.chunks_exact_mut(stride).take(count).enumerate() {
                    // A block may be in several pages.
                    if let Place::Exact(at) = step.place(self.half, head, position + i) {
                        // SAFETY: the caller's.
                        unsafe { halves::<L>(&all[at..][..dim], to) };
                    }
                }
            }
        }
    }

    /// A head's page, if it is sealed.
    pub fn sealed(&self, step: &Step, head: usize, position: usize) -> Option<sealed::Page<'_>> {
        match step.place(self.half, head, position) {
            Place::Sealed(at) => Some(self.page(step, at)),
            Place::Exact(_) => None,
        }
    }

    fn page(&self, step: &Step, at: usize) -> sealed::Page<'_> {
        let (kind, dim) = (step.cache.kind, step.head_dim);
        let words = &self.words[at..][..kind.words(dim as u32)[self.half as usize] as usize];
        sealed::Page { kind, dim, words }
    }

    /// Says that a block will be unpacked soon: a page is too short for hardware to see it coming.
    #[inline(always)]
    pub unsafe fn prefetch<L: Lanes>(&self, step: &Step, (head, position): (usize, usize)) {
        let dim = step.head_dim;
        let (from, at, bytes) = match (step.place(self.half, head, position), &self.elements) {
            (Place::Sealed(at), _) => {
                let row = dim * step.cache.kind.code_bits().unwrap_or(8) as usize / 8;
                let first = 4 * at + position % PAGE as usize * row;
                (self.words.as_ptr().cast::<u8>(), first, BLOCK * row)
            }
            (Place::Exact(at), Elements::F32(all)) => {
                (all.as_ptr().cast(), 4 * at, 4 * BLOCK * dim)
            }
            (Place::Exact(at), Elements::F16(all)) => {
                (all.as_ptr().cast(), 2 * at, 2 * BLOCK * dim)
            }
        };
        for line in (0..bytes).step_by(LINE) {
            // SAFETY: nothing is read.
            unsafe { L::prefetch(from.wrapping_add(at + line)) };
        }
    }
}

/// Unpacks halves to the first of some floats.
///
/// # Safety
/// The CPU has the instructions of `L`.
#[inline(always)]
unsafe fn halves<L: Lanes>(from: &[u16], to: &mut [f32]) {
    let to = &mut to[..from.len()];
    let whole = from.len() - from.len() % L::WIDTH;
    for j in (0..whole).step_by(L::WIDTH) {
        // SAFETY: the caller's; both slices have a vector left.
        unsafe { L::load_halves(from.as_ptr().add(j)).store(to.as_mut_ptr().add(j)) };
    }
    to[whole..]
        .iter_mut()
        .zip(&from[whole..])
        .for_each(|(to, &half)| *to = f16::from_bits(half).to_f32());
}
