//! The shader files, and which of them make a module: a kernel first, then the library files that
//! its variant needs, so that line numbers in errors are the kernel's own.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::params::Layout;
use super::{kernels, peaks, platform};
use crate::layout::Kind;
use crate::op::{self, KvKind};

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
    ($path:expr) => {
        include_str!(concat!("../../shaders/", $path))
    };
}

/// The module of a file of `shaders/`, with the struct of its parameters.
macro_rules! kernel {
    ($name:literal, $params:ty) => {
        Module {
            name: $name,
            params: <$params>::LAYOUT,
            bindings: vec![(0, Access::Uniform)],
            reduce: None,
            directives: Vec::new(),
            parts: vec![wgsl!(concat!($name, ".wgsl")).into()],
        }
    };
}

impl Shader {
    /// Every kernel in every variant that can be asked for, for the fewest and the most tokens and
    /// queries.
    pub fn all() -> Vec<Shader> {
        let (reals, reductions, kv) = (
            [Real::F32, Real::F16],
            [Reduce::Workgroup, Reduce::Subgroup],
            [KvKind::F16, KvKind::F32],
        );
        let blocks = [(1, 1), (MOST_QUADS, 1), (1, MOST_TOKENS)]
            .map(|(quads, tokens)| Block { quads, tokens });
        let mut all = vec![Shader::Swiglu, Shader::Merge, Shader::Argmax, Shader::ArgmaxOfRuns];
        for kind in Kind::ALL {
            all.push(Shader::Embed(kind));
            let floats =
                reals.into_iter().filter(|real| real.with(kind) == *real).map(Products::Floats);
            for products in floats.chain(kind.has_scales().then_some(Products::Dots)) {
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
            for reduce in reductions {
                all.extend(
                    [1, MOST_QUERIES].map(|queries| Shader::AttendToken(kind, reduce, queries)),
                );
            }
        }
        all
    }

    /// What its module is made of: a row for each kernel.
    fn module(self) -> Module {
        use Access::{Read, ReadWrite as Write};
        match self {
            Shader::Embed(kind) => {
                kernel!("embed", kernels::Embed).weights(kind, Real::F32).bind(4, &[Read, Write])
            }
            Shader::Norm(reduce) => {
                kernel!("norm", kernels::Norm).bind(1, &[Read, Read, Write]).sums(reduce)
            }
            Shader::HeadNorm(reduce) => {
                kernel!("head_norm", kernels::HeadNorm).bind(1, &[Read, Read, Write]).sums(reduce)
            }
            Shader::Matvec(kind, products, reduce, input, block) => {
                kernel!("matvec", kernels::Matvec)
                    .product(kind, products)
                    .sums(reduce)
                    .few(products, input, block)
            }
            Shader::Gated(kind, products, reduce, input, block) => {
                let both = Block { quads: 2 * block.quads, ..block };
                kernel!("gated", kernels::Gated)
                    .product(kind, products)
                    .sums(reduce)
                    .few(products, input, both)
                    .with(SILU)
            }
            Shader::Matmul(kind, products) => kernel!("matmul", kernels::Matmul)
                .product(kind, products)
                .bind(4, &[Read, Write])
                .with(if products == Products::Dots {
                    wgsl!("lib/tile_dots.wgsl")
                } else {
                    wgsl!("lib/tile_floats.wgsl")
                })
                .constant("TOKENS", TILE_TOKENS),
            Shader::Rope(kind) => kernel!("rope", kernels::Rope)
                .bind(1, &[Read, Read, Write, Write, Write])
                .cache(kind)
                .with(ROTATE),
            Shader::Attend(kind) => {
                let module =
                    kernel!("attend", kernels::Attend).bind(1, &[Read, Read, Read, Read, Write]);
                module.cache(kind).constant("QUERIES", TEAM_QUERIES)
            }
            Shader::AttendToken(kind, reduce, queries) => {
                let module = kernel!("attend_token", kernels::AttendToken)
                    .bind(1, &[Read, Read, Read, Write, Write, Write]);
                module.cache(kind).sums(reduce).with(ROTATE).constant("QUERIES", queries)
            }
            Shader::Merge => kernel!("merge", kernels::Merge).bind(1, &[Read, Write]),
            Shader::Swiglu => kernel!("swiglu", kernels::Swiglu).bind(1, &[Read, Write]).with(SILU),
            Shader::Argmax => {
                kernel!("argmax", kernels::Argmax).bind(1, &[Read, Read, Write]).with(ARGMAX)
            }
            Shader::ArgmaxOfRuns => {
                kernel!("argmax_of_runs", kernels::Argmax).bind(1, &[Read, Write]).with(ARGMAX)
            }
            Shader::SamplePrepare(reduce) => kernel!("sample_prepare", kernels::Sample)
                .bind(1, &[Read, Read, Read, Read, Write, Write])
                .sums(reduce)
                .samples(),
            Shader::Sample(reduce) => kernel!("sample", kernels::Sample)
                .bind(1, &[Read, Read, Read, Write, Write, Write])
                .sums(reduce)
                .samples(),
            Shader::Peak(Peak::Reads) => {
                kernel!("peak_reads", peaks::Params).bind(1, &[Read, Write])
            }
            Shader::Peak(Peak::Floats) => kernel!("peak_floats", peaks::Params).bind(1, &[Write]),
            Shader::Peak(Peak::Dots) => kernel!("peak_dots", peaks::Params).bind(1, &[Write]),
        }
    }

    /// The kernel's file, without its ending.
    pub fn name(self) -> &'static str {
        self.module().name
    }

