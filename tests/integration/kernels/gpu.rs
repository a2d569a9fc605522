//! The GPU's kernels in every variant, at several sizes of workgroup. A machine without an adapter
//! fails.

use std::collections::BTreeSet;

use phi_wasm::Code;
use phi_wasm::backend::Backend;
use phi_wasm::gpu::{Block, Gpu, GpuOptions, Products, Real, Reduce, Shader, Switch, Tuning};
use phi_wasm::layout::Kind;
use phi_wasm::op::{self, Op};

use super::cases::{self, Case};
use super::oracle::Activations;
use super::runner::{self, Precision};
use super::sealing;

/// The largest error where products are computed in f16: an input, a weight, their product and sums
/// of four may each be off by 2^-11, but errors of many terms cancel, and no case comes within a
/// factor of two.
const F16: Precision =
    Precision { tolerance: 1.0 / 1024.0, activations: Activations::Kept, together: true };

/// Where few are chosen, they are the last with their variant: cases of one op, whose tolerance is
/// the narrowest.
fn all() -> Vec<Case> {
    [by_workgroups(), cases::matmul(), cases::attend()].concat()
}

/// All but those for many tokens, whose kernels have tiles: these know of no subgroups and have
/// their workgroups' size for themselves.
fn by_workgroups() -> Vec<Case> {
    let together = [
        cases::program(),
        cases::attend_token(),
        cases::normed(),
        cases::mixed(),
        cases::read_again(),
    ];
    let single = [
        cases::embed(),
        cases::norm(),
        cases::head_norm(),
        cases::matvec(),
        cases::rope(),
        cases::swiglu(),
        cases::argmax(),
        cases::log_probs(),
    ];
    [together.concat(), single.concat()].concat()
}

/// What multiplies weights.
fn products() -> Vec<Case> {
    [cases::program(), cases::normed(), cases::mixed(), cases::matvec(), cases::matmul()].concat()
}

/// One case in `each`, from `first` on, where all would take long and tell little more; other
/// settings begin at others.
fn some(cases: Vec<Case>, first: usize, each: usize) -> Vec<Case> {
    cases.into_iter().skip(first).step_by(each).collect()
}

/// A variant's name, whichever number of tokens, quads or queries it is made for, unless that is
/// one.
fn variant(shader: Shader) -> Option<String> {
    let several = |number: u32| number.min(2);
    let sized = |block: Block| Block { quads: several(block.quads), tokens: several(block.tokens) };
    let shader = match shader {
        Shader::Matvec(kind, products, reduce, input, block) => {
            Shader::Matvec(kind, products, reduce, input, sized(block))
        }
        Shader::Gated(kind, products, reduce, input, block) => {
            Shader::Gated(kind, products, reduce, input, sized(block))
        }
        Shader::AttendToken(kind, reduce, queries) => {
            Shader::AttendToken(kind, reduce, several(queries))
        }
        other => other,
    };
    Some(format!("{shader:?}"))
}

/// The kernel's name, of whatever variant.
fn kernel(shader: Shader) -> Option<String> {
    Some(shader.name().to_owned())
}

fn with_subgroups(shader: Shader) -> Option<String> {
    variant(shader).filter(|_| shader.reduce() == Some(Reduce::Subgroup))
}

fn with_dots(shader: Shader) -> Option<String> {
    variant(shader).filter(|_| shader.products() == Some(Products::Dots))
}

fn gated(shader: Shader) -> Option<String> {
    variant(shader).filter(|_| matches!(shader, Shader::Gated(..)))
}

fn of_several_quads(shader: Shader) -> Option<String> {
    let several = |block: Block| block.quads > 1;
    variant(shader).filter(|_| match shader {
        Shader::Matvec(.., block) | Shader::Gated(.., block) => several(block),
        _ => false,
    })
}

async fn open(options: GpuOptions) -> Gpu {
    platform::make_ready().await;
    Gpu::new(options).await.unwrap()
}

fn in_floats(subgroups: Switch) -> GpuOptions {
    GpuOptions { f16: Switch::Off, dots: Switch::Off, subgroups, ..GpuOptions::default() }
}

/// Runs the cases with a shader that `name` has a name for: all others are what other tests run.
async fn check(gpu: Gpu, cases: Vec<Case>, name: fn(Shader) -> Option<String>) {
    check_some(gpu, cases, name, 0, 1).await;
}

