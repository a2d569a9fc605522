//! From ops to dispatches: which shader computes an op, with which constants and parameters, over which buffers, how many
//! workgroups of it. Nothing here touches a device.

use bytemuck::bytes_of;
use serde::{Deserialize, Serialize};

use super::liveness::{is_on_other_heads, is_read};
use super::params;
use super::pipelines::Constants;
use super::shaders::{Block, Input, MOST_QUERIES, Products, Real, Reduce, Shader, TEAM_QUERIES, TILE_TOKENS};
use super::work::Work;
use crate::error::{Code, Result, fail};
use crate::layout::{GROUP, Kind, QUAD};
use crate::op::{Buf, Heads, KvPart, Matrix, Op, Part, SamplerBuffers};

/// Workgroups along one side of a grid, by WebGPU's default limits.
const MAX_SIDE: u32 = 65535;

/// Workgroups among which a search for the largest logit is divided.
const RUNS: u32 = 64;

/// Runs of logits that are weighed apart from each other.
const SAMPLE_RUNS: u32 = 256;

/// Invocations of the one workgroup that draws: as many as may be. Programs on the CPU end loops after 65535 rounds, and the candidates of a
/// whole vocabulary must be far fewer for each.
const SAMPLING: u32 = 256;

/// Fours of a head that a workgroup holds, among the queries and keys of a tile.
const MOST_FOURS: u32 = 64;

/// Invocations of a workgroup of `attend.wgsl` at most: what they share must fit into its memory.
const ATTENDING: u32 = 128;

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
    /// Quads of rows, and teams of eight tokens, in a tile of a matmul; their product is its workgroup.
    pub tile: (u32, u32),
    /// Teams of eight queries in a tile of attention; fewer where heads are wide.
    pub query_teams: u32,
    /// Quads of rows of a workgroup that multiplies one token, at most [`super::shaders::MOST_QUADS`].
    pub quads: u32,
    /// Up to so many tokens go through the kernels for few of them, at most [`super::shaders::MOST_TOKENS`].
    pub few_tokens: u32,
    /// Workgroups among which one token's attention to a KV head is divided.
    pub splits: u32,
}

impl Tuning {
    /// What a workgroup computes for so few tokens: of several each takes room for its sums.
    fn block(&self, tokens: u32) -> Block {
        Block { quads: if tokens == 1 { self.quads } else { 1 }, tokens }
    }

    /// What so many tokens are multiplied in, with weights of a kind.
    fn products(&self, kind: Kind, tokens: u32) -> Products {
        let dots = if tokens <= self.few_tokens { self.few_dots } else { self.dots };
        if dots && kind.has_scales() { Products::Dots } else { Products::Floats(self.real.with(kind)) }
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

/// The dispatches of a list of ops, in order. What one op writes and only the next one reads may never be written.
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
            fail!(Code::GpuFailed, "{name}: {x} × {y} × {z} workgroups are more than a GPU takes at once"; "use smaller chunks of tokens");
        }
    }
    Ok(dispatches)
}

/// Bytes that kernels which work by runs need for what they found of each, 0 for none.
pub(super) fn partial_bytes(ops: &[Op], tuning: &Tuning) -> u64 {
    let of_op = |op: &Op| match *op {
        Op::Attend { cache, heads, rows: 1, .. } => {
            let queries = heads.n_heads / heads.n_kv_heads * cache.heads;
            u64::from(queries * tuning.splits * (heads.head_dim / 4 + 1)) * 16
        }
        Op::Argmax { .. } => u64::from(RUNS) * 8,
        Op::Sample(_) => u64::from(SAMPLE_RUNS) * 12,
        _ => 0,
    };
    ops.iter().map(of_op).max().unwrap_or(0)
}

