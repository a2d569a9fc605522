//! The shader files, and which of them make a module: a kernel first, then the library files that its variant needs, so that
//! line numbers in errors are the kernel's own.

use serde::{Deserialize, Serialize};

use super::params::{self, Layout};
use super::platform;
use crate::layout::Kind;
use crate::op::{KvKind, SamplerBuffers};

/// What products of weights and activations are computed in. Sums are always f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// What is multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Products {
    /// Weights and activations as floats.
    Floats(Real),
    /// Codes and activations of 15 bits as whole numbers, by dots of four bytes: for weights that have codes.
    Dots,
}

/// How a workgroup adds up what its invocations found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reduce {
    /// Through workgroup memory, everywhere.
    Workgroup,
    /// By subgroups of whatever width, where the adapter has them.
    Subgroup,
}

/// What a kernel for few tokens takes as its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Rows as they are.
    Plain,
    /// Their RMS norms.
    Normed,
}

/// A loop that does one thing as fast as the device can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peak {
    /// Reading memory.
    Reads,
    /// Multiplying and adding floats.
    Floats,
    /// Dots of four bytes.
    Dots,
}

/// What a workgroup of a kernel for few tokens computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    /// Quads of rows, 1 to [`MOST_QUADS`].
    pub quads: u32,
    /// Tokens, 1 to [`MOST_TOKENS`].
    pub tokens: u32,
}

/// A kernel in one of its variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shader {
    /// `embed.wgsl`.
    Embed(Kind),
    /// `norm.wgsl`.
    Norm(Reduce),
    /// `head_norm.wgsl`.
    HeadNorm(Reduce),
    /// `matvec.wgsl`.
    Matvec(Kind, Products, Reduce, Input, Block),
    /// `gated.wgsl`: norm, gate, up and swiglu. The block's quads are those of gate; as many of up come with them.
    Gated(Kind, Products, Reduce, Block),
    /// `matmul.wgsl`: many tokens.
    Matmul(Kind, Products),
    /// `rope.wgsl`.
    Rope(KvKind),
    /// `attend.wgsl`.
    Attend(KvKind),
    /// `attend_token.wgsl`, for so many queries of a KV head, 1 to [`MOST_QUERIES`].
    AttendToken(KvKind, Reduce, u32),
    /// `merge.wgsl`.
    Merge,
    /// `swiglu.wgsl`.
    Swiglu,
    /// `argmax.wgsl`.
    Argmax,
    /// `argmax_of_runs.wgsl`.
    ArgmaxOfRuns,
    /// `sample_prepare.wgsl`.
    SamplePrepare(Reduce),
    /// `sample.wgsl`.
    Sample(Reduce),
    /// `peak_reads.wgsl`, `peak_floats.wgsl` or `peak_dots.wgsl`, which compute nothing.
    Peak(Peak),
}

