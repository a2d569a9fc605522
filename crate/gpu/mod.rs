//! WGSL kernels through wgpu: Vulkan, Metal and DX12 natively, WebGPU in browsers.
//!
//! `options` are what a caller may choose, `device` opens an adapter, `kernels` turns ops into
//! dispatches of the modules that `shaders` puts together, `pipelines` keeps what was compiled,
//! `program` is dispatches made ready to run, `recording` those that run next, `params` are the
//! shaders' parameter structs, `health` is what the device tells by callbacks, and `check` asks it
//! questions with known answers before anybody relies on it; `backend` is how the engine asks for
//! all that. For benchmarks, `profiler` times dispatches, `work` says what they had to do, and
//! `peaks` what the device could.

mod backend;
mod check;
mod device;
mod health;
mod kernels;
mod liveness;
mod options;
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

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

pub use kernels::Tuning;
pub use options::{Compiled, GpuOptions, Switch, Tune};
pub use params::Layout;
pub use program::Program;
pub use shaders::{Access, Block, Input, Peak, Products, Real, Reduce, Shader};

use crate::backend::{Backend, Counters};
use crate::error::{Code, Error, Result, fail};
use crate::op::{Buf, Op};
use device::Device;
use health::{Answer, Health, explain};
use kernels::{lower, partial_bytes};
use pipelines::Pipelines;
use profiler::Profiler;
use recording::Recording;

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
    partials: Option<OwnBuffer>,
    /// What bytes pass through that are copied from one place of a buffer to another.
    passage: Option<OwnBuffer>,
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
struct OwnBuffer {
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
            passage: None,
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
            self.partials = Some(OwnBuffer { buf, bytes });
        }
        Ok(self.partials.as_ref().map(|partials| partials.buf))
    }

    /// A buffer for so many bytes on their way.
    fn passage_for(&mut self, bytes: u64) -> Result<Buf> {
        if let Some(passage) = self.passage.as_ref().filter(|passage| passage.bytes >= bytes) {
            return Ok(passage.buf);
        }
        if let Some(smaller) = self.passage.take() {
            self.free(smaller.buf);
        }
        let buf = self.alloc("what is copied", bytes)?;
        self.passage = Some(OwnBuffer { buf, bytes });
        Ok(buf)
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // In browsers its memory would otherwise stay until rubbish is collected.
        self.device.device.destroy();
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
