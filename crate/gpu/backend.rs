//! A GPU as a backend: buffers, writing, running and reading.

use std::fmt::Display;

use super::health::{LOAD_AGAIN, explain};
use super::kernels::lower;
use super::profiler::Tally;
use super::program::Program;
use super::shaders::{Real, Reduce};
use super::{Gpu, Pending, Readback, device, peaks, platform, tune};
use crate::backend::{Backend, Counters, Limits, Trials};
use crate::error::{Code, Error, Result, fail};
use crate::op::{Buf, Op};
use crate::profile::{Kernel, Peaks};

/// Bytes that are written before they are handed to the device.
const WRITTEN: u64 = 32 << 20;

/// Browsers refuse answers of a lost device before they say that it is lost.
fn unreadable(why: impl Display) -> Error {
    Error::new(Code::GpuLost, format!("the GPU was lost (its answer cannot be read: {why})"))
        .advise(LOAD_AGAIN)
}

impl Backend for Gpu {
    type Program = Program;
    type Readback = Readback;

    fn limits(&self) -> Limits {
        Limits { max_buffer: self.device.max_buffer, chunk: 256 }
    }

    fn alloc(&mut self, what: &str, bytes: u64) -> Result<Buf> {
        self.check()?;
        if bytes == 0 || !bytes.is_multiple_of(4) {
            fail!(
                Code::Internal,
                "{what}: a buffer of {bytes} bytes was asked for, which is no positive multiple \
                    of 4"
            );
        }
        let (asked, most) = (bytes as f64 / (1 << 20) as f64, self.device.max_buffer >> 20);
        if bytes > self.device.max_buffer {
            fail!(Code::OutOfMemory, "{what}: {asked:.1} MiB in one buffer, of which the GPU \
                allows {most}"; "choose a shorter context");
        }
        let device = &self.device.device;
        let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let usage = wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_DST
            | wgpu::BufferUsages::COPY_SRC;
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(what),
            size: bytes,
            usage,
            mapped_at_creation: false,
        });
        let (memory, validation) = (memory.pop(), validation.pop());
        let what = format!("{what}, {asked:.1} MiB");
        self.settle(&what, memory)?;
        self.settle(&what, validation)?;
        self.counters.created += 1;
        self.buffers.push(Some(buffer));
        Ok(Buf(self.buffers.len() as u32 - 1))
    }

    fn free(&mut self, buf: Buf) {
        self.flush();
        if let Some(buffer) = self.buffers.get_mut(buf.0 as usize).and_then(Option::take) {
            buffer.destroy();
        }
    }

    fn write(&mut self, buf: Buf, offset: u64, bytes: &[u8]) -> Result<()> {
        self.check()?;
        self.flush(); // A write comes before the next submission, whatever was recorded before it.
        self.device.queue.write_buffer(self.range(buf, offset, bytes.len())?, offset, bytes);
        if let (Some(profiler), 0) = (&mut self.profiler, offset) {
            profiler.wrote(buf, bytes);
        }
        self.written += bytes.len() as u64;
        self.counters.uploaded += bytes.len() as u64;
        if self.written >= WRITTEN {
            let before = self.submitted.take();
            self.submit(None);
            if let Some(before) = before {
                platform::keep_pace(&self.device.device, before);
            }
        }
        Ok(())
    }

    fn copy(&mut self, buf: Buf, [from, to]: [u64; 2], length: usize) -> Result<()> {
        self.check()?;
        self.range(buf, from, length)?;
        let (buffer, length) = (self.range(buf, to, length)?.clone(), length as u64);
        // A GPU copies from one buffer into another only.
        let passage = self.passage_for(length)?;
        let passage = self.buffer(passage)?.clone();
        self.encode(|encoder| {
            encoder.copy_buffer_to_buffer(&buffer, from, &passage, 0, length);
            encoder.copy_buffer_to_buffer(&passage, 0, &buffer, to, length);
        });
        Ok(())
    }

    fn prepare(&mut self, ops: &[Op]) -> Result<Program> {
        self.check()?;
        let partials = self.partials_for(ops)?;
        self.make_ready(&lower(ops, &self.tuning, partials)?)
    }

    async fn ready(&mut self) -> Result<()> {
        match self.compiled {
            Some(compiled) => compiled().await.map_err(|failure| self.blame(failure)),
            None => Ok(()),
        }
    }

    fn run(&mut self, program: &Program) -> Result<()> {
        self.check()?;
        program.runs.iter().for_each(|run| self.record(run));
        self.check()
    }

    fn submit(&mut self) {
        self.flush();
    }

    fn read_later(&mut self, buf: Buf, offset: u64, length: usize) -> Result<Readback> {
        self.check()?;
        let source = self.range(buf, offset, length)?.clone();
        let length = length as u64;
        let staging = self.staging_of(length);
        self.submit_recording(|encoder| {
            encoder.copy_buffer_to_buffer(&source, offset, &staging, 0, length)
        });
        self.counters.read_back += length;
        Ok(self.map(staging, length))
    }

    async fn fetch(&mut self, later: Readback, into: &mut [u8]) -> Result<()> {
        let mut refused = None;
        for Pending { what, error } in std::mem::take(&mut self.pending) {
            if let Some(error) = error.await {
                refused.get_or_insert(explain(&what, error));
            }
        }
        let (health, Readback { staging, length, submission, answer }) =
            (self.health().clone(), later);
        platform::finish(&self.device.device, &health, submission, || answer.is_here())?;
        if health.wait(&answer).await?.is_err() {
            platform::listen(&self.device.device);
            health.fail(unreadable("it was refused"), false);
        }
        // A lost device refuses everything, and then its answer, too: that it is lost is the
        // reason.
        self.check()?;
        if let Some(failure) = refused {
            if failure.code == Code::GpuFailed {
                health.fail(failure.clone(), false);
            }
            return Err(self.blame(failure));
        }
        into.copy_from_slice(&staging.get_mapped_range(..length).map_err(unreadable)?);
        staging.unmap();
        self.staging.push(staging);
        Ok(())
    }

    /// Steps ahead would be timed with what is before them.
    fn works_ahead(&self) -> bool {
        self.profiler.is_none()
    }

    fn samples(&self) -> bool {
        true
    }

    async fn tune(&mut self, trials: Trials<'_>) -> Result<()> {
        let Some(tune) = self.tune.take() else { return Ok(()) };
        let (profiler, offered) = (self.profiler.take(), self.offered.clone());
        let found = tune::run(self, &tune, &offered, &trials).await;
        self.profiler = profiler;
        self.tuned = Some(found?);
        Ok(())
    }

    fn tuned(&self) -> Option<&str> {
        self.tuned.as_deref()
    }

    async fn take_kernels(&mut self) -> Result<Option<Vec<Kernel>>> {
        self.check()?;
        self.flush();
        let Some(profiler) = &mut self.profiler else { return Ok(None) };
        let (mut tally, tick) = (Tally::default(), profiler.tick());
        for (dispatches, later) in profiler.take() {
            let mut stamps = vec![[0u64; 2]; dispatches.len()];
            self.fetch(later, bytemuck::cast_slice_mut(&mut stamps)).await?;
            tally.add(&dispatches, &stamps, tick);
        }
        Ok(Some(tally.kernels))
    }

    async fn peaks(&mut self) -> Result<Option<Peaks>> {
        self.take_kernels().await?; // What is measured now is no part of what came before.
        if self.profiler.is_some() { peaks::measure(self).await.map(Some) } else { Ok(None) }
    }

    fn counters(&self) -> Option<Counters> {
        Some(Counters {
            created: self.counters.created + self.pipelines.compiled(),
            ..self.counters
        })
    }

    fn describe(&self) -> String {
        let info = &self.device.info;
        let real = match self.tuning.real {
            Real::F32 => "f32",
            Real::F16 => "f16 products",
        };
        let dots = if self.tuning.dots { "integer dots" } else { "no integer dots" };
        let reduce = match (self.tuning.reduce, info.subgroup_min_size, info.subgroup_max_size) {
            (Reduce::Workgroup, ..) => "no subgroups".to_owned(),
            (Reduce::Subgroup, least, most) if least == most => format!("subgroups of {most}"),
            (Reduce::Subgroup, least, most) => format!("subgroups of {least} to {most}"),
        };
        format!("GPU {}, {}, {real}, {dots}, {reduce}", device::name(info), info.backend)
    }
}
