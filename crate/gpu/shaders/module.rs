//! Which shader files make a module: a kernel first, then the library files that its variant needs,
//! so that line numbers in errors are the kernel's own.

use std::borrow::Cow;

use super::{
    Access, Block, Input, Peak, Products, Real, Reduce, Shader, TEAM_QUERIES, TILE_TOKENS,
};
use crate::gpu::params::{self, Layout};
use crate::gpu::platform;
use crate::layout::{Kind, Scales};
use crate::op::{self, KvKind, PAGE};

/// Includes a file of `shaders/`.
macro_rules! wgsl {
    ($($part:expr),+) => {{
        const WHOLE: &str = include_str!(concat!("../../../shaders/", $($part),+));
        const BYTES: [u8; bare_length(WHOLE)] = bare(WHOLE);
        const BARE: &str = match std::str::from_utf8(&BYTES) {
            Ok(text) => text,
            Err(_) => panic!("comments are cut off as a whole"),
        };
        BARE
    }};
}

/// A shader without its comments and what its lines are indented by: pages fetch it. Lines keep
/// their numbers.
const fn bare<const LENGTH: usize>(whole: &str) -> [u8; LENGTH] {
    let (mut bare, mut length, mut at) = ([0; LENGTH], 0, 0);
    while at < whole.len() {
        at = skipped(whole.as_bytes(), at);
        if at < whole.len() {
            bare[length] = whole.as_bytes()[at];
            (length, at) = (length + 1, at + 1);
        }
    }
    bare
}

/// How many bytes of a shader are left.
const fn bare_length(whole: &str) -> usize {
    let (mut length, mut at) = (0, 0);
    while at < whole.len() {
        at = skipped(whole.as_bytes(), at);
        if at < whole.len() {
            (length, at) = (length + 1, at + 1);
        }
    }
    length
}

/// Where a shader goes on, from a place in it.
const fn skipped(whole: &[u8], from: usize) -> usize {
    let mut at = from;
    if at == 0 || whole[at - 1] == b'\n' {
        while at < whole.len() && whole[at] == b' ' {
            at += 1;
        }
    }
    if at + 1 < whole.len() && whole[at] == b'/' && whole[at + 1] == b'/' {
        while at < whole.len() && whole[at] != b'\n' {
            at += 1;
        }
    }
    at
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
            parts: vec![wgsl!($name, ".wgsl").into()],
        }
    };
}

