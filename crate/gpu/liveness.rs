//! Which results of a list of ops are read again: what is not, a kernel that computes several ops
//! together need not write.

use crate::op::{Access, Buf, KvPart, Op, Operation};

/// Whether one of these ops reads the first `floats` of a buffer before another writes them anew.
/// Those that are `elsewhere` in it do not count.
pub(super) fn is_read(ops: &[Op], buf: Buf, floats: u32, elsewhere: impl Fn(&Op) -> bool) -> bool {
    for op in ops.iter().filter(|op| !elsewhere(op)) {
        let of_it = op.operands().into_iter().filter(|operand| operand.buf == buf);
        for operand in of_it {
            if operand.access.reads() {
                return true;
            }
            if operand.access == Access::Write && operand.bytes >= 4 * u64::from(floats) {
                return false;
            }
        }
    }
    false
}

/// Whether an op is about other heads than a part's, of which each KV head has queries of its own.
pub(super) fn is_on_other_heads(op: &Op, part: KvPart) -> bool {
    let cache = match op {
        Op::Rope(op) => op.cache,
        Op::Attend(op) => op.cache,
        Op::Seal(op) => op.cache,
        _ => return false,
    };
    cache.first_head >= part.first_head + part.heads
        || part.first_head >= cache.first_head + cache.heads
}