async fn check_some(
    mut gpu: Gpu,
    cases: Vec<Case>,
    name: fn(Shader) -> Option<String>,
    first: usize,
    each: usize,
) {
    let cases = some(platform::chosen(cases, names(&gpu, name)), first, each);
    let precision = precision(gpu.tuning());
    runner::check(&mut gpu, &cases, precision).await;
}

/// What a case's shaders are called.
fn names(gpu: &Gpu, name: fn(Shader) -> Option<String>) -> impl Fn(&Case) -> Vec<String> {
    move |case| gpu.shaders(&case.ops).unwrap().into_iter().filter_map(name).collect()
}

/// Cases that have all names between them, each with one that those after it in the table have not:
/// the larger ones.
pub fn one_a_name(cases: Vec<Case>, names: impl Fn(&Case) -> Vec<String>) -> Vec<Case> {
    let mut seen = BTreeSet::new();
    let is_new =
        |case: &Case| names(case).into_iter().fold(false, |new, name| seen.insert(name) | new);
    cases.into_iter().rev().filter(is_new).collect()
}

/// Given its rounded activations, a product in whole numbers errs as in f32.
fn precision(tuning: Tuning) -> Precision {
    let precision =
        if tuning.real == Real::F16 { F16 } else { Precision { together: true, ..runner::F32 } };
    let (from, in_lines) = (tuning.few_tokens + 1, tuning.few_dots);
    // Their groups have two scales: no dots.
    let rounded = Activations::Rounded { from, in_lines, not: &[Kind::Q6K, Kind::Q3K, Kind::Q2K] };
    let activations = if tuning.dots { rounded } else { Activations::Kept };
    Precision { activations, ..precision }
}

async_test! {
    async fn f32_without_subgroups() {
        check(open(in_floats(Switch::Off)).await, all(), variant).await;
    }
    async fn f32_with_subgroups() {
        check(open(in_floats(Switch::On)).await, by_workgroups(), with_subgroups).await;
    }
    async fn integer_dots() {
        let options = GpuOptions { dots: Switch::On, ..in_floats(Switch::Off) };
        check(open(options).await, products(), with_dots).await;
    }
    async fn integer_dots_for_few_tokens() {
        let few = GpuOptions { few_dots: true, quads: Some(2), ..in_floats(Switch::Off) };
        let options = GpuOptions { dots: Switch::On, ..few };
        check(open(options).await, [cases::matvec(), cases::normed()].concat(), with_dots).await;
    }
    async fn norms_apart() {
        let options = GpuOptions { norms_apart: true, ..in_floats(Switch::Off) };
        check(open(options).await, [cases::normed(), cases::read_again()].concat(), gated).await;
    }
    async fn odd_workgroups() {
        let sizes = [(Switch::Off, 37), (Switch::On, 5), (Switch::Off, 1), (Switch::On, 256)];
        let sizes = platform::few(sizes.into_iter().enumerate().collect());
        for (first, (subgroups, workgroup)) in sizes {
            let workgroup = Some(workgroup);
            let options = GpuOptions { dots: Switch::Auto, workgroup, ..in_floats(subgroups) };
            check(open(options).await, some(by_workgroups(), first, 5), kernel).await;
        }
    }
    async fn several_quads() {
        let quads = [(2, Switch::Off), (3, Switch::On), (4, Switch::Off)];
        for (first, (quads, subgroups)) in platform::few(quads.into_iter().enumerate().collect()) {
            let quads = Some(quads);
            let options = GpuOptions { dots: Switch::Auto, quads, ..in_floats(subgroups) };
            let cases = [cases::matvec(), cases::normed()].concat();
            check_some(open(options).await, cases, of_several_quads, first, 3).await;
        }
    }
    async fn all_that_the_adapter_has() {
        let options = GpuOptions { workgroup: Some(64), ..GpuOptions::default() };
        check(open(options).await, some(all(), 0, 5), kernel).await;
    }
}

