//! Devices that have less than others.

use std::thread;
use std::time::Duration;

use phi_wasm::backend::{Backend, Limits};
use phi_wasm::op::{Buf, Op};
use phi_wasm::{Code, Error, Result};

/// A backend that has room for so many bytes, takes so many tokens at once, and pauses before each
/// list that it runs.
pub struct Narrow<B> {
    pub backend: B,
    pub room: u64,
    pub chunk: usize,
    pub pause: Duration,
}

impl<B: Backend> Narrow<B> {
    /// One that is not narrow.
    pub fn new(backend: B) -> Narrow<B> {
        let chunk = backend.limits().chunk;
        Narrow { backend, room: u64::MAX, chunk, pause: Duration::ZERO }
    }
}

impl<B: Backend> Backend for Narrow<B> {
    type Program = B::Program;
    type Readback = B::Readback;

    fn limits(&self) -> Limits {
        Limits { chunk: self.chunk, ..self.backend.limits() }
    }
    fn alloc(&mut self, what: &str, bytes: u64) -> Result<Buf> {
        let no_room =
            || Error::new(Code::OutOfMemory, format!("{what}: no room for {bytes} bytes"));
        self.room = self.room.checked_sub(bytes).ok_or_else(no_room)?;
        self.backend.alloc(what, bytes)
    }
    fn free(&mut self, buf: Buf) {
        self.backend.free(buf);
    }
    fn write(&mut self, buf: Buf, offset: u64, bytes: &[u8]) -> Result<()> {
        self.backend.write(buf, offset, bytes)
    }
    fn copy(&mut self, buf: Buf, from_to: [u64; 2], length: usize) -> Result<()> {
        self.backend.copy(buf, from_to, length)
    }
    fn prepare(&mut self, ops: &[Op]) -> Result<Self::Program> {
        self.backend.prepare(ops)
    }
    fn run(&mut self, program: &Self::Program) -> Result<()> {
        thread::sleep(self.pause);
        self.backend.run(program)
    }
    fn read_later(&mut self, buf: Buf, offset: u64, length: usize) -> Result<Self::Readback> {
        self.backend.read_later(buf, offset, length)
    }
    async fn fetch(&mut self, later: Self::Readback, into: &mut [u8]) -> Result<()> {
        self.backend.fetch(later, into).await
    }
    fn works_ahead(&self) -> bool {
        self.backend.works_ahead()
    }
    fn describe(&self) -> String {
        self.backend.describe()
    }
}
