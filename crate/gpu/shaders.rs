//! The shader files, and which of them make a module: a kernel first, then the library files that its variant needs, so that
//! line numbers in errors are the kernel's own.

use super::params::{self, Layout};
use super::platform;
use crate::op::KvKind;
use crate::weights::layout::Kind;

/// What products of weights and activations are computed in. Sums are always f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Real {
    /// Single precision, everywhere.
    F32,
    /// Half precision, where the adapter has it.
    F16,
}

impl Real {
    /// What products with weights of a kind are computed in: f32 weights are there to be exact.
    pub(super) fn with(self, kind: Kind) -> Real {
        if kind == Kind::F32 { Real::F32 } else { self }
    }
}

/// How a workgroup adds up what its invocations found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduce {
    /// Through workgroup memory, everywhere.
    Workgroup,
    /// By subgroups of whatever width, where the adapter has them.
    Subgroup,
}

/// A kernel in one of its variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shader {
    /// `embed.wgsl`.
    Embed(Kind),
    /// `norm.wgsl`.
    Norm(Reduce),
    /// `matvec.wgsl`: few tokens.
    Matvec(Kind, Real, Reduce),
    /// `matmul.wgsl`: many tokens.
    Matmul(Kind, Real),
    /// `rope.wgsl`.
    Rope(KvKind),
    /// `attend.wgsl`.
    Attend(KvKind, Reduce),
    /// `swiglu.wgsl`.
    Swiglu,
}

/// Whether a shader writes to a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `var<uniform>`: binding 0.
    Uniform,
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    ReadWrite,
}

/// Includes a file of `shaders/`.
macro_rules! wgsl {
    ($path:literal) => {
        include_str!(concat!("../../shaders/", $path))
    };
}

impl Shader {
    /// Every kernel in every variant that can be asked for.
    pub fn all() -> Vec<Shader> {
        let (reals, reductions, kv) = ([Real::F32, Real::F16], [Reduce::Workgroup, Reduce::Subgroup], [KvKind::F16, KvKind::F32]);
        let mut all = vec![Shader::Swiglu];
        for kind in Kind::ALL {
            all.push(Shader::Embed(kind));
            for real in reals.into_iter().filter(|real| real.with(kind) == *real) {
                all.push(Shader::Matmul(kind, real));
                all.extend(reductions.map(|reduce| Shader::Matvec(kind, real, reduce)));
            }
        }
        all.extend(reductions.map(Shader::Norm));
        for kind in kv {
            all.push(Shader::Rope(kind));
            all.extend(reductions.map(|reduce| Shader::Attend(kind, reduce)));
        }
        all
    }