impl Shader {
    /// What its module is made of: a row for each kernel.
    pub(super) fn module(self) -> Module {
        use Access::{Read, ReadWrite as Write};
        match self {
            Shader::Embed(kind) => {
                kernel!("embed", params::Embed).weights(kind, Real::F32).bind(4, &[Read, Write])
            }
            Shader::Norm(reduce) => {
                kernel!("norm", params::Norm).bind(1, &[Read, Read, Write]).sums(reduce)
            }
            Shader::HeadNorm(reduce) => {
                kernel!("head_norm", params::HeadNorm).bind(1, &[Read, Read, Write]).sums(reduce)
            }
            Shader::Matvec(kind, products, reduce, input, block) => {
                kernel!("matvec", params::Matvec)
                    .product(kind, products)
                    .sums(reduce)
                    .few(products, input, block)
            }
            Shader::Gated(kind, products, reduce, input, block) => {
                let both = Block { quads: 2 * block.quads, ..block };
                kernel!("gated", params::Gated)
                    .product(kind, products)
                    .sums(reduce)
                    .few(products, input, both)
                    .with(SILU)
            }
            Shader::Matmul(kind, products) => kernel!("matmul", params::Matmul)
                .product(kind, products)
                .bind(4, &[Read, Write])
                .with(if products == Products::Dots {
                    wgsl!("lib/tile_dots.wgsl")
                } else {
                    wgsl!("lib/tile_floats.wgsl")
                })
                .constant("TOKENS", TILE_TOKENS),
            Shader::Rope(kind) => kernel!("rope", params::Rope)
                .bind(1, &[Read, Read, Write, Write, Write])
                .cache(kind)
                .appends(kind)
                .with(ROTATE),
            Shader::Attend(kind) => {
                let module =
                    kernel!("attend", params::Attend).bind(1, &[Read, Read, Read, Read, Write]);
                module.cache(kind).constant("QUERIES", TEAM_QUERIES)
            }
            Shader::AttendToken(kind, reduce, queries) => {
                let module = kernel!("attend_token", params::AttendToken)
                    .bind(1, &[Read, Read, Read, Write, Write, Write]);
                module
                    .cache(kind)
                    .appends(kind)
                    .sums(reduce)
                    .with(ROTATE)
                    .constant("QUERIES", queries)
            }
            Shader::Seal(kind) => {
                kernel!("seal", params::Seal).bind(1, &[Read, Write, Write]).cache(kind)
            }
            Shader::Merge => kernel!("merge", params::Merge).bind(1, &[Read, Write]),
            Shader::Swiglu => kernel!("swiglu", params::Swiglu).bind(1, &[Read, Write]).with(SILU),
            Shader::Argmax => {
                kernel!("argmax", params::Argmax).bind(1, &[Read, Read, Write]).with(ARGMAX)
            }
            Shader::ArgmaxOfRuns => {
                kernel!("argmax_of_runs", params::Argmax).bind(1, &[Read, Write]).with(ARGMAX)
            }
            Shader::SamplePrepare(reduce) => kernel!("sample_prepare", params::Sample)
                .bind(1, &[Read, Read, Read, Read, Read, Write, Write])
                .sums(reduce)
                .samples(),
            Shader::Sample(reduce) => kernel!("sample", params::Sample)
                .bind(1, &[Read, Read, Read, Write, Write, Write])
                .sums(reduce)
                .samples(),
            Shader::LogProbs => kernel!("log_probs", params::LogProbs)
                .bind(1, &[Read, Write])
                .sums(Reduce::Workgroup)
                .with(ARGMAX)
                .with(LOG_PROBS),
            Shader::LogProbsOfRuns => kernel!("log_probs_of_runs", params::LogProbs)
                .bind(1, &[Read, Read, Read, Write])
                .sums(Reduce::Workgroup)
                .with(ARGMAX)
                .with(LOG_PROBS),
            Shader::Peak(Peak::Reads) => {
                kernel!("peak_reads", params::Peak).bind(1, &[Read, Write])
            }
            Shader::Peak(Peak::Floats) => kernel!("peak_floats", params::Peak).bind(1, &[Write]),
            Shader::Peak(Peak::Dots) => kernel!("peak_dots", params::Peak).bind(1, &[Write]),
        }
    }
}

/// A module in the making: a kernel, and what it is put together with.
pub(super) struct Module {
    pub name: &'static str,
    pub params: Layout,
    pub bindings: Vec<(u32, Access)>,
    pub reduce: Option<Reduce>,
    /// What must come before all else. It shares the kernel's first line.
    directives: Vec<&'static str>,
    /// The kernel, then the library files and constants of its variant.
    parts: Vec<Cow<'static, str>>,
}

const SILU: &str = wgsl!("lib/silu.wgsl");
const DEQUANTISE: &str = wgsl!("lib/dequantise.wgsl");
const ROTATE: &str = wgsl!("lib/rotate.wgsl");
const ARGMAX: &str = wgsl!("lib/argmax_reduce.wgsl");
const LOG_PROBS: &str = wgsl!("lib/most_probable.wgsl");

/// What codes are places in, as WGSL: four bytes a word, 128 more than they are.
fn table(of: &[i8; 16]) -> String {
    let four = |four: &[i8; 4]| u32::from_le_bytes(four.map(|value| value as u8 ^ 0x80));
    let words: Vec<String> =
        of.as_chunks().0.iter().map(|bytes| format!("{:#x}u", four(bytes))).collect();
    format!("const TABLE: vec4<u32> = vec4<u32>({});\n", words.join(", "))
}

