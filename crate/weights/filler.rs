//! Weights that mean nothing, to time a backend with that does not hold the model.

use std::sync::Arc;

use super::load::allocate;
use crate::backend::Backend;
use crate::error::Result;
use crate::layout::Band;
use crate::op::{Buf, Matrix};

/// What is written at once, from the stack: where memory is short, all of it is the backend's to
/// refuse.
const PIECE: usize = 1 << 14;
/// An f32 of 0.011, an f16 of 1.06, codes of 60, or of 4 and -5: sums stay where no kernel is
/// slower than usual.
const VALUES: u8 = 0x3c;
/// An f16 of 0.065.
const SCALES: u8 = 0x2c;

/// A matrix without any sense. Every byte is written: pages that nobody wrote are all one, which a
/// cache would hold.
pub(crate) fn matrix<B: Backend>(
    backend: &mut B,
    bands: &[Band],
    cols: usize,
) -> Result<Arc<Matrix>> {
    let matrix = allocate(backend, "weights to time with", bands, cols)?;
    for part in &matrix.parts {
        let sizes = part.planes(matrix.cols);
        fill(backend, part.codes, sizes.codes, VALUES)?;
        for (plane, bytes) in [(part.scales, sizes.scales), (part.mins, sizes.mins)] {
            plane.map_or(Ok(()), |buf| fill(backend, buf, bytes, SCALES))?;
        }
    }
    Ok(Arc::new(matrix))
}

/// A vector of `len` floats without any sense.
pub(crate) fn vector<B: Backend>(backend: &mut B, len: u32) -> Result<Buf> {
    let bytes = u64::from(len) * 4;
    let buf = backend.alloc("weights to time with", bytes)?;
    fill(backend, buf, bytes, VALUES)?;
    Ok(buf)
}

fn fill<B: Backend>(backend: &mut B, buf: Buf, bytes: u64, byte: u8) -> Result<()> {
    let piece = [byte; PIECE];
    (0..bytes)
        .step_by(PIECE)
        .try_for_each(|at| backend.write(buf, at, &piece[..PIECE.min((bytes - at) as usize)]))
}
