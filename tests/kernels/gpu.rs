//! The GPU's kernels in every variant, at several sizes of workgroup. A machine without an adapter fails.

use phi_wasm::gpu::{Choice, Gpu, GpuOptions, Real};

use crate::cases::{self, Case};
use crate::{async_test, runner};

/// The largest error where products are computed in f16: an input, a weight, their product and sums of four may each be off by
/// 2^-11, but errors of many terms cancel, and no case comes within a factor of two.
const F16: f64 = 1.0 / 1024.0;

fn all() -> Vec<Case> {
    [cases::embed(), cases::norm(), cases::matmul(), cases::rope(), cases::attend(), cases::swiglu(), cases::program()].concat()
}

/// The rows of a small number of tokens, for sizes of workgroup that take long.
fn few() -> Vec<Case> {
    all().into_iter().step_by(5).collect()
}

async fn check(cases: &[Case], f16: Choice, subgroups: Choice, workgroup: Option<u32>) {
    let options = GpuOptions { f16, subgroups, workgroup, ..GpuOptions::default() };
    let mut gpu = Gpu::new(options).await.unwrap();
    let tolerance = if gpu.tuning().real == Real::F16 { F16 } else { runner::F32 };
    runner::check(&mut gpu, cases, tolerance).await;
}

async_test! {
    async fn f32_without_subgroups() {
        check(&all(), Choice::Off, Choice::Off, None).await;
    }
    async fn f32_with_subgroups() {
        check(&all(), Choice::Off, Choice::On, None).await;
    }
    async fn odd_workgroups() {
        for (subgroups, workgroup) in [(Choice::Off, 1), (Choice::Off, 37), (Choice::On, 5), (Choice::On, 256)] {
            check(&few(), Choice::Off, subgroups, Some(workgroup)).await;
        }
    }
    async fn all_that_the_adapter_has() {
        check(&all(), Choice::Auto, Choice::Auto, Some(64)).await;
    }
}

/// Software adapters of browsers have no f16.
#[cfg(not(target_family = "wasm"))]
mod native {
    use super::*;

    async_test! {
        async fn f16_without_subgroups() {
            check(&all(), Choice::On, Choice::Off, None).await;
        }
        async fn f16_with_subgroups() {
            check(&all(), Choice::On, Choice::On, None).await;
        }
    }
}