    /// The kernel's file, without its ending.
    pub fn name(self) -> &'static str {
        match self {
            Shader::Embed(_) => "embed",
            Shader::Norm(_) => "norm",
            Shader::Matvec(..) => "matvec",
            Shader::Matmul(..) => "matmul",
            Shader::Rope(_) => "rope",
            Shader::Attend(..) => "attend",
            Shader::Swiglu => "swiglu",
        }
    }

    fn kernel(self) -> &'static str {
        match self {
            Shader::Embed(_) => wgsl!("embed.wgsl"),
            Shader::Norm(_) => wgsl!("norm.wgsl"),
            Shader::Matvec(..) => wgsl!("matvec.wgsl"),
            Shader::Matmul(..) => wgsl!("matmul.wgsl"),
            Shader::Rope(_) => wgsl!("rope.wgsl"),
            Shader::Attend(..) => wgsl!("attend.wgsl"),
            Shader::Swiglu => wgsl!("swiglu.wgsl"),
        }
    }

    fn real(self) -> Option<Real> {
        match self {
            // A table's rows are given out as they are.
            Shader::Embed(_) => Some(Real::F32),
            Shader::Matvec(_, real, _) | Shader::Matmul(_, real) => Some(real),
            Shader::Norm(_) | Shader::Rope(_) | Shader::Attend(..) | Shader::Swiglu => None,
        }
    }

    fn reduce(self) -> Option<Reduce> {
        match self {
            Shader::Norm(reduce) | Shader::Matvec(_, _, reduce) | Shader::Attend(_, reduce) => Some(reduce),
            Shader::Embed(_) | Shader::Matmul(..) | Shader::Rope(_) | Shader::Swiglu => None,
        }
    }

    /// The kind of the weights, for kernels that read them.
    pub fn weights(self) -> Option<Kind> {
        match self {
            Shader::Embed(kind) | Shader::Matvec(kind, ..) | Shader::Matmul(kind, _) => Some(kind),
            Shader::Norm(_) | Shader::Rope(_) | Shader::Attend(..) | Shader::Swiglu => None,
        }
    }

    fn cache(self) -> Option<KvKind> {
        match self {
            Shader::Rope(kind) | Shader::Attend(kind, _) => Some(kind),
            Shader::Embed(_) | Shader::Norm(_) | Shader::Matvec(..) | Shader::Matmul(..) | Shader::Swiglu => None,
        }
    }

    /// The whole module.
    pub fn source(self) -> String {
        let mut source = String::new();
        // Directives come first in a module. They share the kernel's first line.
        if self.real() == Some(Real::F16) {
            source.push_str(wgsl!("lib/enable_f16.wgsl").trim_end());
        }
        if self.reduce() == Some(Reduce::Subgroup) {
            source.push_str(platform::ENABLE_SUBGROUPS.trim_end());
        }
        source.push_str(self.kernel());
        source.push_str(match self.real() {
            Some(Real::F32) => wgsl!("lib/f32.wgsl"),
            Some(Real::F16) => wgsl!("lib/f16.wgsl"),
            None => "",
        });
        source.push_str(match self.reduce() {
            Some(Reduce::Workgroup) => wgsl!("lib/reduce_workgroup.wgsl"),
            Some(Reduce::Subgroup) => wgsl!("lib/reduce_subgroup.wgsl"),
            None => "",
        });
        source.push_str(match self.weights() {
            Some(Kind::F32) => wgsl!("lib/weights_f32.wgsl"),
            Some(Kind::F16) => wgsl!("lib/weights_f16.wgsl"),
            Some(Kind::Q8) => wgsl!("lib/q8.wgsl"),
            Some(Kind::Q4) => concat!(wgsl!("lib/nibbles.wgsl"), wgsl!("lib/q4.wgsl")),
            Some(Kind::Q4Min) => concat!(wgsl!("lib/nibbles.wgsl"), wgsl!("lib/q4min.wgsl")),
            None => "",
        });
        source.push_str(match self.cache() {
            Some(KvKind::F16) => wgsl!("lib/kv_f16.wgsl"),
            Some(KvKind::F32) => wgsl!("lib/kv_f32.wgsl"),
            None => "",
        });
        source
    }

    /// The bindings, by number. A matrix's scales and minima are left out where its kind has none.
    pub fn bindings(self) -> Vec<(u32, Access)> {
        use Access::{Read, ReadWrite};
        let mut bindings = vec![(0, Access::Uniform)];
        match self {
            Shader::Embed(kind) | Shader::Matvec(kind, ..) | Shader::Matmul(kind, _) => {
                let planes = [(1, true), (2, kind.has_scales()), (3, kind.has_mins())];
                bindings.extend(planes.into_iter().filter(|&(_, present)| present).map(|(at, _)| (at, Read)));
                bindings.extend([(4, Read), (5, ReadWrite)]);
            }
            Shader::Norm(_) => bindings.extend([(1, Read), (2, Read), (3, ReadWrite)]),
            Shader::Rope(_) => bindings.extend([(1, Read), (2, Read), (3, ReadWrite), (4, ReadWrite), (5, ReadWrite)]),
            Shader::Attend(..) => bindings.extend([(1, Read), (2, Read), (3, Read), (4, Read), (5, ReadWrite)]),
            Shader::Swiglu => bindings.extend([(1, Read), (2, ReadWrite)]),
        }
        bindings
    }

    /// How its parameters lie on the Rust side.
    pub fn params(self) -> Layout {
        match self {
            Shader::Embed(_) => params::Embed::LAYOUT,
            Shader::Norm(_) => params::Norm::LAYOUT,
            Shader::Matvec(..) => params::Matvec::LAYOUT,
            Shader::Matmul(..) => params::Matmul::LAYOUT,
            Shader::Rope(_) => params::Rope::LAYOUT,
            Shader::Attend(..) => params::Attend::LAYOUT,
            Shader::Swiglu => params::Swiglu::LAYOUT,
        }
    }
}
