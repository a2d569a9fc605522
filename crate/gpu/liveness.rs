//! Which results of a list of ops are read again: what is not, a kernel that computes several ops together need not write.

use crate::op::{Buf, KvPart, Op, SamplerBuffers};

/// Whether one of these ops reads the first `floats` of a buffer before another writes them anew. Those that are `elsewhere` in it do not
/// count.
pub(super) fn is_read(ops: &[Op], buf: Buf, floats: u32, elsewhere: impl Fn(&Op) -> bool) -> bool {
    for op in ops.iter().filter(|op| !elsewhere(op)) {
        if reads(op, buf) {
            return true;
        }
        if overwritten(op).is_some_and(|(out, count)| out == buf && count >= floats) {
            return false;
        }
    }
    false
}

/// Whether an op is about other heads than a part's, of which each KV head has queries of its own.
pub(super) fn is_on_other_heads(op: &Op, part: KvPart) -> bool {
    match op {
        Op::Rope { cache, .. } | Op::Attend { cache, .. } => {
            cache.first_head >= part.first_head + part.heads || part.first_head >= cache.first_head + cache.heads
        }
        _ => false,
    }
}

/// Of activations: weights and what is kept in a cache are nobody's results that pass through.
fn reads(op: &Op, buf: Buf) -> bool {
    match *op {
        Op::Embed { ids, .. } => ids == buf,
        Op::Norm { x, weight, .. } => [x, weight].contains(&buf),
        Op::Matmul { x, out, add, .. } => x == buf || add && out == buf,
        Op::HeadNorm { qkv, q_weight, k_weight, .. } => [qkv, q_weight, k_weight].contains(&buf),
        Op::Rope { qkv, angles, step, .. } => [qkv, angles, step].contains(&buf),
        Op::Attend { qkv, step, .. } => [qkv, step].contains(&buf),
        Op::Argmax { x, allowed, .. } => [x, allowed].contains(&buf),
        Op::Sample(SamplerBuffers { logits, allowed, seen, bias, params, .. }) => [logits, allowed, seen, bias, params].contains(&buf),
        Op::Swiglu { gate_up, .. } => gate_up == buf,
    }
}

/// A buffer, and how many floats of it an op writes without a look at what they were.
fn overwritten(op: &Op) -> Option<(Buf, u32)> {
    match *op {
        Op::Embed { ref table, out, rows, .. } => Some((out, rows * table.cols)),
        Op::Norm { out, rows, width, .. } | Op::Swiglu { out, rows, width, .. } => Some((out, rows * width)),
        Op::Matmul { ref w, out, rows, add: false, .. } => Some((out, rows * w.rows)),
        Op::Matmul { .. } | Op::HeadNorm { .. } | Op::Rope { .. } | Op::Attend { .. } | Op::Argmax { .. } | Op::Sample(_) => None,
    }
}
