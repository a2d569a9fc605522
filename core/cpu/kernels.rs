//! The table of kernels, once for every instruction set, and which of them this CPU runs.

use std::ops::Range;

use super::activations::{self, Tile};
use super::attend::{self, Attention, Task};
use super::dots::Dots;
use super::lanes::Lanes;
use super::matmul::{self, Many, One, Product};
use super::packed::with_kind;
use super::{norm, swiglu};
use crate::error::{Code, Result, fail};
use crate::layout::Kind;

/// Which instructions the kernels use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Simd {
    /// The widest that this CPU has.
    #[default]
    Auto,
    /// Plain Rust, the oracle of the others.
    Portable,
    /// WebAssembly's 128-bit vectors.
    Simd128,
    /// WebAssembly's with relaxed SIMD's dots, in modules that are compiled for it.
    Relaxed,
    /// AArch64's 128-bit vectors.
    Neon,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX-512 with VNNI.
    Avx512,
}

impl Simd {
    /// What this CPU runs, the best last; never empty.
    pub fn available() -> Vec<Simd> {
        [vec![Simd::Portable], arch::available()].concat()
    }

    /// The kernels. A page never names any, so the linker leaves the portable ones out of its
    /// module.
    pub(super) fn kernels(self) -> Result<&'static Kernels> {
        if self == Simd::Auto {
            return Ok(arch::widest());
        }
        let available = Simd::available();
        if !available.contains(&self) {
            fail!(
                Code::BadOption,
                "this CPU or build has no {self:?} instructions; it has {available:?}"
            );
        }
        Ok(if self == Simd::Portable { &PORTABLE } else { arch::kernels(self) })
    }
}

/// One instruction set's kernels. To call one, the CPU must have the instructions:
/// [`Simd::kernels`] sees to that.
pub struct Kernels {
    /// As people write it.
    pub name: &'static str,
    /// Floats of a vector.
    pub width: usize,
    /// Tokens of a tile.
    pub tokens: usize,
    pub pack: unsafe fn(Kind, &[f32], usize, Tile),
    pub norm: unsafe fn(&[f32], &[f32], &mut [f32], f32),
    /// Many tokens' products with weights of a kind, and one token's. Each is a function of its
    /// own: a browser compiles what is called, and what is long keeps the first tokens waiting.
    pub matmul: fn(Kind) -> Many,
    pub matvec: fn(Kind) -> One,
    pub attend: unsafe fn(&Attention, Task, &mut [f32]),
    pub swiglu: unsafe fn(&[f32], &[f32], &mut [f32]),
}

/// Compiles every kernel for some dots and their lanes, with the target features that they need.
macro_rules! kernels {
    ($table:ident, $name:literal, $dots:ty $(, $features:literal)?) => {
        static $table: Kernels = {
            type Vector = <$dots as Dots>::Lanes;
            kernels!(@ pack(kind: Kind, x: &[f32], count: usize, tile: Tile) =
                activations::kernel::<$dots> $(, $features)?);
            kernels!(@ norm(x: &[f32], weight: &[f32], out: &mut [f32], eps: f32) =
                norm::kernel::<Vector> $(, $features)?);
            fn matmul(kind: Kind) -> Many {
                with_kind!(kind, K => {
                    kernels!(@ matmul(p: &Product, quads: Range<usize>) =
                        matmul::many::<$dots, K> $(, $features)?);
                    matmul
                })
            }
            fn matvec(kind: Kind) -> One {
                with_kind!(kind, K => {
                    kernels!(@ matvec(p: &Product, token: usize, x: Tile, quads: Range<usize>) =
                        matmul::one::<$dots, K> $(, $features)?);
                    matvec
                })
            }
            kernels!(@ attend(a: &Attention, task: Task, memory: &mut [f32]) =
                attend::kernel::<Vector> $(, $features)?);
            kernels!(@ swiglu(gate: &[f32], up: &[f32], out: &mut [f32]) =
                swiglu::kernel::<Vector> $(, $features)?);
            Kernels {
                name: $name,
                width: Vector::WIDTH,
                tokens: Vector::TOKENS,
                pack,
                norm,
                matmul,
                matvec,
                attend,
                swiglu,
            }
        };
    };
    (@ $kernel:ident($($arg:ident: $type:ty),*) = $generic:expr $(, $features:literal)?) => {
        $(#[target_feature(enable = $features)])?
        unsafe fn $kernel($($arg: $type),*) {
            // SAFETY: the caller's.
            unsafe { $generic($($arg),*) }
        }
    };
}

kernels!(PORTABLE, "portable", super::dots::portable::PortableDots);

#[cfg(target_arch = "x86_64")]
mod arch {
    use super::*;
    use crate::cpu::dots::x86::{Avx2Dots, VnniDots};

    kernels!(AVX2, "AVX2", Avx2Dots, "avx2,fma,f16c");
    kernels!(AVX512, "AVX-512", VnniDots, "avx512f,avx512bw,avx512vnni,avx2,fma,f16c");

    pub fn available() -> Vec<Simd> {
        let avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        let bytes = is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vnni");
        let avx512 = avx2 && is_x86_feature_detected!("avx512f") && bytes;
        [(avx2, Simd::Avx2), (avx512, Simd::Avx512)]
            .into_iter()
            .filter(|&(has, _)| has)
            .map(|(_, simd)| simd)
            .collect()
    }

    pub fn widest() -> &'static Kernels {
        available().pop().map_or(&PORTABLE, kernels)
    }

    pub fn kernels(simd: Simd) -> &'static Kernels {
        if simd == Simd::Avx512 { &AVX512 } else { &AVX2 }
    }
}

#[cfg(all(
    target_arch = "wasm32",
    target_feature = "simd128",
    not(target_feature = "relaxed-simd")
))]
mod arch {
    use super::*;

    // The whole module is compiled with these instructions, or would not load.
    kernels!(SIMD128, "SIMD128", crate::cpu::dots::simd128::Simd128Dots);

    pub fn available() -> Vec<Simd> {
        vec![Simd::Simd128]
    }

    pub fn widest() -> &'static Kernels {
        &SIMD128
    }

    pub fn kernels(_: Simd) -> &'static Kernels {
        widest()
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
mod arch {
    use super::*;
    use crate::cpu::dots::relaxed::{Fours, Pairs, fours_are_native};

    // The whole module is compiled with these instructions, or would not load.
    kernels!(FOURS, "relaxed SIMD", Fours);
    kernels!(PAIRS, "relaxed SIMD", Pairs);

    pub fn available() -> Vec<Simd> {
        vec![Simd::Relaxed]
    }

    pub fn widest() -> &'static Kernels {
        if fours_are_native() { &FOURS } else { &PAIRS }
    }

    pub fn kernels(_: Simd) -> &'static Kernels {
        widest()
    }
}

#[cfg(target_arch = "aarch64")]
mod arch {
    use super::*;
    use crate::cpu::dots::neon::NeonDots;

    // Every AArch64 CPU that we run on has these instructions.
    kernels!(NEON, "NEON", NeonDots);

    pub fn available() -> Vec<Simd> {
        vec![Simd::Neon]
    }

    pub fn widest() -> &'static Kernels {
        &NEON
    }

    pub fn kernels(_: Simd) -> &'static Kernels {
        widest()
    }
}

#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    all(target_arch = "wasm32", target_feature = "simd128")
)))]
mod arch {
    use super::*;

    pub fn available() -> Vec<Simd> {
        Vec::new()
    }

    pub fn widest() -> &'static Kernels {
        &PORTABLE
    }

    pub fn kernels(_: Simd) -> &'static Kernels {
        widest()
    }
}