/// The first ops in one or two kernels, and how many ops these are, where there is something better than one after the other, and nobody
/// later reads what would not be written.
fn fused(ops: &[Op], tuning: &Tuning, partials: Option<Buf>) -> Option<(Vec<Dispatch>, usize)> {
    match *ops {
        [Op::Norm { x, weight, out: h, first_row, rows, width, eps_bits }, Op::Matmul { ref w, x: read, out, add, .. }, ref after @ ..]
            if read == h && rows <= tuning.few_tokens && !is_read(after, h, rows * width, |_| false) =>
        {
            let normed = Few { x, x_row: first_row, norm: Some((weight, f32::from_bits(eps_bits))), rows };
            match (after, &w.parts[..]) {
                ([Op::Swiglu { gate_up, out: gated_out, width, .. }, after @ ..], [part])
                    if *gate_up == out && width.is_multiple_of(QUAD as u32) && !is_read(after, out, rows * w.rows, |_| false) =>
                {
                    Some((vec![gated(tuning, w, part, &normed, *gated_out)], 3))
                }
                _ => Some((w.parts.iter().map(|part| matvec(tuning, w, part, &normed, out, add)).collect(), 2)),
            }
        }
        [
            Op::Rope { qkv, angles, step, cache, heads, rotary_dim, rows: 1 },
            Op::Attend { qkv: read, cache: attended, out, window, .. },
            ref after @ ..,
        ] if read == qkv
            && attended == cache
            && heads.head_dim <= 4 * MOST_FOURS
            && !is_read(after, qkv, heads.qkv_width(), |op| is_on_other_heads(op, cache)) =>
        {
            let partials = partials?;
            let attend = attend_token(tuning, [angles, step, qkv], cache, partials, heads, rotary_dim, window);
            Some((vec![attend, merge(tuning, partials, out, cache, heads)], 2))
        }
        _ => None,
    }
}

fn single(op: &Op, tuning: &Tuning, partials: Option<Buf>) -> Result<Vec<Dispatch>> {
    Ok(match *op {
        Op::Embed { ref table, ids, out, rows } => table.parts.iter().map(|part| embed(tuning, table, part, ids, out, rows)).collect(),
        Op::Norm { x, weight, out, first_row, rows, width, eps_bits } => {
            let params = params::Norm { first_row, width4: width / 4, eps: f32::from_bits(eps_bits) };
            vec![Dispatch {
                shader: Shader::Norm(tuning.reduce),
                constants: vec![("WG", tuning.workgroup)],
                params: bytes_of(&params).to_vec(),
                buffers: vec![(1, x), (2, weight), (3, out)],
                groups: [rows, 1, 1],
                work: Work::floats(format!("{rows} × {width}"), (2 * rows + 1) * width),
            }]
        }
        Op::Matmul { ref w, x, out, rows, add } if rows <= tuning.few_tokens => {
            let plain = Few { x, x_row: 0, norm: None, rows };
            w.parts.iter().map(|part| matvec(tuning, w, part, &plain, out, add)).collect()
        }
        Op::Matmul { ref w, x, out, rows, add } => w.parts.iter().map(|part| matmul(tuning, w, part, x, out, rows, add)).collect(),
        Op::HeadNorm { qkv, q_weight, k_weight, heads, rows, eps_bits } => {
            vec![head_norm(tuning, qkv, [q_weight, k_weight], heads, rows, f32::from_bits(eps_bits))]
        }
        Op::Rope { qkv, angles, step, cache, heads, rotary_dim, rows } => {
            vec![rope(tuning, qkv, angles, step, cache, heads, rotary_dim, rows)]
        }
        Op::Attend { qkv, step, cache, out, heads, window, rows } => vec![attend(tuning, qkv, step, cache, out, heads, window, rows)?],
        Op::Argmax { x, allowed, out, width } => match partials {
            Some(partials) => argmax(tuning, [x, allowed], partials, out, width),
            None => fail!(Code::Internal, "argmax: there is no buffer for what it finds in its runs"),
        },
        Op::Sample(buffers) => match partials {
            Some(partials) => sample(tuning, buffers, partials),
            None => fail!(Code::Internal, "sample: there is no buffer for what it finds in its runs"),
        },
        Op::Swiglu { gate_up, out, width, rows } => vec![Dispatch {
            shader: Shader::Swiglu,
            constants: vec![("WG", tuning.workgroup)],
            params: bytes_of(&params::Swiglu { width }).to_vec(),
            buffers: vec![(1, gate_up), (2, out)],
            groups: [width.div_ceil(tuning.workgroup), rows, 1],
            work: Work::floats(format!("{rows} × {width}"), 3 * rows * width),
        }],
    })
}

