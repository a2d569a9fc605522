//! The CPU backend: one file an op, written once over the vectors of [`lanes`].
//!
//! Activations are f32 between ops. A product with weights that have codes makes its own int15, in
//! groups of 32 (see [`activations`]), and multiplies them exactly. Every element of a result is
//! computed by one thread in a fixed order, so that results do not depend on the number of threads.

mod activations;
mod argmax;
mod attend;
mod attend_sealed;
mod attend_work;
mod cached;
mod check;
mod dots;
mod embed;
mod head_norm;
mod kernels;
mod lanes;
mod log_probs;
mod matmul;
mod memory;
mod norm;
mod packed;
#[cfg_attr(target_family = "wasm", path = "room_wasm.rs")]
mod room;
mod rope;
mod scratch;
mod sealed;
mod swiglu;
mod threads;
mod tile;

use crate::backend::{Backend, Limits};
use crate::error::{Code, Result, fail};
use crate::op::{Buf, Heads, KvPart, Op, PAGE};
use activations::PackedActivations;
use kernels::Kernels;
pub use kernels::Simd;
use memory::Memory;
use threads::Threads;
#[cfg(all(target_family = "wasm", target_feature = "atomics"))]
pub use threads::help;

/// How a [`Cpu`] computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuOptions {
    /// How many threads; 0 for as many as the machine has.
    pub threads: usize,
    /// Which instructions.
    pub simd: Simd,
}

/// The CPU as a [`Backend`].
pub struct Cpu {
    memory: Memory,
    threads: Threads,
    kernels: &'static Kernels,
    activations: PackedActivations,
    /// Counts what was given back: a list that was checked before must be checked again.
    frees: u64,
}

/// A list of ops that was checked.
pub struct Program {
    ops: Vec<Op>,
    frees: u64,
}

/// What an op computes with.
struct Context<'a> {
    memory: &'a Memory,
    threads: &'a Threads,
    kernels: &'static Kernels,
}

/// Where an op's rows are.
struct Step<'a> {
    /// Of its first row, in the sequence.
    position: usize,
    /// Those that make up the sequence's first page, and the one that the rows are in, where pages
    /// are sealed.
    first: &'a [u32],
    open: &'a [u32],
    /// Of the sequence, up to the last row's.
    pages: &'a [u32],
    cache: KvPart,
    head_dim: usize,
}

/// Keys or values.
#[derive(Clone, Copy)]
enum Half {
    Keys,
    Values,
}

/// Where something of a head lies in the cache.
enum Place {
    /// Its elements, from this one on.
    Exact(usize),
    /// Its page's words, from this one on.
    Sealed(usize),
}

impl Cpu {
    /// Chooses kernels and starts the threads.
    ///
    /// # Errors
    /// `bad-option` for instructions or threads that this machine or build does not have.
    pub fn new(options: CpuOptions) -> Result<Cpu> {
        let (kernels, threads) = (options.simd.kernels()?, Threads::new(options.threads)?);
        Ok(Cpu {
            memory: Memory::default(),
            threads,
            kernels,
            activations: PackedActivations::default(),
            frees: 0,
        })
    }
}

impl Backend for Cpu {
    type Program = Program;
    type Readback = Vec<u8>;

    fn limits(&self) -> Limits {
        Limits { max_buffer: Memory::LARGEST, chunk: 128 }
    }

    fn room(&self, bytes: u64) -> u64 {
        room::of(bytes)
    }

    fn alloc(&mut self, what: &str, bytes: u64) -> Result<Buf> {
        self.memory.alloc(what, bytes)
    }

    fn free(&mut self, buf: Buf) {
        self.frees += 1;
        self.memory.free(buf);
    }

    fn write(&mut self, buf: Buf, offset: u64, bytes: &[u8]) -> Result<()> {
        let all = self.memory.write::<u8>(buf)?;
        let range = range(all.len(), offset, bytes.len())?;
        all[range].copy_from_slice(bytes);
        Ok(())
    }

    fn copy(&mut self, buf: Buf, [from, to]: [u64; 2], length: usize) -> Result<()> {
        let all = self.memory.write::<u8>(buf)?;
        let (from, to) = (range(all.len(), from, length)?, range(all.len(), to, length)?);
        all.copy_within(from, to.start);
        Ok(())
    }

    fn prepare(&mut self, ops: &[Op]) -> Result<Program> {
        for op in ops {
            check::op(&self.memory, op)?;
            match op {
                Op::Matmul(op) => {
                    for part in &op.w.parts {
                        self.activations.reserve(part.kind, op.rows as usize, op.w.cols as usize);
                    }
                }
                Op::Sample(_) => {
                    fail!(Code::Internal, "the CPU leaves draws to who reads the logits")
                }
                _ => {}
            }
        }
        Ok(Program { ops: ops.to_vec(), frees: self.frees })
    }

    fn run(&mut self, program: &Program) -> Result<()> {
        if program.frees != self.frees {
            program.ops.iter().try_for_each(|op| check::op(&self.memory, op))?;
        }
        let context =
            Context { memory: &self.memory, threads: &self.threads, kernels: self.kernels };
        let activations = &mut self.activations;
        program.ops.iter().try_for_each(|op| context.run(activations, op))
    }

