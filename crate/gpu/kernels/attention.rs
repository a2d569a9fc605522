//! Attention: norms of heads, rotation, and what looks into the cache, for one token and for many.

use bytemuck::bytes_of;

use super::{Dispatch, Tuning};
use crate::error::{Code, Result, fail};
use crate::gpu::params::{Attend, AttendToken, HeadNorm, Merge, Rope, Seal};
use crate::gpu::shaders::{MOST_QUERIES, Shader, TEAM_QUERIES};
use crate::gpu::work::Work;
use crate::op::{self, Buf, Heads, KvPart};

/// Fours of a head that a workgroup holds, among the queries and keys of a tile.
pub(super) const MOST_FOURS: u32 = 64;

/// Invocations of a workgroup of `attend.wgsl` at most: what they share must fit into its memory.
const ATTENDING: u32 = 128;

/// Bytes that the runs of one token's attention need for what they found.
pub(super) fn partial_bytes(tuning: &Tuning, op: &op::Attend) -> u64 {
    if op.rows != 1 {
        return 0;
    }
    let queries = op.heads.n_heads / op.heads.n_kv_heads * op.cache.heads;
    u64::from(queries * tuning.splits * (op.heads.head_dim / 4 + 1)) * 16
}

pub(super) fn head_norm(tuning: &Tuning, op: &op::HeadNorm) -> Dispatch {
    let op::HeadNorm { qkv, q_weight, k_weight, heads, rows, eps_bits } = *op;
    let Heads { n_heads, n_kv_heads, head_dim } = heads;
    let normed = n_heads + n_kv_heads;
    Dispatch {
        shader: Shader::HeadNorm(tuning.reduce),
        constants: vec![("WG", tuning.workgroup)],
        params: bytes_of(&HeadNorm {
            n_heads,
            n_kv_heads,
            width4: head_dim / 4,
            eps: f32::from_bits(eps_bits),
        })
        .to_vec(),
        buffers: vec![(1, q_weight), (2, k_weight), (3, qkv)],
        groups: [normed, rows, 1],
        work: Work::floats(
            format!("{rows} × {normed} heads of {head_dim}"),
            2 * (rows * normed + 1) * head_dim,
        ),
    }
}

pub(super) fn rope(tuning: &Tuning, op: &op::Rope) -> Dispatch {
    let op::Rope { qkv, angles, step, cache, heads, rotary_dim, first_row, rows } = *op;
    let Heads { n_heads, n_kv_heads, head_dim } = heads;
    let params = Rope {
        n_heads,
        n_kv_heads,
        head_dim,
        rotary_dim,
        first_head: cache.first_head,
        heads: cache.heads,
        first_row,
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

pub(super) fn attend(tuning: &Tuning, op: &op::Attend) -> Result<Dispatch> {
    let op::Attend { qkv, step, cache, out, heads, window, first_row, rows } = *op;
    let Heads { n_heads, n_kv_heads, head_dim } = heads;
    let fours = head_dim / 4;
    if fours > MOST_FOURS {
        fail!(Code::GpuFailed, "attention heads {head_dim} wide are more than a GPU workgroup \
            holds"; "run on the CPU");
    }
    let scale = 1.0 / (head_dim as f32).sqrt();
    let params = Attend {
        n_heads,
        n_kv_heads,
        first_head: cache.first_head,
        heads: cache.heads,
        window,
        scale,
        first_row,
        rows,
    };
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

/// Rope and attention of one token.
pub(super) fn attend_token(
    tuning: &Tuning,
    rope: &op::Rope,
    window: u32,
    partials: Buf,
) -> Dispatch {
    let op::Rope { qkv, angles, step, cache, heads, rotary_dim, .. } = *rope;
    let Heads { n_heads, n_kv_heads, head_dim } = heads;
    let fours = head_dim / 4;
    let params = AttendToken {
        n_heads,
        n_kv_heads,
        rotary_dim,
        first_head: cache.first_head,
        heads: cache.heads,
        window,
        scale: 1.0 / (head_dim as f32).sqrt(),
        first_row: 0,
    };
    Dispatch {
        shader: Shader::AttendToken(
            cache.kind,
            tuning.reduce,
            queries_at_once(n_heads / n_kv_heads),
        ),
        constants: vec![
            ("WG", tuning.workgroup.max(fours)),
            ("FOURS", fours),
            ("SPLITS", tuning.splits),
        ],
        params: bytes_of(&params).to_vec(),
        buffers: vec![
            (1, angles),
            (2, step),
            (3, qkv),
            (4, cache.keys),
            (5, cache.values),
            (6, partials),
        ],
        groups: [cache.heads, tuning.splits, 1],
        work: Work::attention(step, cache, heads, window, 1),
    }
}

/// Of a KV head's queries as many as are attended with together, so that all such bundles are about
/// as large.
fn queries_at_once(queries: u32) -> u32 {
    queries.div_ceil(queries.div_ceil(MOST_QUERIES))
}

/// A full page made codes.
pub(super) fn seal(tuning: &Tuning, op: &op::Seal) -> Dispatch {
    let op::Seal { step, cache, heads, first_row, rows } = *op;
    let params = Seal { heads: cache.heads, fours: heads.head_dim / 4, first_row, rows };
    // A key and a value of halves are as long as a float. Of 64 tokens that come one by one, 63
    // only read where they are.
    let moved = if rows == 1 { 1 } else { rows * cache.heads * heads.head_dim };
    Dispatch {
        shader: Shader::Seal(cache.kind),
        constants: vec![("WG", tuning.workgroup)],
        params: bytes_of(&params).to_vec(),
        buffers: vec![(1, step), (2, cache.keys), (3, cache.values)],
        groups: [cache.heads, 2, 1],
        work: Work::floats(format!("{} heads of {}", cache.heads, heads.head_dim), moved),
    }
}

/// What the runs of one token's attention found, made one.
pub(super) fn merge(
    tuning: &Tuning,
    partials: Buf,
    out: Buf,
    cache: KvPart,
    heads: Heads,
) -> Dispatch {
    let queries = heads.n_heads / heads.n_kv_heads;
    Dispatch {
        shader: Shader::Merge,
        constants: vec![("FOURS", heads.head_dim / 4), ("SPLITS", tuning.splits)],
        params: bytes_of(&Merge { first_head: cache.first_head * queries }).to_vec(),
        buffers: vec![(1, partials), (2, out)],
        groups: [queries * cache.heads, 1, 1],
        work: Work::floats(
            format!("{} heads of {}", queries * cache.heads, heads.head_dim),
            queries * cache.heads * heads.head_dim * (tuning.splits + 1),
        ),
    }
}
