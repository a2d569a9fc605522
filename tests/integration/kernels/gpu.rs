//! The GPU's kernels in every variant, at several sizes of workgroup. A machine without an adapter fails.

use phi_wasm::Code;
use phi_wasm::backend::Backend;
use phi_wasm::gpu::{Choice, Gpu, GpuOptions, Real, Tuning};
use phi_wasm::op::Op;

use super::cases::{self, Case};
use super::oracle::Activations;
use super::runner::{self, Precision};

/// The largest error where products are computed in f16: an input, a weight, their product and sums of four may each be off by
/// 2^-11, but errors of many terms cancel, and no case comes within a factor of two.
const F16: Precision = Precision { tolerance: 1.0 / 1024.0, activations: Activations::Kept, together: true };

fn all() -> Vec<Case> {
    [by_workgroups(), cases::matmul(), cases::attend()].concat()
}

/// All but those for many tokens, whose kernels have tiles: these know of no subgroups and have their workgroups' size for themselves.
fn by_workgroups() -> Vec<Case> {
    let single = [cases::embed(), cases::norm(), cases::matvec(), cases::rope(), cases::swiglu(), cases::argmax()];
    let together = [cases::normed(), cases::attend_token(), cases::program()];
    [single.concat(), together.concat()].concat()
}

/// What multiplies weights.
fn products() -> Vec<Case> {
    [cases::matvec(), cases::matmul(), cases::normed(), cases::program()].concat()
}

/// One case in `each`, from `first` on, where all would take long and tell little more; other settings begin at others.
fn some(cases: Vec<Case>, first: usize, each: usize) -> Vec<Case> {
    cases.into_iter().skip(first).step_by(each).collect()
}

async fn check(cases: &[Case], f16: Choice, dots: Choice, subgroups: Choice, workgroup: Option<u32>) {
    platform::make_ready().await;
    let options = GpuOptions { f16, dots, subgroups, workgroup, ..GpuOptions::default() };
    let mut gpu = Gpu::new(options).await.unwrap();
    let precision = precision(gpu.tuning());
    runner::check(&mut gpu, cases, precision).await;
}

/// Given its rounded activations, a product in whole numbers errs as in f32.
fn precision(tuning: Tuning) -> Precision {
    let precision = if tuning.real == Real::F16 { F16 } else { Precision { together: true, ..runner::F32 } };
    let rounded = Activations::Rounded { from: tuning.few_tokens + 1, in_lines: tuning.few_dots };
    let activations = if tuning.dots { rounded } else { Activations::Kept };
    Precision { activations, ..precision }
}

async_test! {
    async fn f32_without_subgroups() {
        check(&all(), Choice::Off, Choice::Off, Choice::Off, None).await;
    }
    async fn f32_with_subgroups() {
        check(&by_workgroups(), Choice::Off, Choice::Off, Choice::On, None).await;
    }
    async fn integer_dots() {
        check(&products(), Choice::Off, Choice::On, Choice::Off, None).await;
    }
    async fn integer_dots_for_few_tokens() {
        platform::make_ready().await;
        let options = GpuOptions { f16: Choice::Off, dots: Choice::On, few_dots: true, quads: Some(2), ..GpuOptions::default() };
        let mut gpu = Gpu::new(options).await.unwrap();
        let precision = precision(gpu.tuning());
        runner::check(&mut gpu, &[cases::matvec(), cases::normed()].concat(), precision).await;
    }
    async fn odd_workgroups() {
        let sizes = [(Choice::Off, 1), (Choice::Off, 37), (Choice::On, 5), (Choice::On, 256)];
        for (first, (subgroups, workgroup)) in sizes.into_iter().enumerate() {
            check(&some(by_workgroups(), first, 5), Choice::Off, Choice::Auto, subgroups, Some(workgroup)).await;
        }
    }
    async fn several_quads() {
        platform::make_ready().await;
        for (first, (quads, subgroups)) in [(2, Choice::Off), (3, Choice::On), (4, Choice::Off)].into_iter().enumerate() {
            let options = GpuOptions { f16: Choice::Off, subgroups, quads: Some(quads), ..GpuOptions::default() };
            let mut gpu = Gpu::new(options).await.unwrap();
            let precision = precision(gpu.tuning());
            runner::check(&mut gpu, &some([cases::matvec(), cases::normed()].concat(), first, 3), precision).await;
        }
    }
    async fn all_that_the_adapter_has() {
        check(&some(all(), 0, 5), Choice::Auto, Choice::Auto, Choice::Auto, Some(64)).await;
    }
}

