//! Questions with known answers, asked before a device is relied upon: drivers have given zeros for
//! too much workgroup memory, and noise.

mod attention;
mod decoding;
mod products;

use super::Gpu;
use crate::backend::Backend;
use crate::error::{Code, Error, Result};
use crate::op::{Buf, Op};

/// Asks all of them.
///
/// # Errors
/// `gpu-failed`, with what was asked, when an answer is wrong; whatever else the device says.
pub(super) async fn known_answers(gpu: &mut Gpu) -> Result<()> {
    products::check(gpu).await?;
    attention::check(gpu).await?;
    decoding::check(gpu).await
}

async fn run(gpu: &mut Gpu, ops: &[Op]) -> Result<()> {
    let program = gpu.prepare(ops)?;
    gpu.ready().await?;
    gpu.run(&program)
}

fn wrong(gpu: &Gpu, what: &str, found: f32, right: f32) -> Error {
    Error::new(
        Code::GpuFailed,
        format!("{} computes wrongly: {found} instead of {right} for {what}", gpu.describe()),
    )
    .advise("run on the CPU")
}

/// Numbers in -1..1 without a pattern that a wrong index could hide in.
fn pseudo(i: usize, salt: u32) -> f32 {
    let mixed = (i as u32).wrapping_add(salt).wrapping_mul(2_654_435_761);
    ((mixed ^ (mixed >> 15)).wrapping_mul(2_246_822_519) >> 8) as f32 / (1 << 23) as f32 - 1.0
}

async fn floats(gpu: &mut Gpu, buf: Buf, len: usize) -> Result<Vec<f32>> {
    let mut found = vec![0.0f32; len];
    gpu.read(buf, 0, bytemuck::cast_slice_mut(&mut found)).await?;
    Ok(found)
}

fn close(gpu: &Gpu, what: &str, found: f32, right: f32, allowed: f32) -> Result<()> {
    // Written so that a NaN is wrong.
    let is_right = (found - right).abs() <= allowed;
    if is_right { Ok(()) } else { Err(wrong(gpu, what, found, right)) }
}

fn upload(gpu: &mut Gpu, bytes: &[u8]) -> Result<Buf> {
    let buf = gpu.alloc("known-answer check", bytes.len() as u64)?;
    gpu.write(buf, 0, bytes)?;
    Ok(buf)
}

#[cfg(all(test, feature = "gpu-tests", not(target_family = "wasm")))]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::gpu::{Gpu, GpuOptions, Switch};

    #[test]
    fn every_variant_answers_rightly() {
        const EITHER: [Switch; 2] = [Switch::Off, Switch::On];
        // Any two settings meet; where there is time for it, any three.
        let all_three = std::env::var_os("PHI_LONG").is_some();
        for (f16, subgroups) in
            EITHER.into_iter().flat_map(|f16| EITHER.map(|subgroups| (f16, subgroups)))
        {
            let sizes = [(None, Switch::On), (Some(37), Switch::Off), (Some(256), Switch::On)];
            let meeting = sizes
                .into_iter()
                .enumerate()
                .filter(|(size, _)| all_three || (f16 == subgroups) == (size % 2 == 0));
            for (_, (workgroup, dots)) in meeting {
                // What is insisted on leaves one variant, whose wrong answer would be the outcome.
                pollster::block_on(Gpu::new(GpuOptions {
                    f16,
                    dots,
                    subgroups,
                    workgroup,
                    ..GpuOptions::default()
                }))
                .unwrap();
            }
        }
    }
}
