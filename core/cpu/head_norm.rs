//! RMS norms of single heads, in place: of the queries, and of the keys.

use super::Context;
use super::scratch::with_scratch;
use crate::error::Result;
use crate::op::HeadNorm;

pub fn run(context: &Context, op: &HeadNorm) -> Result<()> {
    let (heads, eps) = (op.heads, f32::from_bits(op.eps_bits));
    let (width, dim) = (heads.qkv_width() as usize, heads.head_dim as usize);
    let (queries, normed) = (heads.n_heads as usize, (heads.n_heads + heads.n_kv_heads) as usize);
    let (q_weight, k_weight) = (
        &context.memory.read::<f32>(op.q_weight)?[..dim],
        &context.memory.read::<f32>(op.k_weight)?[..dim],
    );
    let qkv = context.memory.share::<f32>(op.qkv)?;
    context.threads.each(op.rows as usize, |row| {
        // SAFETY: every task has a row of its own.
        let row = unsafe { qkv.slice(row * width, width) };
        with_scratch(dim, |before| {
            for (index, head) in row.chunks_exact_mut(dim).take(normed).enumerate() {
                before.copy_from_slice(head);
                // SAFETY: the kernel was chosen for this CPU.
                unsafe {
                    (context.kernels.norm)(
                        before,
                        if index < queries { q_weight } else { k_weight },
                        head,
                        eps,
                    )
                }
            }
        });
    });
    Ok(())
}
