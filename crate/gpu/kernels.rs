//! From ops to dispatches: which shader computes an op, with which constants and parameters, over which buffers, how many
//! workgroups of it. Nothing here touches a device.

use bytemuck::bytes_of;

use super::params;
use super::pipelines::Constants;
use super::shaders::{Real, Reduce, Shader};
use crate::error::{Code, Result, fail};
use crate::op::{Buf, Heads, KvPart, Matrix, Op, Part};
use crate::weights::layout::{GROUP, QUAD};

/// Workgroups along one side of a grid, by WebGPU's default limits.
const MAX_SIDE: u32 = 65535;

/// Tokens of an invocation of `matmul.wgsl`, which has the same constant.
const TOKENS: u32 = 8;

/// What is chosen for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// What products with weights are computed in.
    pub real: Real,
    /// How workgroups add up.
    pub reduce: Reduce,
    /// Invocations of a workgroup, 1 to 256. Attention takes more where a head needs them.
    pub workgroup: u32,
    /// Quads of rows, and teams of eight tokens, in a tile of a matmul; their product is its workgroup.
    pub tile: (u32, u32),
    /// Up to so many tokens go through the matvec kernel.
    pub matvec_tokens: u32,
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
}

/// The dispatches of an op, in order.
///
/// # Errors
/// `gpu-failed` for sizes beyond a grid or a workgroup.
pub(super) fn lower(op: &Op, tuning: &Tuning) -> Result<Vec<Dispatch>> {
    let dispatches = match *op {
        Op::Embed { ref table, ids, out, rows } => table.parts.iter().map(|part| embed(tuning, table, part, ids, out, rows)).collect(),
        Op::Norm { x, weight, out, first_row, rows, width, eps_bits } => {
            let params = params::Norm { first_row, width4: width / 4, eps: f32::from_bits(eps_bits) };
            vec![Dispatch {
                shader: Shader::Norm(tuning.reduce),
                constants: vec![("WG", tuning.workgroup)],
                params: bytes_of(&params).to_vec(),
                buffers: vec![(1, x), (2, weight), (3, out)],
                groups: [rows, 1, 1],
            }]
        }
        Op::Matmul { ref w, x, out, rows, add } => {
            let kernel = if rows <= tuning.matvec_tokens { matvec } else { matmul };
            w.parts.iter().map(|part| kernel(tuning, w, part, x, out, rows, add)).collect()
        }
        Op::Rope { qkv, angles, step, cache, heads, rotary_dim, rows } => {
            vec![rope(tuning, qkv, angles, step, cache, heads, rotary_dim, rows)]
        }
        Op::Attend { qkv, step, cache, out, heads, window, rows } => vec![attend(tuning, qkv, step, cache, out, heads, window, rows)?],
        Op::Swiglu { gate_up, out, width, rows } => vec![Dispatch {
            shader: Shader::Swiglu,
            constants: vec![("WG", tuning.workgroup)],
            params: bytes_of(&params::Swiglu { width }).to_vec(),
            buffers: vec![(1, gate_up), (2, out)],
            groups: [width.div_ceil(tuning.workgroup), rows, 1],
        }],
    };
    for dispatch in &dispatches {
        if dispatch.groups.iter().any(|&side| side > MAX_SIDE) {
            let (name, [x, y, z]) = (dispatch.shader.name(), dispatch.groups);
            fail!(Code::GpuFailed, "{name}: {x} × {y} × {z} workgroups are more than a GPU takes at once; use smaller chunks of tokens");
        }
    }
    Ok(dispatches)
}

fn embed(tuning: &Tuning, table: &Matrix, part: &Part, ids: Buf, out: Buf, rows: u32) -> Dispatch {
    let params = params::Embed { first_row: part.first_row, part_rows: part.rows };
    Dispatch {
        shader: Shader::Embed(table.kind),
        constants: vec![("WG", tuning.workgroup), ("GROUPS", groups_of_columns(table))],
        params: bytes_of(&params).to_vec(),
        buffers: with_planes(part, ids, out),
        groups: [(table.cols / 4).div_ceil(tuning.workgroup), rows, 1],
    }
}