impl Module {
    /// The files, one after the other.
    pub fn source(self) -> String {
        let Module { directives, parts, .. } = self;
        directives.into_iter().map(str::trim_end).chain(parts.iter().map(|part| &**part)).collect()
    }

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
        let nibbles = wgsl!("lib/nibbles.wgsl");
        match kind {
            Kind::F32 => module.with(wgsl!("lib/weights_f32.wgsl")),
            Kind::F16 => module.with(wgsl!("lib/weights_f16.wgsl")),
            Kind::Q8 => module.with(wgsl!("lib/q8.wgsl")).with(DEQUANTISE),
            Kind::Q4 => module.with(nibbles).with(wgsl!("lib/q4.wgsl")).with(DEQUANTISE),
            Kind::Q4Min => module.with(nibbles).with(wgsl!("lib/q4min.wgsl")),
            _ => module.codes(kind),
        }
    }

    /// Codes of two to six bits, and scales as files have them.
    fn codes(self, kind: Kind) -> Module {
        let bits = kind.code_bits();
        let zero = if kind.table().is_some() { 128 } else { 1 << (bits - 1) };
        let module = self.with(format!("const ZERO: f32 = {zero}.0;\n"));
        let module = module.with(wgsl!("lib/codes.wgsl"));
        let module = if let Some(of) = kind.table() {
            module.with(table(of)).with(wgsl!("lib/table.wgsl"))
        } else {
            let code_bytes = match bits {
                2 => wgsl!("lib/bits2.wgsl"),
                3 => wgsl!("lib/bits3.wgsl"),
                4 => wgsl!("lib/bits4.wgsl"),
                5 => wgsl!("lib/bits5.wgsl"),
                _ => wgsl!("lib/bits6.wgsl"),
            };
            module.with(code_bytes).with(wgsl!("lib/code_block.wgsl"))
        };
        module.with(match kind.scales() {
            Scales::BlockHalves => wgsl!("lib/scales_block_halves.wgsl"),
            Scales::BlockHalvesMin => wgsl!("lib/scales_block_halves_min.wgsl"),
            Scales::Block => wgsl!("lib/scales_block.wgsl"),
            Scales::BlockMin => wgsl!("lib/scales_block_min.wgsl"),
            Scales::HalfMin => wgsl!("lib/scales_half_min.wgsl"),
            Scales::Half | Scales::None => wgsl!("lib/scales_half.wgsl"),
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
        let module = self.with(wgsl!("lib/pages.wgsl")).constant("PAGE", PAGE);
        match kind.code_bits() {
            Some(bits) => module
                .with(wgsl!("lib/kv_sealed.wgsl"))
                .constant("BITS", bits)
                .constant("VALUE_GROUPS", kind.value_groups())
                .constant("EXACT", kind.exact_pages()),
            None => module
                .with(if kind == KvKind::F32 {
                    wgsl!("lib/kv_f32.wgsl")
                } else {
                    wgsl!("lib/kv_f16.wgsl")
                })
                .with(wgsl!("lib/kv_exact.wgsl")),
        }
    }

    /// What puts keys and values into the cache.
    fn appends(self, kind: KvKind) -> Module {
        self.with(match kind.code_bits() {
            Some(_) => wgsl!("lib/kv_sealed_append.wgsl"),
            None => wgsl!("lib/kv_exact_append.wgsl"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_indents_are_left_out() {
        const WHOLE: &str = "// über\nfn f() { // one\n    let a = b / c;\n    // two\n\n}";
        let bare: [u8; bare_length(WHOLE)] = bare(WHOLE);
        assert_eq!(std::str::from_utf8(&bare), Ok("\nfn f() { \nlet a = b / c;\n\n\n}"));
    }
}
