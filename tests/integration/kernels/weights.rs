//! Weights in f64, one by one, read off the documentation of `layout/mod.rs`.

use half::f16;
use phi_wasm::layout::{HALVES, Kind, NON_LINEAR};
use phi_wasm::op::{Buf, Matrix};

use super::host::{Host, Memory};

/// Every weight of a matrix.
pub fn unpack(memory: &Memory, matrix: &Matrix) -> Vec<Vec<f64>> {
    let mut rows = Vec::new();
    for part in &matrix.parts {
        assert_eq!(part.first_row as usize, rows.len(), "parts come in order, without gaps");
        let bytes = |buf: Option<Buf>| match buf.map(|buf| &memory.buffers[buf.0 as usize]) {
            Some(Host::Bytes(bytes)) => bytes.as_slice(),
            _ => &[],
        };
        let (codes, scales, mins) = (bytes(Some(part.codes)), bytes(part.scales), bytes(part.mins));
        let cols = matrix.cols as usize;
        rows.extend((0..part.rows as usize).map(|row| {
            (0..cols).map(|col| weight(part.kind, codes, scales, mins, cols, row, col)).collect()
        }));
    }
    rows
}

/// One weight, by the table in `layout/mod.rs`.
fn weight(
    kind: Kind,
    codes: &[u8],
    scales: &[u8],
    mins: &[u8],
    cols: usize,
    row: usize,
    col: usize,
) -> f64 {
    let (quad, group) = (row / 4, quad_group(row, cols, col));
    let (c, bytes) = (col % 32, kind.codes_per_group());
    let line = |l: usize, byte: usize| {
        (quad * (cols / 32) + col / 32) * bytes + l * 16 + row % 4 * 4 + byte
    };
    let block = row / 4 * (cols / 256) + col / 256;
    // A row's bytes of a quad's group lie four apart, its halves of a quad's block as well.
    let byte = |at: usize| scales[((quad * (cols / 32) + col / 32) * 2 + at) * 4 + row % 4];
    let factor = |factors: usize, at: usize| (block * factors + at) * 4 + row % 4;
    let half =
        |plane: &[u8], i: usize| f64::from(f16::from_le_bytes([plane[2 * i], plane[2 * i + 1]]));
    let low = || codes[line(c % 16 / 4, c % 4)] >> (c / 16 * 4) & 15;
    let pair = || codes[line(c / 16, c % 4)] >> (c % 16 / 4 * 2) & 3;
    let three = || pair() | (codes[line(2, c % 4)] >> (c / 4) & 1) << 2;
    let nibble = || f64::from(low());
    let five = || f64::from(low() | (codes[line(4, c % 4)] >> (c % 16 / 4 + c / 16 * 4) & 1) << 4);
    let six = || f64::from(low() | (codes[line(4 + c / 16, c % 4)] >> (c % 16 / 4 * 2) & 3) << 4);
    // Scales are rounded to f32, as files mean it.
    let of_block = |factor: f64, scale: f64| f64::from((factor * scale) as f32);
    match kind {
        Kind::Q3 => half(scales, group) * (f64::from(three()) - 4.0),
        Kind::Q5 => half(scales, group) * (five() - 16.0),
        Kind::Q5Min => half(scales, group) * five() + half(mins, group),
        Kind::Q4K | Kind::Q5K => {
            let [d, dmin] = [0, 1].map(|at| half(mins, factor(2, at)));
            let code = if kind == Kind::Q4K { nibble() } else { five() };
            of_block(d, byte(0).into()) * code - of_block(dmin, byte(1).into())
        }
        Kind::Q6K => {
            let scale = f64::from(byte(c / 16) as i8);
            of_block(half(mins, factor(1, 0)), scale) * (six() - 32.0)
        }
        Kind::Q3K => {
            let scale = f64::from(byte(c / 16) as i8);
            of_block(half(mins, factor(1, 0)), scale) * (f64::from(three()) - 4.0)
        }
        Kind::Q2K => {
            let [d, dmin] = [0, 1].map(|at| half(mins, factor(2, at)));
            let (scale, min) = (byte(c / 16) % 16, byte(c / 16) / 16);
            of_block(d, scale.into()) * f64::from(pair()) - of_block(dmin, min.into())
        }
        Kind::IQ4NL => half(scales, group) * f64::from(NON_LINEAR[usize::from(low())]),
        Kind::FP4 => half(scales, group) * f64::from(HALVES[usize::from(low())]),
        Kind::IQ4XS => {
            let scale = scales[(quad * (cols / 32) + col / 32) * 4 + row % 4] as i8;
            let step = of_block(half(mins, factor(1, 0)), scale.into());
            step * f64::from(NON_LINEAR[usize::from(low())])
        }
        Kind::Q4 => half(scales, group) * (nibble() - 8.0),
        Kind::Q4Min => half(scales, group) * nibble() + half(mins, group),
        Kind::Q8 => half(scales, group) * f64::from(codes[line(c / 4, c % 4)] as i8),
        Kind::F16 => half(codes, line(c / 2, c % 2 * 2) / 2),
        Kind::F32 => f64::from(f32::from_le_bytes(codes[line(c, 0)..][..4].try_into().unwrap())),
    }
}

/// Where a weight's scale lies in its plane.
fn quad_group(row: usize, cols: usize, col: usize) -> usize {
    (row / 4 * (cols / 32) + col / 32) * 4 + row % 4
}
