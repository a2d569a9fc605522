//! The kernels in their variants, and the modules that they are (`module`).

mod module;

use serde::{Deserialize, Serialize};

use super::params::Layout;
use crate::layout::Kind;
use crate::op::KvKind;

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
    /// Codes and int15 activations, by dots of four bytes: for weights that have codes.
    Dots,
}

impl Products {
    /// Whether there are dots with weights of a kind: those whose groups have codes and one scale.
    pub fn has_dots(kind: Kind) -> bool {
        kind.has_scales() && !kind.has_halves()
    }
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
    /// `gated.wgsl`: gate, up and swiglu. The block's quads are those of gate; as many of up come
    /// with them.
    Gated(Kind, Products, Reduce, Input, Block),
    /// `matmul.wgsl`: many tokens.
    Matmul(Kind, Products),
    /// `rope.wgsl`.
    Rope(KvKind),
    /// `attend.wgsl`.
    Attend(KvKind),
    /// `attend_token.wgsl`, for so many queries of a KV head, 1 to [`MOST_QUERIES`].
    AttendToken(KvKind, Reduce, u32),
    /// `seal.wgsl`.
    Seal(KvKind),
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
    /// `log_probs.wgsl`.
    LogProbs,
    /// `log_probs_of_runs.wgsl`.
    LogProbsOfRuns,
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

impl Shader {
    /// Every kernel in every variant that can be asked for, for the fewest and the most tokens and
    /// queries.
    pub fn all() -> Vec<Shader> {
        let (reals, reductions, kv) = (
            [Real::F32, Real::F16],
            [Reduce::Workgroup, Reduce::Subgroup],
            [KvKind::F16, KvKind::F32, KvKind::Int8, KvKind::Int4],
        );
        let blocks = [(1, 1), (MOST_QUADS, 1), (1, MOST_TOKENS)]
            .map(|(quads, tokens)| Block { quads, tokens });
        let mut all = vec![
            Shader::Swiglu,
            Shader::Merge,
            Shader::Argmax,
            Shader::ArgmaxOfRuns,
            Shader::LogProbs,
            Shader::LogProbsOfRuns,
        ];
        for kind in Kind::ALL {
            all.push(Shader::Embed(kind));
            let floats =
                reals.into_iter().filter(|real| real.with(kind) == *real).map(Products::Floats);
            for products in floats.chain(Products::has_dots(kind).then_some(Products::Dots)) {
                all.push(Shader::Matmul(kind, products));
                for (reduce, block) in
                    reductions.into_iter().flat_map(|reduce| blocks.map(|block| (reduce, block)))
                {
                    all.extend(
                        [Input::Plain, Input::Normed]
                            .map(|input| Shader::Matvec(kind, products, reduce, input, block)),
                    );
                    all.extend(
                        [Input::Plain, Input::Normed]
                            .map(|input| Shader::Gated(kind, products, reduce, input, block)),
                    );
                }
            }
        }
        all.extend([Peak::Reads, Peak::Floats, Peak::Dots].map(Shader::Peak));
        for reduce in reductions {
            all.extend([
                Shader::Norm(reduce),
                Shader::HeadNorm(reduce),
                Shader::SamplePrepare(reduce),
                Shader::Sample(reduce),
            ]);
        }
        for kind in kv {
            all.extend([Shader::Rope(kind), Shader::Attend(kind)]);
            all.extend(kind.code_bits().map(|_| Shader::Seal(kind)));
            for reduce in reductions {
                all.extend(
                    [1, MOST_QUERIES].map(|queries| Shader::AttendToken(kind, reduce, queries)),
                );
            }
        }
        all
    }

    /// The kernel's file, without its ending.
    pub fn name(self) -> &'static str {
        self.module().name
    }

    /// The whole module.
    pub fn source(self) -> String {
        self.module().source()
    }

    /// The bindings, by number. A matrix's scales and minima are left out where its kind has none.
    pub fn bindings(self) -> Vec<(u32, Access)> {
        self.module().bindings
    }

    /// How its parameters lie on the Rust side.
    pub fn params(self) -> Layout {
        self.module().params
    }

    /// What it multiplies weights in, for kernels that do.
    pub fn products(self) -> Option<Products> {
        match self {
            Shader::Matvec(_, products, ..)
            | Shader::Gated(_, products, ..)
            | Shader::Matmul(_, products) => Some(products),
            _ => None,
        }
    }

    /// How its workgroups add up, for kernels whose do.
    pub fn reduce(self) -> Option<Reduce> {
        self.module().reduce
    }
}
