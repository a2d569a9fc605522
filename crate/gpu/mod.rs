//! WGSL kernels through wgpu: Vulkan, Metal and DX12 natively, WebGPU in browsers.
//!
//! `device` opens an adapter, `kernels` turns ops into dispatches of the modules that `shaders`
//! puts together, `pipelines` keeps what was compiled, `program` is dispatches made ready to run,
//! `recording` those that run next, `params` are the shaders' parameter structs, `health` is what
//! the device tells by callbacks, and `check` asks it questions with known answers before anybody
//! relies on it. For benchmarks, `profiler` times dispatches, `work` says what they had to do, and
//! `peaks` what the device could.

mod check;
mod device;
mod health;
mod kernels;
mod liveness;
mod params;
mod peaks;
mod pipelines;
#[cfg_attr(target_family = "wasm", path = "browser.rs")]
#[cfg_attr(not(target_family = "wasm"), path = "native.rs")]
mod platform;
mod profiler;
mod program;
mod recording;
mod shaders;
mod tune;
mod work;

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

pub use device::{Choice, Compiled, GpuOptions};
pub use kernels::Tuning;
pub use params::Layout;
pub use program::Program;
pub use shaders::{Access, Block, Input, Peak, Products, Real, Reduce, Shader};
pub use tune::Tune;

use crate::backend::{Backend, Counters, Limits, Trials};
use crate::error::{Code, Error, Result, fail};
use crate::op::{Buf, Op};
use crate::profile::{Kernel, Peaks};
use device::Device;
use health::{Answer, Health, LOAD_AGAIN, explain};
use kernels::{lower, partial_bytes};
use pipelines::Pipelines;
use profiler::{Profiler, Tally};
use recording::Recording;

/// Bytes that are written before they are handed to the device.
const WRITTEN: u64 = 32 << 20;

/// A GPU.
pub struct Gpu {
    device: Device,
    tuning: Tuning,
    /// All that the options allow, the best first.
    offered: Vec<Tuning>,
    /// What waits for pipelines that are compiled aside.
    compiled: Option<Compiled>,
    /// What is to be found out yet.
    tune: Option<Tune>,
    /// What was found out.
    tuned: Option<String>,
    pipelines: Pipelines,
    /// By handle; `None` once given back.
    buffers: Vec<Option<wgpu::Buffer>>,
    /// Where bytes on their way out are copied to: those that nobody uses.
    staging: Vec<wgpu::Buffer>,
    /// What has been told to run and not been submitted yet.
    recording: Option<Recording>,
    /// Where attention leaves what it found of each run of positions.
    partials: Option<Partials>,
    /// Bytes written since the last submission, and that submission.
    written: u64,
    submitted: Option<wgpu::SubmissionIndex>,
    counters: Counters,
    /// What times dispatches, where somebody asked for it.
    profiler: Option<Profiler>,
    /// Requests that the device may yet refuse.
    pending: Vec<Pending>,
}

/// Bytes on their way out.
pub struct Readback {
    staging: wgpu::Buffer,
    length: u64,
    submission: Option<wgpu::SubmissionIndex>,
    answer: Answer<std::result::Result<(), wgpu::BufferAsyncError>>,
}

/// A buffer of ours that ops do not name.
struct Partials {
    buf: Buf,
    bytes: u64,
}

/// A request whose outcome comes later: at once natively, some time after in browsers.
struct Pending {
    what: String,
    error: Pin<Box<dyn Future<Output = Option<wgpu::Error>>>>,
}

impl Gpu {
    /// Opens a GPU and settles on the best of its variants that answers the known-answer check
    /// rightly.
    ///
    /// # Errors
    /// `no-gpu` where there is none, or none with what the options insist on; `gpu-failed` where
    /// none of its variants answers rightly; `bad-option`.
    pub async fn new(options: GpuOptions) -> Result<Gpu> {
        Gpu::with(options, Shader::source).await
    }

    /// Names the device that would be opened, where it is (as [`Tune::host`]) and what computes on
    /// it: what was measured of another says nothing of it.
    ///
    /// # Errors
    /// `no-gpu`.
    pub async fn identify(hardware_only: bool, host: &str) -> Result<String> {
        let options = GpuOptions { hardware_only, ..GpuOptions::default() };
        Ok(tune::key(&device::adapter_info(&options).await?, host))
    }

    async fn with(options: GpuOptions, source: fn(Shader) -> String) -> Result<Gpu> {
        let device = Device::open(&options).await?;
        let offered = device.tunings(&options)?;
        let known = options.tune.as_ref().and_then(|tune| tune::known(&device, tune, &offered));
        let tunings: Vec<Tuning> = known.into_iter().chain(offered.iter().copied()).collect();
        let Some(&tuning) = tunings.first() else { unreachable!("every choice leaves a variant") };
        let mut gpu = Gpu {
            device,
            tuning,
            offered,
            compiled: options.compiled,
            tune: None,
            tuned: None,
            pipelines: Pipelines::new(source),
            buffers: Vec::new(),
            staging: Vec::new(),
            recording: None,
            partials: None,
            written: 0,
            submitted: None,
            counters: Counters::default(),
            profiler: None,
            pending: Vec::new(),
        };
        let mut outcome = Ok(());
        for tuning in tunings {
            gpu.tuning = tuning;
            outcome = check::known_answers(&mut gpu).await;
            if outcome.is_ok() || gpu.health().is_lost() {
                break;
            }
            gpu.health().forgive();
        }
        let is_unknown =
            |tune: &Tune| tune.anew || (known != Some(gpu.tuning) && !gpu.is_software());
        gpu.tune = options.tune.filter(is_unknown);
        gpu.profiler = options.profile.then(|| Profiler::new(&gpu.device));
        outcome.map(|()| gpu)
    }