/// The input of a kernel for few tokens.
struct Few {
    x: Buf,
    /// Where they begin.
    x_row: u32,
    /// Weights and epsilon of the norm that goes before.
    norm: Option<(Buf, f32)>,
    /// Tokens.
    rows: u32,
}

impl Few {
    /// Bindings 4 to 6.
    fn bindings(&self, part: &Part, out: Buf) -> Vec<(u32, Buf)> {
        let gamma = self.norm.map(|(gamma, _)| (5, gamma));
        planes(part).chain([(4, self.x)]).chain(gamma).chain([(6, out)]).collect()
    }

    /// How many floats it is, with the norm's weights.
    fn floats(&self, w: &Matrix) -> u32 {
        w.cols * (self.rows + u32::from(self.norm.is_some()))
    }

    fn eps(&self) -> f32 {
        self.norm.map_or(0.0, |(_, eps)| eps)
    }
}

fn embed(tuning: &Tuning, table: &Matrix, part: &Part, ids: Buf, out: Buf, rows: u32) -> Dispatch {
    let params = params::Embed { first_row: part.first_row, part_rows: part.rows };
    Dispatch {
        shader: Shader::Embed(table.kind),
        constants: vec![("WG", tuning.workgroup), ("GROUPS", groups_of_columns(table))],
        params: bytes_of(&params).to_vec(),
        buffers: planes(part).chain([(4, ids), (5, out)]).collect(),
        groups: [(table.cols / 4).div_ceil(tuning.workgroup), rows, 1],
        work: Work::lookup(table, rows),
    }
}

fn matvec(tuning: &Tuning, w: &Matrix, part: &Part, input: &Few, out: Buf, add: bool) -> Dispatch {
    let params = params::Matvec {
        rows: w.rows,
        first_row: part.first_row,
        part_rows: part.rows,
        add: add.into(),
        x_row: input.x_row,
        eps: input.eps(),
    };
    let block = tuning.block(input.rows);
    let form = if input.norm.is_some() { Input::Normed } else { Input::Plain };
    Dispatch {
        shader: Shader::Matvec(w.kind, tuning.products(w.kind, input.rows), tuning.reduce, form, block),
        constants: vec![("WG", tuning.workgroup), ("GROUPS", groups_of_columns(w))],
        params: bytes_of(&params).to_vec(),
        buffers: input.bindings(part, out),
        groups: grid_of_quads(part.rows, block),
        work: Work::product(w, part, input.rows, input.floats(w) + input.rows * outputs(part, add)),
    }
}

fn gated(tuning: &Tuning, w: &Matrix, part: &Part, input: &Few, out: Buf) -> Dispatch {
    let block = tuning.block(input.rows);
    let params = params::Gated { width: w.rows / 2, x_row: input.x_row, eps: input.eps() };
    Dispatch {
        shader: Shader::Gated(w.kind, tuning.products(w.kind, input.rows), tuning.reduce, block),
        constants: vec![("WG", tuning.workgroup), ("GROUPS", groups_of_columns(w))],
        params: bytes_of(&params).to_vec(),
        buffers: input.bindings(part, out),
        groups: grid_of_quads(w.rows / 2, block),
        work: Work::product(w, part, input.rows, input.floats(w) + input.rows * w.rows / 2),
    }
}

/// Floats of a token's output that a product writes, and reads where it adds to them.
fn outputs(part: &Part, add: bool) -> u32 {
    part.rows * (1 + u32::from(add))
}

/// A workgroup for each block of quads of rows, in a grid of two sides where one is not enough.
fn grid_of_quads(rows: u32, block: Block) -> [u32; 3] {
    let blocks = rows.div_ceil(QUAD as u32 * block.quads);
    [blocks.min(MAX_SIDE), blocks.div_ceil(MAX_SIDE), 1]
}