/// Tokens that the kernels for few take at once.
pub const MOST_TOKENS: u32 = 8;
/// Quads of rows that a workgroup of them takes at most.
pub const MOST_QUADS: u32 = 4;
/// Queries that one read of a KV head serves at most: they are the components of a vector.
pub const MOST_QUERIES: u32 = 4;
/// Tokens of an invocation of `matmul.wgsl`.
pub(super) const TILE_TOKENS: u32 = 8;
/// Queries of a team of `attend.wgsl`.
pub(super) const TEAM_QUERIES: u32 = 8;

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
    /// Every kernel in every variant that can be asked for, for the fewest and the most tokens and queries.
    pub fn all() -> Vec<Shader> {
        let (reals, reductions, kv) = ([Real::F32, Real::F16], [Reduce::Workgroup, Reduce::Subgroup], [KvKind::F16, KvKind::F32]);
        let blocks = [(1, 1), (MOST_QUADS, 1), (1, MOST_TOKENS)].map(|(quads, tokens)| Block { quads, tokens });
        let mut all = vec![Shader::Swiglu, Shader::Merge, Shader::Argmax, Shader::ArgmaxOfRuns];
        for kind in Kind::ALL {
            all.push(Shader::Embed(kind));
            let floats = reals.into_iter().filter(|real| real.with(kind) == *real).map(Products::Floats);
            for products in floats.chain(kind.has_scales().then_some(Products::Dots)) {
                all.push(Shader::Matmul(kind, products));
                for (reduce, block) in reductions.into_iter().flat_map(|reduce| blocks.map(|block| (reduce, block))) {
                    all.extend([Input::Plain, Input::Normed].map(|input| Shader::Matvec(kind, products, reduce, input, block)));
                    all.push(Shader::Gated(kind, products, reduce, block));
                }
            }
        }
        all.extend([Peak::Reads, Peak::Floats, Peak::Dots].map(Shader::Peak));
        for reduce in reductions {
            all.extend([Shader::Norm(reduce), Shader::HeadNorm(reduce), Shader::SamplePrepare(reduce), Shader::Sample(reduce)]);
        }
        for kind in kv {
            all.extend([Shader::Rope(kind), Shader::Attend(kind)]);
            for reduce in reductions {
                all.extend([1, MOST_QUERIES].map(|queries| Shader::AttendToken(kind, reduce, queries)));
            }
        }
        all
    }

    /// The kernel's file, without its ending.
    pub fn name(self) -> &'static str {
        self.file().0
    }

    fn file(self) -> (&'static str, &'static str) {
        match self {
            Shader::Embed(_) => ("embed", wgsl!("embed.wgsl")),
            Shader::Norm(_) => ("norm", wgsl!("norm.wgsl")),
            Shader::HeadNorm(_) => ("head_norm", wgsl!("head_norm.wgsl")),
            Shader::Matvec(..) => ("matvec", wgsl!("matvec.wgsl")),
            Shader::Gated(..) => ("gated", wgsl!("gated.wgsl")),
            Shader::Matmul(..) => ("matmul", wgsl!("matmul.wgsl")),
            Shader::Rope(_) => ("rope", wgsl!("rope.wgsl")),
            Shader::Attend(..) => ("attend", wgsl!("attend.wgsl")),
            Shader::AttendToken(..) => ("attend_token", wgsl!("attend_token.wgsl")),
            Shader::Merge => ("merge", wgsl!("merge.wgsl")),
            Shader::Swiglu => ("swiglu", wgsl!("swiglu.wgsl")),
            Shader::Argmax => ("argmax", wgsl!("argmax.wgsl")),
            Shader::ArgmaxOfRuns => ("argmax_of_runs", wgsl!("argmax_of_runs.wgsl")),
            Shader::SamplePrepare(_) => ("sample_prepare", wgsl!("sample_prepare.wgsl")),
            Shader::Sample(_) => ("sample", wgsl!("sample.wgsl")),
            Shader::Peak(Peak::Reads) => ("peak_reads", wgsl!("peak_reads.wgsl")),
            Shader::Peak(Peak::Floats) => ("peak_floats", wgsl!("peak_floats.wgsl")),
            Shader::Peak(Peak::Dots) => ("peak_dots", wgsl!("peak_dots.wgsl")),
        }
    }

    /// What it multiplies weights in, for kernels that do.
    pub fn products(self) -> Option<Products> {
        match self {
            Shader::Matvec(_, products, ..) | Shader::Gated(_, products, ..) | Shader::Matmul(_, products) => Some(products),
            _ => None,
        }
    }

    fn real(self) -> Option<Real> {
        match (self, self.products()) {
            // A table's rows are given out as they are, and nobody asks for the floats of whole numbers.
            (Shader::Embed(_), _) | (_, Some(Products::Dots)) => Some(Real::F32),
            (_, Some(Products::Floats(real))) => Some(real),
            _ => None,
        }
    }

    /// How its workgroups add up, for kernels whose do.
    pub fn reduce(self) -> Option<Reduce> {
        match self {
            Shader::Norm(reduce) | Shader::Matvec(_, _, reduce, ..) | Shader::Gated(_, _, reduce, _) => Some(reduce),
            Shader::HeadNorm(reduce) | Shader::AttendToken(_, reduce, _) | Shader::SamplePrepare(reduce) | Shader::Sample(reduce) => {
                Some(reduce)
            }
            _ => None,
        }
    }

    /// The kind of the weights, for kernels that read them.
    pub fn weights(self) -> Option<Kind> {
        match self {
            Shader::Embed(kind) | Shader::Matvec(kind, ..) | Shader::Gated(kind, ..) | Shader::Matmul(kind, _) => Some(kind),
            _ => None,
        }
    }

    fn cache(self) -> Option<KvKind> {
        match self {
            Shader::Rope(kind) | Shader::Attend(kind) | Shader::AttendToken(kind, ..) => Some(kind),
            _ => None,
        }
    }

    /// How few tokens it takes, and in which form, and how many quads in all.
    fn input(self) -> Option<(Input, Block)> {
        match self {
            Shader::Matvec(.., input, block) => Some((input, block)),
            Shader::Gated(.., block) => Some((Input::Normed, Block { quads: 2 * block.quads, ..block })),
            _ => None,
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
        source.push_str(self.file().1);
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
            Some(Kind::Q8) => concat!(wgsl!("lib/q8.wgsl"), wgsl!("lib/worth.wgsl")),
            Some(Kind::Q4) => concat!(wgsl!("lib/nibbles.wgsl"), wgsl!("lib/q4.wgsl"), wgsl!("lib/worth.wgsl")),
            Some(Kind::Q4Min) => concat!(wgsl!("lib/nibbles.wgsl"), wgsl!("lib/q4min.wgsl")),
            None => "",
        });
        if self.products() == Some(Products::Dots) {
            source.push_str(wgsl!("lib/whole.wgsl"));
        }
        source.push_str(match self {
            Shader::Matmul(_, Products::Floats(_)) => wgsl!("lib/tile_floats.wgsl"),
            Shader::Matmul(_, Products::Dots) => wgsl!("lib/tile_dots.wgsl"),
            _ => "",
        });
        if let Some((input, Block { quads, tokens })) = self.input() {
            source.push_str(wgsl!("lib/products.wgsl"));
            source.push_str(match self.products() {
                Some(Products::Dots) => wgsl!("lib/few_dots.wgsl"),
                _ => wgsl!("lib/few_floats.wgsl"),
            });
            source.push_str(match input {
                Input::Plain => wgsl!("lib/plain.wgsl"),
                Input::Normed => wgsl!("lib/normed.wgsl"),
            });
            // Sizes of arrays of one invocation, which no override can be.
            source.push_str(&format!("const QUADS: u32 = {quads}u;\nconst TOKENS: u32 = {tokens}u;\n"));
        }
        // What Rust counts with as well.
        source.push_str(&match self {
            Shader::Matmul(..) => format!("const TOKENS: u32 = {TILE_TOKENS}u;\n"),
            Shader::Attend(_) => format!("const QUERIES: u32 = {TEAM_QUERIES}u;\n"),
            Shader::AttendToken(.., queries) => format!("const QUERIES: u32 = {queries}u;\n"),
            Shader::SamplePrepare(_) | Shader::Sample(_) => {
                format!("const SEEN: u32 = {}u;\nconst MOST: f32 = {:e};\n", SamplerBuffers::SEEN, SamplerBuffers::MOST)
            }
            _ => String::new(),
        });
        if matches!(self, Shader::Rope(_) | Shader::AttendToken(..)) {
            source.push_str(wgsl!("lib/rotate.wgsl"));
        }
        if matches!(self, Shader::Argmax | Shader::ArgmaxOfRuns | Shader::SamplePrepare(_) | Shader::Sample(_)) {
            source.push_str(wgsl!("lib/argmax_reduce.wgsl"));
        }
        if matches!(self, Shader::SamplePrepare(_) | Shader::Sample(_)) {
            source.push_str(wgsl!("lib/sampler_params.wgsl"));
        }
        if matches!(self, Shader::Swiglu | Shader::Gated(..)) {
            source.push_str(wgsl!("lib/silu.wgsl"));
        }
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
        if let Some(kind) = self.weights() {
            let planes = [(1, true), (2, kind.has_scales()), (3, kind.has_mins())];
            bindings.extend(planes.into_iter().filter(|&(_, present)| present).map(|(at, _)| (at, Read)));
        }
        match self {
            Shader::Embed(_) | Shader::Matmul(..) => bindings.extend([(4, Read), (5, ReadWrite)]),
            Shader::Matvec(.., Input::Plain, _) => bindings.extend([(4, Read), (6, ReadWrite)]),
            Shader::Matvec(.., Input::Normed, _) | Shader::Gated(..) => bindings.extend([(4, Read), (5, Read), (6, ReadWrite)]),
            Shader::Norm(_) | Shader::HeadNorm(_) | Shader::Argmax => bindings.extend([(1, Read), (2, Read), (3, ReadWrite)]),
            Shader::Rope(_) => bindings.extend([(1, Read), (2, Read), (3, ReadWrite), (4, ReadWrite), (5, ReadWrite)]),
            Shader::Attend(..) => bindings.extend([(1, Read), (2, Read), (3, Read), (4, Read), (5, ReadWrite)]),
            Shader::SamplePrepare(_) => bindings.extend([(1, Read), (2, Read), (3, Read), (4, Read), (5, ReadWrite), (6, ReadWrite)]),
            Shader::AttendToken(..) | Shader::Sample(_) => {
                bindings.extend([(1, Read), (2, Read), (3, Read), (4, ReadWrite), (5, ReadWrite), (6, ReadWrite)]);
            }
            Shader::Merge | Shader::Swiglu | Shader::ArgmaxOfRuns | Shader::Peak(Peak::Reads) => {
                bindings.extend([(1, Read), (2, ReadWrite)]);
            }
            Shader::Peak(Peak::Floats | Peak::Dots) => bindings.push((1, ReadWrite)),
        }
        bindings
    }

    /// How its parameters lie on the Rust side.
    pub fn params(self) -> Layout {
        match self {
            Shader::Embed(_) => params::Embed::LAYOUT,
            Shader::Norm(_) => params::Norm::LAYOUT,
            Shader::HeadNorm(_) => params::HeadNorm::LAYOUT,
            Shader::Matvec(..) => params::Matvec::LAYOUT,
            Shader::Gated(..) => params::Gated::LAYOUT,
            Shader::Matmul(..) => params::Matmul::LAYOUT,
            Shader::Rope(_) => params::Rope::LAYOUT,
            Shader::Attend(..) => params::Attend::LAYOUT,
            Shader::AttendToken(..) => params::AttendToken::LAYOUT,
            Shader::Merge => params::Merge::LAYOUT,
            Shader::Swiglu => params::Swiglu::LAYOUT,
            Shader::Argmax | Shader::ArgmaxOfRuns => params::Argmax::LAYOUT,
            Shader::SamplePrepare(_) | Shader::Sample(_) => params::Sample::LAYOUT,
            Shader::Peak(_) => params::Peak::LAYOUT,
        }
    }
}
