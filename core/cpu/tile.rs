//! The tile: some rows of numbers times a panel, with all sums in registers. Products of many
//! tokens and attention's values are made of it.

use super::lanes::Lanes;

/// A row-major matrix of floats in memory.
#[derive(Clone, Copy)]
pub struct Rows<P> {
    /// The first element.
    pub start: P,
    /// Floats from one row to the next.
    pub stride: usize,
}

/// How many vectors wide a tile is.
pub const WIDE: usize = 2;

/// `sums[t][c] += Σ x[t][k] * panel[k][c]` over `k < depth`, for `rows` rows t and `columns`
/// columns c, a multiple of `WIDTH`.
///
/// A sum runs in the order of k, however the rows and columns are tiled.
///
/// # Safety
/// The CPU has the instructions of `L`; the panel is `[depth, columns]`, `x` `[rows, depth]` and
/// `sums` `[rows, columns]`.
#[inline(always)]
pub unsafe fn product<L: Lanes>(
    panel: Rows<*const f32>,
    depth: usize,
    x: Rows<*const f32>,
    rows: usize,
    sums: Rows<*mut f32>,
    columns: usize,
) {
    let mut c = 0;
    while c < columns {
        let wide = if columns - c >= WIDE * L::WIDTH { WIDE } else { 1 };
        let mut t = 0;
        while t < rows {
            // SAFETY: the caller's; a tile of `wide` vectors and some of the rows is left.
            unsafe {
                let panel = Rows { start: panel.start.add(c), ..panel };
                let x = Rows { start: x.start.add(t * x.stride), ..x };
                let sums = Rows { start: sums.start.add(t * sums.stride + c), ..sums };
                t += match (wide, rows - t) {
                    (WIDE, 8..) if L::TOKENS >= 8 => tile::<L, WIDE, 8>(panel, depth, x, sums),
                    (WIDE, 4..) => tile::<L, WIDE, 4>(panel, depth, x, sums),
                    (WIDE, 2..) => tile::<L, WIDE, 2>(panel, depth, x, sums),
                    (WIDE, _) => tile::<L, WIDE, 1>(panel, depth, x, sums),
                    (_, 4..) => tile::<L, 1, 4>(panel, depth, x, sums),
                    (_, _) => tile::<L, 1, 1>(panel, depth, x, sums),
                };
            }
        }
        c += wide * L::WIDTH;
    }
}

/// One tile of `V` vectors and `T` rows; returns its rows.
#[inline(always)]
unsafe fn tile<L: Lanes, const V: usize, const T: usize>(
    panel: Rows<*const f32>,
    depth: usize,
    x: Rows<*const f32>,
    sums: Rows<*mut f32>,
) -> usize {
    // SAFETY: the caller's.
    unsafe {
        let mut tile = [[L::splat(0.0); V]; T];
        for k in 0..depth {
            let mut columns = [L::splat(0.0); V];
            for (v, column) in columns.iter_mut().enumerate() {
                *column = L::load(panel.start.add(k * panel.stride + v * L::WIDTH));
            }
            for (t, row) in tile.iter_mut().enumerate() {
                let x = L::splat(*x.start.add(t * x.stride + k));
                for (sum, column) in row.iter_mut().zip(columns) {
                    *sum = column.mul_add(x, *sum);
                }
            }
        }
        for (t, row) in tile.into_iter().enumerate() {
            for (v, sum) in row.into_iter().enumerate() {
                let to = sums.start.add(t * sums.stride + v * L::WIDTH);
                sum.add(L::load(to)).store(to);
            }
        }
    }
    T
}
