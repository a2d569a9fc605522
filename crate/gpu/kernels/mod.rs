//! From ops to dispatches: which shader computes an op, with which constants and parameters, over
//! which buffers, how many workgroups of it. Nothing here touches a device.

mod attention;
mod choice;
mod layer;

use serde::{Deserialize, Serialize};

use super::liveness::{is_on_other_heads, is_read};
use super::pipelines::Constants;
use super::shaders::{Block, Products, Real, Reduce, Shader};
use super::work::Work;
use crate::error::{Code, Result, fail};
use crate::layout::{Kind, QUAD};
use crate::op::{self, Buf, Op, Part};

/// Workgroups along one side of a grid, by WebGPU's default limits.
const MAX_SIDE: u32 = 65535;

/// What is chosen for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tuning {
    /// What products with weights are computed in.
    pub real: Real,
    /// Whether many tokens are multiplied with codes as whole numbers.
    pub dots: bool,
    /// Whether few tokens are.
    pub few_dots: bool,
    /// How workgroups add up.
    pub reduce: Reduce,
    /// Invocations of a workgroup, 1 to 256. Attention takes more where a head needs them.
    pub workgroup: u32,
    /// Quads of rows, and teams of eight tokens, in a tile of a matmul; their product is its
    /// workgroup.
    pub tile: (u32, u32),
    /// Teams of eight queries in a tile of attention; fewer where heads are wide.
    pub query_teams: u32,
    /// Quads of rows of a workgroup that multiplies one token, at most
    /// [`super::shaders::MOST_QUADS`].
    pub quads: u32,
    /// Up to so many tokens go through the kernels for few of them, at most
    /// [`super::shaders::MOST_TOKENS`].
    pub few_tokens: u32,
    /// Workgroups among which one token's attention to a KV head is divided.
    pub splits: u32,
    /// Whether norms are kernels of their own. Each workgroup of the product after it computes a
    /// norm anew else.
    pub norms_apart: bool,
}

impl Tuning {
    /// What a workgroup computes for so few tokens: of several each takes room for its sums.
    fn block(&self, tokens: u32) -> Block {
        Block { quads: if tokens == 1 { self.quads } else { 1 }, tokens }
    }

    /// What so many tokens are multiplied in, with weights of a kind.
    fn products(&self, kind: Kind, tokens: u32) -> Products {
        let dots = if tokens <= self.few_tokens { self.few_dots } else { self.dots };
        if dots && Products::has_dots(kind) {
            Products::Dots
        } else {
            Products::Floats(self.real.with(kind))
        }
    }
}

/// One run of a shader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dispatch {
    pub shader: Shader,
    pub constants: Constants,
    /// Bytes of its parameter struct: binding 0.
    pub params: Vec<u8>,
    /// The other bindings.
    pub buffers: Vec<(u32, Buf)>,
    /// The grid.
    pub groups: [u32; 3],
    /// What has to be done, for profiles.
    pub work: Work,
}

/// The dispatches of a list of ops, in order. What one op writes and only the next one reads may
/// never be written.
///
/// `partials` has [`partial_bytes`] of these ops.
///
/// # Errors
/// `gpu-failed` for sizes beyond a grid or a workgroup.
pub(super) fn lower(ops: &[Op], tuning: &Tuning, partials: Option<Buf>) -> Result<Vec<Dispatch>> {
    let mut dispatches = Vec::new();
    let mut rest = ops;
    while !rest.is_empty() {
        let (some, taken) = match fused(rest, tuning, partials) {
            Some(fused) => fused,
            None => (single(&rest[0], tuning, partials)?, 1),
        };
        dispatches.extend(some);
        rest = &rest[taken..];
    }
    for dispatch in &dispatches {
        if dispatch.groups.iter().any(|&side| side > MAX_SIDE) {
            let (name, [x, y, z]) = (dispatch.shader.name(), dispatch.groups);
            fail!(Code::GpuFailed, "{name}: {x} × {y} × {z} workgroups are more than a GPU takes \
                at once"; "use smaller chunks of tokens");
        }
    }
    Ok(dispatches)
}

