//! Rounding with feedback (GPTQ's): for the columns that share one a scale, then column by column a
//! code, and what that leaves of the weight is made good in the columns behind.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::grid::Grid;
use super::inputs::Factor;
use crate::layout::panel::{Block, Group, Panel};
use crate::layout::steps::Steps;
use crate::layout::{BLOCK, GROUP, HALF, Kind};

/// Turns of codes and scale that a grid is given.
pub(super) const TURNS: usize = 3;
/// How much larger than before a scale may become in a block, which is told what it can hold before
/// anything is made good, and how much where that costs the others nearly nothing.
const ROOM: f32 = 1.05;
const ROOM_SIGNED: f32 = 1.5;

/// Rounds rows of weights, `[rows, factor.cols]`. The factor is of columns in an order that keeps
/// those together which share a scale.
pub(super) fn round(weights: &[f32], factor: &Factor, kind: Kind) -> Panel {
    let (cols, span) = (factor.cols, kind.span());
    let (rows, spans) = (weights.len() / cols, cols / span);
    let held: Vec<Steps> =
        weights.chunks_exact(kind.unit()).map(|unit| steps(unit, kind)).collect();
    let mut rounded: Vec<Option<Grid>> = vec![None; rows * spans];
    let mut codes = vec![0; rows * cols];
    let in_order = |row: &[f32]| factor.order.iter().map(|&col| row[col]).collect::<Vec<_>>();
    let mut weights: Vec<f32> = weights.chunks_exact(cols).flat_map(in_order).collect();
    let mut errors = vec![0.0f32; rows * span];
    for first in (0..cols).step_by(span) {
        let order = &factor.order[first..first + span];
        for row in 0..rows {
            let values = &weights[row * cols + first..][..span];
            let held = held[(row * cols + order[0]) / kind.unit()];
            let left = round_span(values, factor, first, (kind, held));
            errors[row * span..][..span].copy_from_slice(&left.errors[..span]);
            rounded[row * spans + order[0] / span] = Some(left.grid);
            order.iter().zip(left.codes).for_each(|(col, code)| codes[row * cols + col] = code);
        }
        let behind = first + span;
        if behind < cols && !factor.is_diagonal {
            let upper = MatRef::from_row_major_slice(&factor.upper, cols, cols);
            let upper = upper.submatrix(first, behind, span, cols - behind);
            let errors = MatRef::from_row_major_slice(&errors, rows, span);
            let weights = MatMut::from_row_major_slice_mut(&mut weights, rows, cols);
            let weights = weights.subcols_mut(behind, cols - behind);
            matmul(weights, Accum::Add, errors, upper, -1.0, Par::Seq);
        }
    }
    let grids: Vec<Grid> = rounded.into_iter().flatten().collect();
    packed((rows, cols), kind, &codes, (&grids, &held))
}

/// What the scales of a unit of columns are held in.
pub(super) fn steps(unit: &[f32], kind: Kind) -> Steps {
    if !kind.has_blocks() {
        return Steps::Halves;
    }
    let alike = [1.0; HALF];
    let free: Vec<_> = unit
        .chunks_exact(HALF)
        .map(|half| Grid::search(half, &alike, (kind, Steps::Halves))[0].scale_and_offset())
        .collect();
    let signed = matches!(Steps::of_block(kind, &free, 1.0), Steps::Signed(_));
    Steps::of_block(kind, &free, if signed { ROOM_SIGNED } else { ROOM })
}

/// Codes `[rows, cols]`, grids of columns that share one, and what units hold those in.
fn packed(
    (rows, cols): (usize, usize),
    kind: Kind,
    codes: &[u8],
    (grids, held): (&[Grid], &[Steps]),
) -> Panel {
    let mut panel = Panel::new(kind, rows, cols);
    let codes_of = |group: usize| std::array::from_fn(|i| codes[group * GROUP + i]);
    for (unit, held) in held.iter().enumerate() {
        let (row, at) = (unit * kind.unit() / cols, unit * kind.unit() % cols / kind.unit());
        if kind.has_blocks() {
            let groups: [usize; BLOCK] = std::array::from_fn(|i| unit * BLOCK + i);
            let block = Block {
                codes: groups.map(codes_of),
                scales: groups.map(|group| [2 * group, 2 * group + 1].map(|i| grids[i].byte())),
                factors: held.factors(),
            };
            panel.set_block(row, at, &block);
        } else {
            let (scale, min) = grids[unit].halves();
            panel.set_group(row, at, &Group { codes: codes_of(unit), scale, min });
        }
    }
    panel
}

/// Columns of a row, rounded.
struct Rounded {
    grid: Grid,
    codes: [u8; GROUP],
    /// What each column leaves, in units of `U`'s diagonal: the sum of their squares is what these
    /// cost once those behind them have made good what they can.
    errors: [f32; GROUP],
    span: usize,
}

/// Rounds a row's columns on the grid that costs least of those that promise to.
fn round_span(values: &[f32], factor: &Factor, first: usize, how: (Kind, Steps)) -> Rounded {
    let importance: [f32; GROUP] = std::array::from_fn(|col| match values.get(col) {
        Some(_) => factor.row(first + col)[0].powi(-2),
        None => 0.0,
    });
    let mut least = f32::INFINITY;
    let grids = Grid::search(values, &importance[..values.len()], how);
    let (codes, errors, span) = ([0; GROUP], [0.0; GROUP], values.len());
    let mut best = Rounded { grid: grids[0], codes, errors, span };
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
        for col in 0..self.span {
            let upper = &factor.row(first + col)[..self.span - col];
            let slope = left[col] / upper[0];
            left[col..].iter_mut().zip(upper).for_each(|(left, &u)| *left -= slope * u);
            slopes[col] = slope;
        }
        let along = |other: &[f32; GROUP]| slopes.iter().zip(other).map(|(x, y)| x * y).sum();
        let (by, length): (f32, f32) = (along(&self.errors), along(&slopes));
        if length > 0.0 { self.grid.rescaled(by / length) } else { self.grid }
    }
}

/// Rounds a row's columns on this grid, one by one.
fn round_on(grid: Grid, from: &[f32], factor: &Factor, first: usize) -> Rounded {
    let (mut codes, mut errors) = ([0; GROUP], [0.0; GROUP]);
    let (mut values, span) = ([0.0; GROUP], from.len());
    values[..span].copy_from_slice(from);
    for col in 0..span {
        let upper = &factor.row(first + col)[..span - col];
        let (code, held) = grid.code(values[col]);
        let error = (values[col] - held) / upper[0];
        values[col..].iter_mut().zip(upper).for_each(|(value, &u)| *value -= error * u);
        (codes[col], errors[col]) = (code, error);
    }
    Rounded { grid, codes, errors, span }
}
