//! The seam between a model and what computes it.
//!
//! Above it nothing knows of devices; below it nothing knows of models. Implemented by
//! [`crate::cpu::Cpu`] and, behind the feature `gpu`, by `crate::gpu::Gpu`.

use crate::error::Result;
use crate::op::{Buf, Op};
use crate::profile::{Kernel, Peaks};

/// What a backend can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest buffer that an op may use, in bytes: tensors above it are split into parts.
    pub max_buffer: u64,
    /// Tokens that are best taken through the layers at once: enough that weights are read rarely,
    /// few enough to stop soon and to leave room for the weights.
    pub chunk: usize,
}

/// What a device has been asked to do so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Runs of a kernel.
    pub dispatches: u64,
    /// Lists of commands sent to the device.
    pub submits: u64,
    /// Compute passes.
    pub passes: u64,
    /// Bytes written to it.
    pub uploaded: u64,
    /// Bytes read from it.
    pub read_back: u64,
    /// Buffers, bind groups and pipelines made.
    pub created: u64,
}

/// Lists of ops to be timed.
#[derive(Clone, Copy, Debug)]
pub struct Trials<'a> {
    /// One token through some layers.
    pub one: &'a [Op],
    /// Many tokens through one.
    pub many: &'a [Op],
    /// A buffer whose first bytes are there to be waited for.
    pub after: Buf,
}

/// Memory, and something that runs lists of ops over it.
///
/// Waiting is only ever in [`Backend::fetch`] (a browser cannot block); everything else is queued
/// in order.
#[allow(async_fn_in_trait)] // Futures stay on the thread that made them.
pub trait Backend {
    /// A list of ops made ready to run many times: on a GPU its pipelines and bind groups.
    type Program;
    /// Bytes on their way out.
    type Readback;

    /// What it can hold.
    fn limits(&self) -> Limits;

    /// Of so many bytes, in as many buffers as one likes, those that there is room for; all of them
    /// where that cannot be known.
    fn room(&self, bytes: u64) -> u64 {
        bytes
    }

    /// A new buffer of zeros. `bytes` is a positive multiple of 4 and at most
    /// `limits().max_buffer`; `what` names it in errors.
    ///
    /// # Errors
    /// `out-of-memory`, with what was asked for and what the device allows.
    fn alloc(&mut self, what: &str, bytes: u64) -> Result<Buf>;

    /// Gives a buffer back. The handle must not be used again.
    fn free(&mut self, buf: Buf);

    /// Copies bytes in, before whatever runs next. `offset` and the length are multiples of 4.
    fn write(&mut self, buf: Buf, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Copies bytes from one place of a buffer to another, after everything that came before. The
    /// places do not overlap; they and the length are multiples of 4.
    fn copy(&mut self, buf: Buf, from_to: [u64; 2], length: usize) -> Result<()>;

    /// Makes a list ready.
    fn prepare(&mut self, ops: &[Op]) -> Result<Self::Program>;

    /// Waits until what was prepared can run without holding anybody up. Who does not wait may hold
    /// up others, such as a browser's pages.
    async fn ready(&mut self) -> Result<()> {
        Ok(())
    }

    /// Runs a prepared list, after everything that came before.
    fn run(&mut self, program: &Self::Program) -> Result<()>;

    /// Has what was told to run begin, where that would wait for something to be read or written.
    fn submit(&mut self) {}

    /// Copies bytes out after everything that came before, to be fetched when they are wanted. What
    /// comes after may overwrite them. `offset` and the length are multiples of 4.
    fn read_later(&mut self, buf: Buf, offset: u64, length: usize) -> Result<Self::Readback>;

    /// Waits for what [`Backend::read_later`] copies.
    async fn fetch(&mut self, later: Self::Readback, into: &mut [u8]) -> Result<()>;

    /// Waits for everything before it and copies bytes out. `offset` and the length are multiples
    /// of 4.
    async fn read(&mut self, buf: Buf, offset: u64, into: &mut [u8]) -> Result<()> {
        if into.is_empty() {
            return Ok(());
        }
        let later = self.read_later(buf, offset, into.len())?;
        self.fetch(later, into).await
    }

    /// Finds out how to run lists like these fastest, where it was opened for that and it is not
    /// known yet. What the lists write is of no worth afterwards.
    async fn tune(&mut self, _trials: Trials<'_>) -> Result<()> {
        Ok(())
    }

    /// What was found out, to be kept and given when such a device is opened again; `None` where
    /// nothing was.
    fn tuned(&self) -> Option<&str> {
        None
    }

    /// Whether it computes while its caller does something else, so that asking for work ahead of
    /// time saves time.
    fn works_ahead(&self) -> bool {
        false
    }

    /// Whether it can run [`Op::Sample`], which is worth it where logits are far from who would
    /// draw.
    fn samples(&self) -> bool {
        false
    }

    /// What it has been asked to do; `None` where nothing is asked of a device.
    fn counters(&self) -> Option<Counters> {
        None
    }

    /// What its kernels have taken since this was last asked; `None` where nobody times them.
    async fn take_kernels(&mut self) -> Result<Option<Vec<Kernel>>> {
        Ok(None)
    }

    /// What its device does at best, measured now, which takes a while; `None` where nobody times
    /// kernels.
    async fn peaks(&mut self) -> Result<Option<Peaks>> {
        Ok(None)
    }

    /// One line that names what computes: "CPU, AVX2, 2 threads" or the adapter's name and its
    /// features.
    fn describe(&self) -> String;
}