/// Bytes that kernels which work by runs need for what they found of each, 0 for none.
pub(super) fn partial_bytes(ops: &[Op], tuning: &Tuning) -> u64 {
    let of_op = |op: &Op| match op {
        Op::Attend(op) => attention::partial_bytes(tuning, op),
        Op::Argmax(_) => choice::ARGMAX_BYTES,
        Op::Sample(_) => choice::SAMPLE_BYTES,
        Op::LogProbs(op) => choice::log_probs_bytes(op),
        _ => 0,
    };
    ops.iter().map(of_op).max().unwrap_or(0)
}

/// The first ops in one or two kernels, and how many ops these are, where there is something better
/// than one after the other, and nobody later reads what would not be written.
fn fused(ops: &[Op], tuning: &Tuning, partials: Option<Buf>) -> Option<(Vec<Dispatch>, usize)> {
    match ops {
        [Op::Norm(norm), Op::Matmul(matmul), after @ ..]
            if !tuning.norms_apart
                && matmul.x == norm.out
                && norm.rows <= tuning.few_tokens
                && !is_read(after, norm.out, norm.rows * norm.width, |_| false) =>
        {
            let input = norm.into();
            match gated(matmul, after) {
                Some((part, swiglu)) => {
                    Some((vec![layer::gated(tuning, matmul, part, &input, swiglu.out)], 3))
                }
                None => Some((layer::few_matmul(tuning, matmul, &input), 2)),
            }
        }
        [Op::Matmul(matmul), after @ ..] if matmul.rows <= tuning.few_tokens => {
            let (part, swiglu) = gated(matmul, after)?;
            Some((vec![layer::gated(tuning, matmul, part, &matmul.into(), swiglu.out)], 2))
        }
        [Op::Rope(rope), Op::Attend(attend), after @ ..]
            if (rope.first_row, rope.rows) == (0, 1)
                && attend.qkv == rope.qkv
                && attend.cache == rope.cache
                && rope.heads.head_dim <= 4 * attention::MOST_FOURS
                && !is_read(after, rope.qkv, rope.heads.qkv_width(), |op| {
                    is_on_other_heads(op, rope.cache)
                }) =>
        {
            let partials = partials?;
            let token = attention::attend_token(tuning, rope, attend.window, partials);
            Some((
                vec![token, attention::merge(tuning, partials, attend.out, rope.cache, rope.heads)],
                2,
            ))
        }
        _ => None,
    }
}

/// The one part of gate and up, and what makes them one, where that comes next and nobody else
/// reads them.
fn gated<'a>(matmul: &'a op::Matmul, after: &'a [Op]) -> Option<(&'a Part, &'a op::Swiglu)> {
    match (&matmul.w.parts[..], after) {
        ([part], [Op::Swiglu(swiglu), after @ ..])
            if swiglu.gate_up == matmul.out
                && !matmul.add
                && swiglu.width.is_multiple_of(QUAD as u32)
                && !is_read(after, matmul.out, matmul.rows * matmul.w.rows, |_| false) =>
        {
            Some((part, swiglu))
        }
        _ => None,
    }
}

fn single(op: &Op, tuning: &Tuning, partials: Option<Buf>) -> Result<Vec<Dispatch>> {
    let runs = || match partials {
        Some(partials) => Ok(partials),
        None => {
            fail!(Code::Internal, "{}: there is no buffer for what it finds in its runs", op.name())
        }
    };
    Ok(match op {
        Op::Embed(op) => layer::embed(tuning, op),
        Op::Norm(op) => layer::norm(tuning, op),
        Op::Matmul(op) => layer::matmul(tuning, op),
        Op::Swiglu(op) => layer::swiglu(tuning, op),
        Op::HeadNorm(op) => vec![attention::head_norm(tuning, op)],
        Op::Rope(op) => vec![attention::rope(tuning, op)],
        Op::Attend(op) => vec![attention::attend(tuning, op)?],
        Op::Seal(op) => vec![attention::seal(tuning, op)],
        Op::Argmax(op) => choice::argmax(tuning, op, runs()?),
        Op::Sample(op) => choice::sample(tuning, op, runs()?),
        Op::LogProbs(op) => choice::log_probs(tuning, op, runs()?),
    })
}