    /// What gives the device up when it is called, whatever is under way, as a driver's reset
    /// would: for tests of what happens then.
    pub fn losing(&self) -> impl Fn() + use<> {
        let device = self.device.device.clone();
        move || device.destroy()
    }

    /// The shaders that a list of ops runs through, for tests that choose lists by them.
    ///
    /// # Errors
    /// What [`Backend::prepare`] refuses before it asks the device.
    pub fn shaders(&self, ops: &[Op]) -> Result<Vec<Shader>> {
        Ok(lower(ops, &self.tuning, Some(Buf(0)))?
            .into_iter()
            .map(|dispatch| dispatch.shader)
            .collect())
    }

    /// Whether the adapter is a program on the CPU, which our own CPU kernels outrun.
    pub fn is_software(&self) -> bool {
        self.device.is_software()
    }

    /// The variants in use.
    pub fn tuning(&self) -> Tuning {
        self.tuning
    }

    fn health(&self) -> &Health {
        &self.device.health
    }

    fn buffer(&self, buf: Buf) -> Result<&wgpu::Buffer> {
        match self.buffers.get(buf.0 as usize) {
            Some(Some(buffer)) => Ok(buffer),
            _ => fail!(Code::Internal, "buffer {} does not exist or was given back", buf.0),
        }
    }

    /// The buffer, if it has these bytes and they can be copied.
    fn range(&self, buf: Buf, offset: u64, length: usize) -> Result<&wgpu::Buffer> {
        let (buffer, end) = (self.buffer(buf)?, offset.saturating_add(length as u64));
        if !offset.is_multiple_of(4) || !end.is_multiple_of(4) || end > buffer.size() {
            fail!(
                Code::Internal,
                "bytes {offset} to {end} of a buffer of {}: beyond it, or no multiple of 4",
                buffer.size()
            );
        }
        Ok(buffer)
    }

    /// Takes note of a request's outcome: an error now, where it is known now.
    fn settle(
        &mut self,
        what: &str,
        error: impl Future<Output = Option<wgpu::Error>> + 'static,
    ) -> Result<()> {
        let mut error = Box::pin(error);
        match error.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(None) => Ok(()),
            Poll::Ready(Some(error)) => Err(self.blame(explain(what, error))),
            Poll::Pending => {
                self.pending.push(Pending { what: what.to_owned(), error });
                Ok(())
            }
        }
    }

    /// The device's first failure, if any.
    fn check(&self) -> Result<()> {
        self.health().check().map_err(|failure| self.blame(failure))
    }

    /// What is behind a failure: a device that is lost calls everything invalid before it says that
    /// it is lost.
    fn blame(&self, failure: Error) -> Error {
        platform::listen(&self.device.device);
        if self.health().is_lost() {
            self.health().check().err().unwrap_or(failure)
        } else {
            failure
        }
    }

    /// A buffer with room for what these ops leave between their kernels. Older programs keep
    /// theirs.
    fn partials_for(&mut self, ops: &[Op]) -> Result<Option<Buf>> {
        let bytes = partial_bytes(ops, &self.tuning);
        if bytes > self.partials.as_ref().map_or(0, |partials| partials.bytes) {
            let buf = self.alloc("attention by runs", bytes)?;
            self.partials = Some(Partials { buf, bytes });
        }
        Ok(self.partials.as_ref().map(|partials| partials.buf))
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // In browsers its memory would otherwise stay until rubbish is collected.
        self.device.device.destroy();
    }
}

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

#[cfg(all(test, feature = "gpu-tests", not(target_family = "wasm")))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_that_computes_wrongly_is_struck_out() {
        let spoil_sums: fn(Shader) -> String =
            |shader| shader.source().replace("subgroupAdd(value)", "subgroupAdd(value) * 1.25");
        let spoil_dots: fn(Shader) -> String =
            |shader| shader.source().replace("128 * upper + lower", "128 * upper");
        let spoil_all: fn(Shader) -> String =
            |shader| shader.source().replace("sum / l;", "sum / (l * 1.25);");
        let settled = |source| pollster::block_on(Gpu::with(GpuOptions::default(), source));
        let plain = pollster::block_on(Gpu::new(GpuOptions::default())).unwrap();
        assert!(plain.tuning().dots);
        assert_eq!(
            plain.tuning().reduce,
            Reduce::Subgroup,
            "this test needs an adapter with subgroups"
        );
        assert_eq!(settled(spoil_sums).unwrap().tuning().reduce, Reduce::Workgroup);
        let without_dots = settled(spoil_dots).unwrap().tuning();
        assert_eq!((without_dots.dots, without_dots.reduce), (false, Reduce::Subgroup));
        let error = settled(spoil_all).err().unwrap();
        assert!(
            error.code == Code::GpuFailed
                && error.message.contains("wrongly")
                && error.message.contains("attention"),
            "{error}"
        );
    }

    #[test]
    fn a_lost_device_says_so_and_nobody_hangs() {
        pollster::block_on(async {
            let mut gpu = Gpu::new(GpuOptions::default()).await.unwrap();
            let buf = gpu.alloc("a buffer", 4).unwrap();
            let program = gpu.prepare(&[]).unwrap();
            gpu.device.device.destroy();
            let mut bytes = [0; 4];
            let outcomes = [
                gpu.read(buf, 0, &mut bytes).await,
                gpu.write(buf, 0, &bytes),
                gpu.run(&program),
                gpu.alloc("more", 4).map(drop),
            ];
            for outcome in outcomes {
                let error = outcome.unwrap_err();
                assert!(error.code == Code::GpuLost && error.message.contains("lost"), "{error}");
            }
        });
    }
}