fn matvec(tuning: &Tuning, w: &Matrix, part: &Part, x: Buf, out: Buf, rows: u32, add: bool) -> Dispatch {
    let params = params::Matvec { rows: w.rows, first_row: part.first_row, part_rows: part.rows, add: add.into() };
    let quads = part.rows.div_ceil(QUAD as u32);
    Dispatch {
        shader: Shader::Matvec(w.kind, tuning.real.with(w.kind), tuning.reduce),
        constants: vec![("WG", tuning.workgroup), ("GROUPS", groups_of_columns(w))],
        params: bytes_of(&params).to_vec(),
        buffers: with_planes(part, x, out),
        groups: [quads.min(MAX_SIDE), quads.div_ceil(MAX_SIDE), rows],
    }
}

fn matmul(tuning: &Tuning, w: &Matrix, part: &Part, x: Buf, out: Buf, rows: u32, add: bool) -> Dispatch {
    let params = params::Matmul { rows: w.rows, first_row: part.first_row, part_rows: part.rows, tokens: rows, add: add.into() };
    let (quads, teams) = tuning.tile;
    Dispatch {
        shader: Shader::Matmul(w.kind, tuning.real.with(w.kind)),
        constants: vec![("QUADS", quads), ("TEAMS", teams), ("GROUPS", groups_of_columns(w))],
        params: bytes_of(&params).to_vec(),
        buffers: with_planes(part, x, out),
        groups: [part.rows.div_ceil(quads * QUAD as u32), rows.div_ceil(TOKENS * teams), 1],
    }
}

#[allow(clippy::too_many_arguments)] // The members of the op, in its order.
fn rope(tuning: &Tuning, qkv: Buf, angles: Buf, step: Buf, cache: KvPart, heads: Heads, rotary_dim: u32, rows: u32) -> Dispatch {
    let Heads { n_heads, n_kv_heads, head_dim } = heads;
    let params = params::Rope {
        n_heads,
        n_kv_heads,
        head_dim,
        rotary_dim,
        first_head: cache.first_head,
        heads: cache.heads,
        ctx_len: cache.ctx_len,
    };
    let pairs = n_heads / n_kv_heads * cache.heads * (rotary_dim / 2);
    let fours = 2 * cache.heads * (head_dim / 4);
    Dispatch {
        shader: Shader::Rope(cache.kind),
        constants: vec![("WG", tuning.workgroup)],
        params: bytes_of(&params).to_vec(),
        buffers: vec![(1, angles), (2, step), (3, qkv), (4, cache.keys), (5, cache.values)],
        groups: [(pairs + fours).div_ceil(tuning.workgroup), rows, 1],
    }
}

#[allow(clippy::too_many_arguments)] // The members of the op, in its order.
fn attend(tuning: &Tuning, qkv: Buf, step: Buf, cache: KvPart, out: Buf, heads: Heads, window: u32, rows: u32) -> Result<Dispatch> {
    let Heads { n_heads, n_kv_heads, head_dim } = heads;
    let fours = head_dim / 4;
    if fours > 256 {
        fail!(Code::GpuFailed, "attention heads {head_dim} wide are more than a GPU workgroup holds; run on the CPU");
    }
    let scale = 1.0 / (head_dim as f32).sqrt();
    let params = params::Attend { n_heads, n_kv_heads, first_head: cache.first_head, ctx_len: cache.ctx_len, window, scale };
    Ok(Dispatch {
        shader: Shader::Attend(cache.kind, tuning.reduce),
        constants: vec![("WG", tuning.workgroup.max(fours)), ("FOURS", fours)],
        params: bytes_of(&params).to_vec(),
        buffers: vec![(1, qkv), (2, step), (3, cache.keys), (4, cache.values), (5, out)],
        groups: [n_heads / n_kv_heads * cache.heads, rows, 1],
    })
}

fn groups_of_columns(matrix: &Matrix) -> u32 {
    matrix.cols / GROUP as u32
}

/// Bindings 1 to 3, the planes of a matrix, then 4 and 5.
fn with_planes(part: &Part, input: Buf, out: Buf) -> Vec<(u32, Buf)> {
    let planes = [(1, Some(part.codes)), (2, part.scales), (3, part.mins)];
    let present = planes.into_iter().filter_map(|(at, buf)| buf.map(|buf| (at, buf)));
    present.chain([(4, input), (5, out)]).collect()
}
