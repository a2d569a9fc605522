//! That the buffers of an op are there and large enough, looked at once when a list is prepared, so
//! that kernels may index without surprise.

use super::memory::Memory;
use crate::error::{Code, Result, fail};
use crate::op::{Access, Op, Operation};

/// Checks one op; the error names it.
pub fn op(memory: &Memory, op: &Op) -> Result<()> {
    op.check()?;
    let operands = op.operands();
    for (at, operand) in operands.iter().enumerate() {
        let held = memory.len(operand.buf)?;
        if held < operand.bytes {
            fail!(
                Code::Internal,
                "{}: {} holds {held} of the {} bytes that it needs",
                op.name(),
                operand.name,
                operand.bytes
            );
        }
        let others = operands[..at].iter().chain(&operands[at + 1..]);
        if operand.access != Access::Read
            && others.into_iter().any(|other| other.buf == operand.buf)
        {
            fail!(
                Code::Internal,
                "{}: {} is written, and is another of its buffers, too",
                op.name(),
                operand.name
            );
        }
    }
    Ok(())
}