async_test! {
    async fn a_buffer_that_is_not_there_is_an_error() {
        let mut gpu = Gpu::new(GpuOptions::default()).await.unwrap();
        let (gate_up, out) = (gpu.alloc("gate_up", 4 * 64).unwrap(), gpu.alloc("out", 4 * 32).unwrap());
        let ops = [Op::Swiglu { gate_up, out, width: 32, rows: 1 }];
        let program = gpu.prepare(&ops).unwrap();
        gpu.run(&program).unwrap();
        for (offset, length) in [(4 * 32, 4), (2, 4), (0, 3), (u64::MAX - 3, 4)] {
            assert_eq!(gpu.write(out, offset, &vec![0; length]).unwrap_err().code, Code::Internal, "{offset} {length}");
            assert_eq!(gpu.read(out, offset, &mut vec![0; length]).await.unwrap_err().code, Code::Internal, "{offset} {length}");
        }
        gpu.free(out);
        assert_ne!(gpu.alloc("another", 4 * 32).unwrap(), out);
        assert_eq!(gpu.write(out, 0, &[0; 4]).unwrap_err().code, Code::Internal);
        assert_eq!(gpu.prepare(&ops).err().map(|e| e.code), Some(Code::Internal));
        assert_eq!(gpu.alloc("odd", 6).unwrap_err().code, Code::Internal);
        // The driver notices only when it is told to run; after that it is not believed any more.
        let mut nothing = [0; 4];
        let outcome = gpu.run(&program);
        let outcome = if outcome.is_ok() { gpu.read(gate_up, 0, &mut nothing).await } else { outcome };
        assert_eq!(outcome.unwrap_err().code, Code::GpuFailed);
        assert_eq!(gpu.run(&program).unwrap_err().code, Code::GpuFailed);
    }
    async fn what_cannot_be_had_is_refused() {
        let refused = async |options: GpuOptions| Gpu::new(options).await.err().map(|e| e.code);
        let named = |name: &str| GpuOptions { adapter: Some(name.into()), ..GpuOptions::default() };
        assert_eq!(refused(named("no such adapter")).await, Some(Code::NoGpu));
        assert_eq!(refused(named("")).await, None);
        for workgroup in [Some(0), Some(257)] {
            assert_eq!(refused(GpuOptions { workgroup, ..GpuOptions::default() }).await, Some(Code::BadOption));
        }
        let mut gpu = Gpu::new(GpuOptions::default()).await.unwrap();
        let most = gpu.limits().max_buffer;
        assert_eq!(gpu.alloc("too much", most + 4).unwrap_err().code, Code::OutOfMemory);
    }
}

#[cfg(target_family = "wasm")]
pub mod platform {
    pub async fn make_ready() {
        phi_wasm::web::subgroups::request().await;
    }
}

/// Chromium's software adapter has no f16; lavapipe has.
#[cfg(not(target_family = "wasm"))]
pub mod platform {
    use super::*;

    pub async fn make_ready() {}

    async_test! {
        async fn f16_without_subgroups() {
            check(&all(), Choice::On, Choice::Off, Choice::Off, None).await;
        }
        async fn f16_with_subgroups() {
            check(&by_workgroups(), Choice::On, Choice::Off, Choice::On, None).await;
        }
    }
}
