//! What a device does at best: how fast it reads memory, and how fast it multiplies and adds. Loops
//! that do nothing else are timed on it, with the profiler that times the kernels.

use bytemuck::bytes_of;

use super::Gpu;
use super::kernels::Dispatch;
use super::params;
use super::shaders::{Peak, Shader};
use super::work::Work;
use crate::backend::Backend;
use crate::error::{Code, Result, fail};
use crate::op::Buf;
use crate::profile::Peaks;

/// Invocations of a loop: enough for every device.
const WORKGROUPS: u32 = 2048;
const WORKGROUP: u32 = 256;

/// Bytes of a buffer that is read: what WebGPU lets every device bind.
const BYTES: u32 = 128 << 20;
/// Such buffers are read in turn, since together they are more than any cache holds.
const BUFFERS: usize = 4;
const PASSES: usize = 3;

/// A loop of arithmetic is long enough once it takes as many seconds.
const LONG: f64 = 0.01;

/// Multiplications and additions of one round of a loop, for one invocation: sixteen chains, and
/// four bytes in a dot.
const FLOATS: u64 = 16 * 2;
const DOTS: u64 = 16 * 4 * 2;

/// Measures a device that has a profiler. What was timed before must have been taken.
pub(super) async fn measure(gpu: &mut Gpu) -> Result<Peaks> {
    let out = gpu.alloc("measured peaks", 4)?;
    let peaks = Peaks {
        software: gpu.is_software(),
        bandwidth: bandwidth(gpu, out).await?,
        floats: arithmetic(gpu, out, Peak::Floats, FLOATS).await?,
        bytes: arithmetic(gpu, out, Peak::Dots, DOTS).await?,
    };
    gpu.free(out);
    Ok(peaks)
}

/// Bytes a second, in the best of a few passes. The first one makes the buffers.
async fn bandwidth(gpu: &mut Gpu, out: Buf) -> Result<f64> {
    let buffers = (0..BUFFERS)
        .map(|_| gpu.alloc("read at full speed", BYTES.into()))
        .collect::<Result<Vec<Buf>>>()?;
    let rounds = BYTES / (WORKGROUPS * WORKGROUP * 4 * size_of::<[u32; 4]>() as u32);
    let dispatches: Vec<Dispatch> = buffers
        .iter()
        .map(|&data| dispatch(Peak::Reads, rounds, vec![(1, data), (2, out)]))
        .collect();
    let mut best: f64 = 0.0;
    for _ in 0..PASSES {
        best = best.max(f64::from(BYTES) * BUFFERS as f64 / seconds(gpu, &dispatches).await?);
    }
    buffers.into_iter().for_each(|buf| gpu.free(buf));
    Ok(best)
}

/// Operations a second, in a loop that is made longer until its beginning and end no longer matter.
/// It is short at first, because systems take devices away that are busy for seconds.
async fn arithmetic(gpu: &mut Gpu, out: Buf, peak: Peak, operations: u64) -> Result<f64> {
    let mut rounds = 16;
    loop {
        let seconds = seconds(gpu, &[dispatch(peak, rounds, vec![(1, out)])]).await?;
        if seconds >= LONG || rounds >= 1 << 24 {
            return Ok((u64::from(WORKGROUPS * WORKGROUP) * u64::from(rounds) * operations) as f64
                / seconds);
        }
        rounds *= 4;
    }
}

fn dispatch(peak: Peak, rounds: u32, buffers: Vec<(u32, Buf)>) -> Dispatch {
    Dispatch {
        shader: Shader::Peak(peak),
        constants: vec![("WG", WORKGROUP)],
        params: bytes_of(&params::Peak { rounds }).to_vec(),
        buffers,
        groups: [WORKGROUPS, 1, 1],
        work: Work::default(),
    }
}

async fn seconds(gpu: &mut Gpu, dispatches: &[Dispatch]) -> Result<f64> {
    let program = gpu.make_ready(dispatches)?;
    gpu.run(&program)?;
    let kernels = gpu.take_kernels().await?.unwrap_or_default();
    let seconds = kernels.iter().map(|kernel| kernel.seconds).sum();
    if seconds <= 0.0 {
        fail!(
            Code::GpuFailed,
            "the clock of {} stands still",
            gpu.describe();
            "bench without --profile"
        );
    }
    Ok(seconds)
}