    fn read_later(&mut self, buf: Buf, offset: u64, length: usize) -> Result<Vec<u8>> {
        let all = self.memory.read::<u8>(buf)?;
        Ok(all[range(all.len(), offset, length)?].to_vec())
    }

    async fn fetch(&mut self, later: Vec<u8>, into: &mut [u8]) -> Result<()> {
        into.copy_from_slice(&later);
        Ok(())
    }

    async fn read(&mut self, buf: Buf, offset: u64, into: &mut [u8]) -> Result<()> {
        let all = self.memory.read::<u8>(buf)?;
        into.copy_from_slice(&all[range(all.len(), offset, into.len())?]);
        Ok(())
    }

    fn describe(&self) -> String {
        let threads = self.threads.count();
        format!(
            "CPU, {}, {threads} thread{}",
            self.kernels.name,
            if threads == 1 { "" } else { "s" }
        )
    }
}

impl Context<'_> {
    fn run(&self, activations: &mut PackedActivations, op: &Op) -> Result<()> {
        match op {
            Op::Embed(op) => embed::run(self, op),
            Op::Norm(op) => norm::run(self, op),
            Op::Matmul(op) => matmul::run(self, activations, op),
            Op::HeadNorm(op) => head_norm::run(self, op),
            Op::Rope(op) => rope::run(self, op),
            Op::Attend(op) => attend::run(self, op),
            Op::Seal(op) => sealed::run(self, op),
            Op::Argmax(op) => argmax::run(self, op),
            Op::Swiglu(op) => swiglu::run(self, op),
            Op::LogProbs(op) => log_probs::run(self, op),
            Op::Sample(_) => fail!(Code::Internal, "the CPU leaves draws to who reads the logits"),
        }
    }

    /// Where some rows are, which is data: that the cache has their pages is checked here.
    fn step(
        &self,
        step: Buf,
        (first_row, rows): (u32, u32),
        cache: KvPart,
        heads: Heads,
    ) -> Result<Step<'_>> {
        let words = self.memory.read::<u32>(step)?;
        let exact = cache.kind.exact_pages() as usize;
        let Some((begin, [first, open, pages])) = parts(words, exact) else {
            fail!(Code::Internal, "a step of {} words", words.len())
        };
        let position = (begin as usize).saturating_add(first_row as usize);
        let end = position.saturating_add(rows as usize);
        let needed = end.div_ceil(PAGE as usize);
        let are_there = |pages: &[u32]| pages.iter().all(|&page| page < cache.pages);
        let is_one = exact == 0 || needed == position / PAGE as usize + 1;
        match pages.get(..needed) {
            Some(pages) if is_one && [first, open, pages].into_iter().all(are_there) => {
                let head_dim = heads.head_dim as usize;
                Ok(Step { position, first, open, pages, cache, head_dim })
            }
            _ => fail!(
                Code::Internal,
                "{rows} tokens at position {position} need {needed} pages of a cache of {}, and \
                    the step does not name so many",
                cache.pages
            ),
        }
    }
}

impl Step<'_> {
    /// Where a position of one of the part's heads lies.
    fn place(&self, half: Half, head: usize, position: usize) -> Place {
        let (page, kind, heads) =
            (position / PAGE as usize, self.cache.kind, self.cache.heads as usize);
        let words = kind.words(self.head_dim as u32)[half as usize] as usize;
        let (own, each) = (self.position / PAGE as usize, kind.exact_positions() as usize);
        let (piece, in_piece) = (position % PAGE as usize / each, position % each);
        let page = match kind.code_bits() {
            None => self.pages[page],
            Some(_) if page == 0 => self.first[piece],
            Some(_) if page == own => self.open[piece],
            Some(_) => return Place::Sealed((self.pages[page] as usize * heads + head) * words),
        };
        let elements = words * 4 / kind.bytes() as usize;
        let row = head * each + in_piece;
        Place::Exact(page as usize * heads * elements + row * self.head_dim)
    }

    /// Whether each of the rows is in a place of its own.
    fn is_writable(&self) -> bool {
        let own = self.position / PAGE as usize;
        let written = match self.cache.kind.code_bits() {
            None => &self.pages[own..],
            Some(_) if own == 0 => self.first,
            Some(_) => self.open,
        };
        (1..written.len()).all(|at| !written[..at].contains(&written[at]))
    }
}

/// The parts of a step: the position, and three lists of pages.
fn parts(words: &[u32], exact: usize) -> Option<(u32, [&[u32]; 3])> {
    let (&position, rest) = words.split_first()?;
    let (first, rest) = rest.split_at_checked(exact)?;
    let (open, pages) = rest.split_at_checked(exact)?;
    Some((position, [first, open, pages]))
}

/// `offset .. offset + len`, if a buffer of `size` bytes has it.
fn range(size: usize, offset: u64, len: usize) -> Result<std::ops::Range<usize>> {
    match usize::try_from(offset) {
        Ok(offset) if offset <= size && len <= size - offset => Ok(offset..offset + len),
        _ => fail!(Code::Internal, "{len} bytes from byte {offset} of a buffer of {size}"),
    }
}