async_test! {
    async fn a_buffer_that_is_not_there_is_an_error() {
        let mut gpu = Gpu::new(GpuOptions::default()).await.unwrap();
        let gate_up = gpu.alloc("gate_up", 4 * 64).unwrap();
        let out = gpu.alloc("out", 4 * 32).unwrap();
        let ops = [Op::Swiglu(op::Swiglu { gate_up, out, width: 32, rows: 1 })];
        let program = gpu.prepare(&ops).unwrap();
        gpu.run(&program).unwrap();
        for (offset, length) in [(4 * 32, 4), (2, 4), (0, 3), (u64::MAX - 3, 4)] {
            let mut data = vec![0; length];
            let written = gpu.write(out, offset, &data).map_err(|e| e.code);
            assert_eq!(written, Err(Code::Internal), "{offset} {length}");
            let read = gpu.read(out, offset, &mut data).await.map_err(|e| e.code);
            assert_eq!(read, Err(Code::Internal), "{offset} {length}");
        }
        gpu.free(out);
        assert_ne!(gpu.alloc("another", 4 * 32).unwrap(), out);
        assert_eq!(gpu.write(out, 0, &[0; 4]).unwrap_err().code, Code::Internal);
        assert_eq!(gpu.prepare(&ops).err().map(|e| e.code), Some(Code::Internal));
        assert_eq!(gpu.alloc("odd", 6).unwrap_err().code, Code::Internal);
        // The driver notices only when it is told to run; after that it is not believed any more.
        let mut nothing = [0; 4];
        let outcome = match gpu.run(&program) {
            Ok(()) => gpu.read(gate_up, 0, &mut nothing).await,
            refused => refused,
        };
        assert_eq!(outcome.unwrap_err().code, Code::GpuFailed);
        assert_eq!(gpu.run(&program).unwrap_err().code, Code::GpuFailed);
    }
    async fn pages_are_sealed() {
        sealing::check(&mut open(in_floats(Switch::Off)).await).await;
    }
    async fn a_token_is_rotated_and_attended_to_in_one_go_whatever_shares_a_head() {
        let gpu = Gpu::new(GpuOptions::default()).await.unwrap();
        for case in cases::attend_token() {
            let names: BTreeSet<&str> =
                gpu.shaders(&case.ops).unwrap().into_iter().map(Shader::name).collect();
            assert_eq!(names, BTreeSet::from(["attend_token", "merge"]), "{}", case.name);
        }
    }
    async fn what_cannot_be_had_is_refused() {
        let refused = async |options: GpuOptions| Gpu::new(options).await.err().map(|e| e.code);
        let named = |name: &str| GpuOptions { adapter: Some(name.into()), ..GpuOptions::default() };
        assert_eq!(refused(named("no such adapter")).await, Some(Code::NoGpu));
        for workgroup in [Some(0), Some(257)] {
            let options = GpuOptions { workgroup, ..GpuOptions::default() };
            assert_eq!(refused(options).await, Some(Code::BadOption));
        }
        let mut gpu = Gpu::new(named("")).await.unwrap();
        let most = gpu.limits().max_buffer;
        assert_eq!(gpu.alloc("too much", most + 4).unwrap_err().code, Code::OutOfMemory);
    }
}

/// A software GPU in a browser takes minutes for the whole table, which lavapipe has natively.
/// Chromium's has no f16; lavapipe has.
#[cfg(target_family = "wasm")]
pub mod platform {
    pub use super::one_a_name as chosen;

    pub async fn make_ready() {
        phi_wasm::web::subgroups::request().await;
    }

    /// Of rows that ask the same of one kernel with other data or sizes: every fourth, the second
    /// first.
    pub fn few<T>(rows: Vec<T>) -> Vec<T> {
        rows.into_iter().skip(1).step_by(4).collect()
    }
}

#[cfg(not(target_family = "wasm"))]
pub mod platform {
    use super::*;

    pub async fn make_ready() {}

    /// Cases that have a name.
    pub fn chosen(mut cases: Vec<Case>, names: impl Fn(&Case) -> Vec<String>) -> Vec<Case> {
        cases.retain(|case| !names(case).is_empty());
        cases
    }

    pub fn few<T>(rows: Vec<T>) -> Vec<T> {
        rows
    }

    fn in_halves(subgroups: Switch) -> GpuOptions {
        GpuOptions { f16: Switch::On, ..in_floats(subgroups) }
    }

    fn with_halves(shader: Shader) -> Option<String> {
        variant(shader).filter(|_| shader.products() == Some(Products::Floats(Real::F16)))
    }

    async_test! {
        async fn f16_without_subgroups() {
            check(open(in_halves(Switch::Off)).await, all(), with_halves).await;
        }
        // How a workgroup adds up knows nothing of halves.
        async fn f16_with_subgroups() {
            let gpu = open(in_halves(Switch::On)).await;
            let cases = one_a_name(by_workgroups(), names(&gpu, with_halves));
            check(gpu, cases, with_halves).await;
        }
    }
}