    /// The whole module.
    pub fn source(self) -> String {
        let Module { directives, parts, .. } = self.module();
        directives.into_iter().map(str::trim_end).chain(parts.iter().map(|part| &**part)).collect()
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

/// A module in the making: a kernel, and what it is put together with.
struct Module {
    name: &'static str,
    params: Layout,
    bindings: Vec<(u32, Access)>,
    reduce: Option<Reduce>,
    /// What must come before all else. It shares the kernel's first line.
    directives: Vec<&'static str>,
    /// The kernel, then the library files and constants of its variant.
    parts: Vec<Cow<'static, str>>,
}

const SILU: &str = wgsl!("lib/silu.wgsl");
const ROTATE: &str = wgsl!("lib/rotate.wgsl");
const ARGMAX: &str = wgsl!("lib/argmax_reduce.wgsl");

impl Module {
    fn with(mut self, part: impl Into<Cow<'static, str>>) -> Module {
        self.parts.push(part.into());
        self
    }

    fn directive(mut self, directive: &'static str) -> Module {
        self.directives.push(directive);
        self
    }

    /// What Rust counts with as well, or sizes of arrays of one invocation, which no override can
    /// be.
    fn constant(self, name: &str, value: u32) -> Module {
        self.with(format!("const {name}: u32 = {value}u;\n"))
    }

    /// Buffers, from a binding on.
    fn bind(mut self, first: u32, buffers: &[Access]) -> Module {
        self.bindings.extend((first..).zip(buffers.iter().copied()));
        self
    }

    /// A matrix: bindings 1 to 3.
    fn weights(mut self, kind: Kind, real: Real) -> Module {
        let planes = [(1, true), (2, kind.has_scales()), (3, kind.has_mins())];
        self.bindings.extend(
            planes.into_iter().filter(|&(_, present)| present).map(|(at, _)| (at, Access::Read)),
        );
        let module = match real {
            Real::F32 => self.with(wgsl!("lib/f32.wgsl")),
            Real::F16 => self.with(wgsl!("lib/f16.wgsl")).directive(wgsl!("lib/enable_f16.wgsl")),
        };
        module.with(match kind {
            Kind::F32 => wgsl!("lib/weights_f32.wgsl"),
            Kind::F16 => wgsl!("lib/weights_f16.wgsl"),
            Kind::Q8 => concat!(wgsl!("lib/q8.wgsl"), wgsl!("lib/dequantise.wgsl")),
            Kind::Q4 => concat!(
                wgsl!("lib/nibbles.wgsl"),
                wgsl!("lib/q4.wgsl"),
                wgsl!("lib/dequantise.wgsl")
            ),
            Kind::Q4Min => concat!(wgsl!("lib/nibbles.wgsl"), wgsl!("lib/q4min.wgsl")),
        })
    }

    /// A matrix that something is multiplied with. Nobody asks for the floats of codes.
    fn product(self, kind: Kind, products: Products) -> Module {
        match products {
            Products::Floats(real) => self.weights(kind, real),
            Products::Dots => self.weights(kind, Real::F32).with(wgsl!("lib/int15.wgsl")),
        }
    }

    /// Few tokens: bindings 4 to 6.
    fn few(self, products: Products, input: Input, block: Block) -> Module {
        let module = match input {
            Input::Plain => self.bind(4, &[Access::Read]).with(wgsl!("lib/plain.wgsl")),
            Input::Normed => {
                self.bind(4, &[Access::Read, Access::Read]).with(wgsl!("lib/normed.wgsl"))
            }
        };
        module
            .bind(6, &[Access::ReadWrite])
            .with(wgsl!("lib/products.wgsl"))
            .with(if products == Products::Dots {
                wgsl!("lib/few_dots.wgsl")
            } else {
                wgsl!("lib/few_floats.wgsl")
            })
            .constant("QUADS", block.quads)
            .constant("TOKENS", block.tokens)
    }

    /// Sums of a workgroup.
    fn sums(mut self, reduce: Reduce) -> Module {
        self.reduce = Some(reduce);
        match reduce {
            Reduce::Workgroup => self.with(wgsl!("lib/reduce_workgroup.wgsl")),
            Reduce::Subgroup => {
                self.with(wgsl!("lib/reduce_subgroup.wgsl")).directive(platform::ENABLE_SUBGROUPS)
            }
        }
    }

    /// Cached keys and values.
    fn cache(self, kind: KvKind) -> Module {
        self.with(match kind {
            KvKind::F16 => wgsl!("lib/kv_f16.wgsl"),
            KvKind::F32 => wgsl!("lib/kv_f32.wgsl"),
        })
    }

    /// The sampler's rules.
    fn samples(self) -> Module {
        self.with(ARGMAX)
            .with(wgsl!("lib/sampler_params.wgsl"))
            .constant("SEEN", op::Sample::SEEN)
            .with(format!("const MOST: f32 = {:e};\n", op::Sample::MOST))
    }
}