fn matmul(tuning: &Tuning, w: &Matrix, part: &Part, x: Buf, out: Buf, rows: u32, add: bool) -> Dispatch {
    let params = params::Matmul { rows: w.rows, first_row: part.first_row, part_rows: part.rows, tokens: rows, add: add.into() };
    let (quads, teams) = tuning.tile;
    Dispatch {
        shader: Shader::Matmul(w.kind, tuning.products(w.kind, rows)),
        constants: vec![("QUADS", quads), ("TEAMS", teams), ("GROUPS", groups_of_columns(w))],
        params: bytes_of(&params).to_vec(),
        buffers: planes(part).chain([(4, x), (5, out)]).collect(),
        groups: [part.rows.div_ceil(quads * QUAD as u32), rows.div_ceil(TILE_TOKENS * teams), 1],
        work: Work::product(w, part, rows, rows * (w.cols + outputs(part, add))),
    }
}

fn head_norm(tuning: &Tuning, qkv: Buf, [q_weight, k_weight]: [Buf; 2], heads: Heads, rows: u32, eps: f32) -> Dispatch {
    let Heads { n_heads, n_kv_heads, head_dim } = heads;
    let normed = n_heads + n_kv_heads;
    Dispatch {
        shader: Shader::HeadNorm(tuning.reduce),
        constants: vec![("WG", tuning.workgroup)],
        params: bytes_of(&params::HeadNorm { n_heads, n_kv_heads, width4: head_dim / 4, eps }).to_vec(),
        buffers: vec![(1, q_weight), (2, k_weight), (3, qkv)],
        groups: [normed, rows, 1],
        work: Work::floats(format!("{rows} × {normed} heads of {head_dim}"), 2 * (rows * normed + 1) * head_dim),
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
        positions: cache.positions,
    };
    let pairs = n_heads / n_kv_heads * cache.heads * (rotary_dim / 2);
    let fours = 2 * cache.heads * (head_dim / 4);
    Dispatch {
        shader: Shader::Rope(cache.kind),
        constants: vec![("WG", tuning.workgroup)],
        params: bytes_of(&params).to_vec(),
        buffers: vec![(1, angles), (2, step), (3, qkv), (4, cache.keys), (5, cache.values)],
        groups: [(pairs + fours).div_ceil(tuning.workgroup), rows, 1],
        work: Work::rope(cache, heads, rotary_dim, rows),
    }
}

#[allow(clippy::too_many_arguments)] // The members of the op, in its order.
fn attend(tuning: &Tuning, qkv: Buf, step: Buf, cache: KvPart, out: Buf, heads: Heads, window: u32, rows: u32) -> Result<Dispatch> {
    let Heads { n_heads, n_kv_heads, head_dim } = heads;
    let fours = head_dim / 4;
    if fours > MOST_FOURS {
        fail!(Code::GpuFailed, "attention heads {head_dim} wide are more than a GPU workgroup holds"; "run on the CPU");
    }
    let scale = 1.0 / (head_dim as f32).sqrt();
    let params = params::Attend { n_heads, n_kv_heads, first_head: cache.first_head, positions: cache.positions, window, scale, rows };
    let queries = n_heads / n_kv_heads * rows;
    let teams = tuning.query_teams.min(ATTENDING / fours).min(queries.div_ceil(TEAM_QUERIES));
    Ok(Dispatch {
        shader: Shader::Attend(cache.kind),
        constants: vec![("FOURS", fours), ("TEAMS", teams)],
        params: bytes_of(&params).to_vec(),
        buffers: vec![(1, qkv), (2, step), (3, cache.keys), (4, cache.values), (5, out)],
        groups: [cache.heads, queries.div_ceil(TEAM_QUERIES * teams), 1],
        work: Work::attention(step, cache, heads, window, rows),
    })
}

