//! Rounding with feedback (GPTQ's): group by group a scale, then column by column a code, and what
//! that leaves of the weight is made good in the columns behind.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use half::f16;

use super::grid::Grid;
use super::inputs::Factor;
use crate::layout::panel::Group;
use crate::layout::{GROUP, Kind};

/// Turns of codes and scale that a grid is given.
pub(super) const TURNS: usize = 3;

/// Rounds rows of weights, `[rows, factor.cols]`, to the groups that stand for them,
/// `[rows, groups]`.
pub(super) fn round(weights: &[f32], factor: &Factor, kind: Kind) -> Vec<Group> {
    let cols = factor.cols;
    let (rows, groups) = (weights.len() / cols, cols / GROUP);
    let mut rounded =
        vec![Group { codes: [0; GROUP], scale: f16::ZERO, min: f16::ZERO }; rows * groups];
    let in_order = |row: &[f32]| factor.order.iter().map(|&col| row[col]).collect::<Vec<_>>();
    let mut weights: Vec<f32> = weights.chunks_exact(cols).flat_map(in_order).collect();
    let mut errors = vec![0.0f32; rows * GROUP];
    for first in (0..cols).step_by(GROUP) {
        let order = &factor.order[first..first + GROUP];
        for row in 0..rows {
            let values = &weights[row * cols + first..][..GROUP];
            let left = round_group(values, factor, first, kind);
            errors[row * GROUP..][..GROUP].copy_from_slice(&left.errors);
            let group = &mut rounded[row * groups + order[0] / GROUP];
            (group.scale, group.min) = (left.grid.scale, left.grid.min);
            order.iter().zip(left.codes).for_each(|(col, code)| group.codes[col % GROUP] = code);
        }
        let behind = first + GROUP;
        if behind < cols {
            let upper = MatRef::from_row_major_slice(&factor.upper, cols, cols);
            let upper = upper.submatrix(first, behind, GROUP, cols - behind);
            let errors = MatRef::from_row_major_slice(&errors, rows, GROUP);
            let weights = MatMut::from_row_major_slice_mut(&mut weights, rows, cols);
            let weights = weights.subcols_mut(behind, cols - behind);
            matmul(weights, Accum::Add, errors, upper, -1.0, Par::Seq);
        }
    }
    rounded
}

/// A row's group, rounded.
struct Rounded {
    grid: Grid,
    codes: [u8; GROUP],
    /// What each column leaves, in units of `U`'s diagonal: the sum of their squares is what the
    /// group costs once those behind it have made good what they can.
    errors: [f32; GROUP],
}

/// Rounds a row's group on the grid that costs least of those that promise to.
fn round_group(values: &[f32], factor: &Factor, first: usize, kind: Kind) -> Rounded {
    let importance = std::array::from_fn(|col| factor.row(first + col)[0].powi(-2));
    let values = std::array::from_fn(|col| values[col]);
    let mut least = f32::INFINITY;
    let grids = Grid::search(&values, &importance, kind);
    let mut best = Rounded { grid: grids[0], codes: [0; GROUP], errors: [0.0; GROUP] };
    for grid in grids {
        let mut grid = grid;
        for _ in 0..TURNS {
            let tried = round_on(grid, values, factor, first);
            let cost = tried.errors.iter().map(|error| error * error).sum();
            let refitted = tried.refitted(factor, first);
            if cost >= least {
                break;
            }
            (least, best) = (cost, tried);
            if refitted == grid {
                break;
            }
            grid = refitted;
        }
    }
    best
}

impl Rounded {
    /// The grid with the scale at which these codes cost least: errors are linear in it.
    fn refitted(&self, factor: &Factor, first: usize) -> Grid {
        let (mut left, mut slopes) = (self.codes.map(|code| self.grid.integer(code)), [0.0; GROUP]);
        for col in 0..GROUP {
            let upper = &factor.row(first + col)[..GROUP - col];
            let slope = left[col] / upper[0];
            left[col..].iter_mut().zip(upper).for_each(|(left, &u)| *left -= slope * u);
            slopes[col] = slope;
        }
        let along = |other: &[f32; GROUP]| slopes.iter().zip(other).map(|(x, y)| x * y).sum();
        let (by, length): (f32, f32) = (along(&self.errors), along(&slopes));
        if length > 0.0 { self.grid.rescaled(by / length) } else { self.grid }
    }
}

/// Rounds a row's group on this grid, column by column.
fn round_on(grid: Grid, mut values: [f32; GROUP], factor: &Factor, first: usize) -> Rounded {
    let (mut codes, mut errors) = ([0; GROUP], [0.0; GROUP]);
    for col in 0..GROUP {
        let upper = &factor.row(first + col)[..GROUP - col];
        let (code, held) = grid.code(values[col]);
        let error = (values[col] - held) / upper[0];
        values[col..].iter_mut().zip(upper).for_each(|(value, &u)| *value -= error * u);
        (codes[col], errors[col]) = (code, error);
    }
    Rounded { grid, codes, errors }
}