/// `[angles, step, qkv]` are its inputs.
fn attend_token(tuning: &Tuning, inputs: [Buf; 3], cache: KvPart, partials: Buf, heads: Heads, rotary_dim: u32, window: u32) -> Dispatch {
    let Heads { n_heads, n_kv_heads, head_dim } = heads;
    let (fours, [angles, step, qkv]) = (head_dim / 4, inputs);
    let params = params::AttendToken {
        n_heads,
        n_kv_heads,
        rotary_dim,
        first_head: cache.first_head,
        positions: cache.positions,
        window,
        scale: 1.0 / (head_dim as f32).sqrt(),
    };
    Dispatch {
        shader: Shader::AttendToken(cache.kind, tuning.reduce, queries_at_once(n_heads / n_kv_heads)),
        constants: vec![("WG", tuning.workgroup.max(fours)), ("FOURS", fours), ("SPLITS", tuning.splits)],
        params: bytes_of(&params).to_vec(),
        buffers: vec![(1, angles), (2, step), (3, qkv), (4, cache.keys), (5, cache.values), (6, partials)],
        groups: [cache.heads, tuning.splits, 1],
        work: Work::attention(step, cache, heads, window, 1),
    }
}

/// Of a KV head's queries as many as are attended with together, so that all such bundles are about as large.
fn queries_at_once(queries: u32) -> u32 {
    queries.div_ceil(queries.div_ceil(MOST_QUERIES))
}

fn merge(tuning: &Tuning, partials: Buf, out: Buf, cache: KvPart, heads: Heads) -> Dispatch {
    let queries = heads.n_heads / heads.n_kv_heads;
    Dispatch {
        shader: Shader::Merge,
        constants: vec![("FOURS", heads.head_dim / 4), ("SPLITS", tuning.splits)],
        params: bytes_of(&params::Merge { first_head: cache.first_head * queries }).to_vec(),
        buffers: vec![(1, partials), (2, out)],
        groups: [queries * cache.heads, 1, 1],
        work: Work::floats(
            format!("{} heads of {}", queries * cache.heads, heads.head_dim),
            queries * cache.heads * heads.head_dim * (tuning.splits + 1),
        ),
    }
}

/// `[x, allowed]` are its inputs.
fn argmax(tuning: &Tuning, inputs: [Buf; 2], partials: Buf, out: Buf, width: u32) -> Vec<Dispatch> {
    let dispatch = |shader, buffers, workgroups| Dispatch {
        shader,
        constants: vec![("WG", tuning.workgroup), ("RUNS", RUNS)],
        params: bytes_of(&params::Argmax { width }).to_vec(),
        buffers,
        groups: [workgroups, 1, 1],
        work: Work::floats(width.to_string(), if shader == Shader::Argmax { width + width / 32 } else { 2 * RUNS }),
    };
    vec![
        dispatch(Shader::Argmax, vec![(1, inputs[0]), (2, inputs[1]), (3, partials)], RUNS),
        dispatch(Shader::ArgmaxOfRuns, vec![(1, partials), (2, out)], 1),
    ]
}

fn sample(tuning: &Tuning, buffers: SamplerBuffers, runs: Buf) -> Vec<Dispatch> {
    let SamplerBuffers { logits, allowed, seen, bias, params, candidates, out, width } = buffers;
    let dispatch = |shader, workgroup, buffers, workgroups, floats| Dispatch {
        shader,
        constants: vec![("WG", workgroup), ("RUNS", SAMPLE_RUNS)],
        params: bytes_of(&params::Sample { width }).to_vec(),
        buffers,
        groups: [workgroups, 1, 1],
        work: Work::floats(width.to_string(), floats),
    };
    let prepared = vec![(1, params), (2, allowed), (3, seen), (4, bias), (5, logits), (6, runs)];
    let sampled = vec![(1, params), (2, logits), (3, runs), (4, seen), (5, candidates), (6, out)];
    vec![
        dispatch(Shader::SamplePrepare(tuning.reduce), tuning.workgroup, prepared, SAMPLE_RUNS, 4 * width + width / 32),
        dispatch(Shader::Sample(tuning.reduce), SAMPLING, sampled, 1, width),
    ]
}

fn groups_of_columns(matrix: &Matrix) -> u32 {
    matrix.cols / GROUP as u32
}

/// Bindings 1 to 3: the planes of a matrix.
fn planes(part: &Part) -> impl Iterator<Item = (u32, Buf)> {
    let planes = [(1, Some(part.codes)), (2, part.scales), (3, part.mins)];
    planes.into_iter().filter_map(|(at, buf)| buf.map(|buf| (at, buf)))
}
