//! The rounding against a naive twin, which eliminates column by column in f64, and against plain
//! rounding.

#![allow(clippy::unwrap_used)]

use super::grid::Grid;
use super::inputs::{DAMPING, Factor, Inputs};
use super::round::{TURNS, round, steps};
use crate::layout::blocks::pack_row;
use crate::layout::element_type::ElementType;
use crate::layout::panel::{Group, Panel};
use crate::layout::quant::{KINDS, OTHERS};
use crate::layout::steps::Steps;
use crate::layout::{GROUP, Kind};
use crate::random::unit;

/// Nearly normal numbers.
fn normal(seed: u64, count: usize) -> Vec<f32> {
    let one = |at: usize| (0..12).map(|i| unit(seed, (12 * at + i) as u64)).sum::<f64>() - 6.0;
    (0..count).map(|at| one(at) as f32).collect()
}

/// Inputs whose columns go together: a few directions bear most of them.
fn correlated(tokens: usize, cols: usize) -> Vec<f32> {
    let (rank, few, noise) = (8, normal(1, 8 * tokens), normal(2, tokens * cols));
    let directions = normal(3, rank * cols);
    let at = |index: usize| {
        let (token, col) = (index / cols, index % cols);
        let along = |i: usize| few[token * rank + i] * directions[i * cols + col];
        (0..rank).map(along).sum::<f32>() + 0.3 * noise[index]
    };
    (0..tokens * cols).map(at).collect()
}

/// `XᵀX`, damped.
fn damped(inputs: &[f32], cols: usize) -> Vec<Vec<f64>> {
    let mut h = vec![vec![0.0; cols]; cols];
    for token in inputs.chunks_exact(cols) {
        for (row, &x) in h.iter_mut().zip(token) {
            row.iter_mut().zip(token).for_each(|(sum, &y)| *sum += f64::from(x) * f64::from(y));
        }
    }
    let mean = (0..cols).map(|at| h[at][at]).sum::<f64>() / cols as f64;
    (0..cols).for_each(|at| h[at][at] += 0.01 * mean);
    h
}

/// Gauss and Jordan's way.
fn inverse(mut h: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let n = h.len();
    let mut inverse: Vec<Vec<f64>> =
        (0..n).map(|row| (0..n).map(|col| f64::from(u8::from(row == col))).collect()).collect();
    for pivot in 0..n {
        let by = h[pivot][pivot];
        h[pivot].iter_mut().chain(&mut inverse[pivot]).for_each(|x| *x /= by);
        let (from, from_inverse) = (h[pivot].clone(), inverse[pivot].clone());
        for row in (0..n).filter(|&row| row != pivot) {
            let times = h[row][pivot];
            h[row].iter_mut().zip(&from).for_each(|(x, y)| *x -= times * y);
            inverse[row].iter_mut().zip(&from_inverse).for_each(|(x, y)| *x -= times * y);
        }
    }
    inverse
}

/// A row rounded by Frantar and Alistarh's first way: after each column the inverse loses it.
fn twin(row: &[f32], h: &[Vec<f64>], order: &[usize], kind: Kind) -> Vec<f64> {
    let (n, span) = (row.len(), kind.span());
    let held: Vec<Steps> = row.chunks(kind.unit()).map(|unit| steps(unit, kind)).collect();
    let in_order = |values: &[f64]| order.iter().map(|&col| values[col]).collect::<Vec<_>>();
    let mut left = inverse(order.iter().map(|&row| in_order(&h[row])).collect());
    let mut behind = Vec::new();
    for col in 0..n {
        let (diagonal, row_behind) = (left[col][col], left[col].clone());
        for row in left.iter_mut().skip(col + 1) {
            let times = row[col] / diagonal;
            row.iter_mut().zip(&row_behind).for_each(|(x, y)| *x -= times * y);
        }
        behind.push(row_behind);
    }
    let mut values: Vec<f64> = order.iter().map(|&col| row[col].into()).collect();
    for first in (0..n).step_by(span) {
        // What it costs to hold columns so, and the row then.
        let hold = |code: &dyn Fn(usize, f64) -> f64| {
            let (mut values, mut cost) = (values.clone(), 0.0);
            for col in first..first + span {
                let value = code(col, values[col]);
                let error = (values[col] - value) / behind[col][col];
                cost += error * error * behind[col][col];
                (col + 1..n).for_each(|next| values[next] -= error * behind[col][next]);
                values[col] = value;
            }
            (cost, values)
        };
        let before: Vec<f32> = (0..span).map(|i| values[first + i] as f32).collect();
        let weight = |i: usize| (1.0 / behind[first + i][first + i]) as f32;
        let weights: Vec<f32> = (0..span).map(weight).collect();
        let held = held[order[first] / kind.unit()];
        let mut best = (f64::INFINITY, vec![]);
        for mut grid in Grid::search(&before, &weights, (kind, held)) {
            for _ in 0..TURNS {
                let tried = hold(&|_, value| grid.code(value as f32).1.into());
                if tried.0 >= best.0 {
                    break;
                }
                // Of the scale the cost is a parabola, which three points give.
                let (scale, min) = grid.scale_and_offset();
                let (scale, min) = (f64::from(scale), f64::from(min));
                let stretched = |by: f64| hold(&|col, _| (tried.1[col] - min) * by + min).0;
                let [below, at, above] = [0.5, 1.0, 1.5].map(stretched);
                let curve = below - 2.0 * at + above;
                let off = if curve > 0.0 { 0.25 * (below - above) / curve } else { 0.0 };
                grid = grid.rescaled((off * scale) as f32);
                best = tried;
            }
        }
        values = best.1;
    }
    let mut held = vec![0.0; n];
    order.iter().zip(values).for_each(|(&col, value)| held[col] = value);
    held
}

/// A row of a panel.
fn held(panel: &Panel, row: usize) -> Vec<f64> {
    panel.row(row).into_iter().map(f64::from).collect()
}

/// Each group by itself.
fn plain(weights: &[f32], cols: usize, kind: Kind) -> Panel {
    let mut panel = Panel::new(kind, weights.len() / cols, cols);
    for (at, row) in weights.chunks(cols).enumerate() {
        pack_row(&ElementType::F32, bytemuck::cast_slice(row), &mut panel, at).unwrap();
    }
    panel
}

/// What rounding does to the products: `ΔHΔᵀ`.
fn loss(row: &[f32], held: &[f64], h: &[Vec<f64>]) -> f64 {
    let off: Vec<f64> = row.iter().zip(held).map(|(&x, y)| f64::from(x) - y).collect();
    let along = |row: &[f64]| row.iter().zip(&off).map(|(h, x)| h * x).sum::<f64>();
    h.iter().zip(&off).map(|(row, x)| x * along(row)).sum()
}

#[test]
fn it_rounds_as_the_naive_twin_does() {
    for kind in KINDS.into_iter().chain(OTHERS) {
        let (cols, rows) = (if kind.has_blocks() { 256 } else { 96 }, 4);
        let inputs = correlated(400, cols);
        let h = damped(&inputs, cols);
        let mut seen = Inputs::new(cols);
        inputs.chunks(cols * 64).for_each(|some| seen.add(some));
        let factor = seen.factor(DAMPING, kind.span()).unwrap();
        let weights = normal(5, rows * cols);
        let (rounded, plain) = (round(&weights, &factor, kind), plain(&weights, cols, kind));
        let (mut losses, mut plain_losses) = (0.0, 0.0);
        for (at, row) in weights.chunks(cols).enumerate() {
            let ours = loss(row, &held(&rounded, at), &h);
            let theirs = loss(row, &twin(row, &h, &factor.order, kind), &h);
            assert!((0.99..1.01).contains(&(ours / theirs)), "{kind:?}: {ours} and {theirs}");
            losses += ours;
            plain_losses += loss(row, &held(&plain, at), &h);
        }
        assert!(losses < plain_losses / 3.0, "{kind:?}: {losses}, plainly {plain_losses}");
    }
}

#[test]
fn columns_that_do_not_go_together_are_rounded_to_the_nearest() {
    let cols = 64;
    // Each token is in one column alone.
    let mut one_each = vec![0.0; cols * cols];
    (0..cols).for_each(|at| one_each[at * cols + at] = 2.0);
    let mut seen = Inputs::new(cols);
    seen.add(&one_each);
    let factor = seen.factor(DAMPING, GROUP).unwrap();
    for kind in KINDS.into_iter().chain([Kind::Q3, Kind::Q5]) {
        let weights = normal(7, 4 * cols);
        let (rounded, plain) = (round(&weights, &factor, kind), plain(&weights, cols, kind));
        for (at, values) in weights.chunks(GROUP).enumerate() {
            let (row, group) = (at * GROUP / cols, at % (cols / GROUP));
            let group = rounded.group(row, group);
            let last = ((1u32 << kind.code_bits()) - 1) as u8;
            let held = |code| Group { codes: [code; GROUP], ..group }.values(kind)[0];
            for (&value, code) in values.iter().zip(group.codes) {
                let away = |code| (held(code) - value).abs();
                // Minus 128 is no code of 8 bits.
                let nearest = (0..=last).filter(|&code| kind != Kind::Q8 || code != 128);
                let nearest = nearest.map(away).fold(f32::INFINITY, f32::min);
                assert!(away(code) <= nearest + 1e-6, "{kind:?} {value}");
            }
            let error = |panel: &Panel| -> f32 {
                let held = &panel.row(row)[at % (cols / GROUP) * GROUP..];
                values.iter().zip(held).map(|(x, y)| (x - y).powi(2)).sum()
            };
            assert!(error(&rounded) <= 1.3 * error(&plain), "{kind:?}");
        }
    }
}

#[test]
fn columns_that_count_most_lose_least() {
    let cols = 512;
    let means: Vec<f32> = (0..cols).map(|col| if col % 7 == 0 { 30.0 } else { 0.1 }).collect();
    for kind in KINDS.into_iter().chain(OTHERS) {
        let weights = normal(9, 4 * cols);
        let error = |panel: &Panel| -> f32 {
            let held = (0..4).flat_map(|row| panel.row(row));
            let squares = weights.iter().zip(held).map(|(x, y)| (x - y).powi(2));
            squares.zip(means.iter().cycle()).map(|(square, mean)| square * mean).sum()
        };
        let weighted = error(&round(&weights, &Factor::diagonal(&means), kind));
        let plain = error(&plain(&weights, cols, kind));
        let most = if kind == Kind::Q8 { 1.05 } else { 0.9 };
        assert!(weighted < most * plain, "{kind:?}: {weighted}, plainly {plain}");
    }
}

#[test]
fn the_factor_is_the_inverses() {
    let cols = 160;
    let inputs = correlated(300, cols);
    let mut seen = Inputs::new(cols);
    inputs.chunks(cols * 100).for_each(|some| seen.add(some));
    let factor = seen.factor(DAMPING, GROUP).unwrap();
    let inverse = inverse(damped(&inputs, cols));
    let upper = |row: usize, col: usize| match col.checked_sub(row) {
        Some(behind) => f64::from(factor.row(row)[behind]),
        None => 0.0,
    };
    let largest = (0..cols).map(|at| inverse[at][at]).fold(0.0, f64::max);
    for (row, expected) in inverse.iter().enumerate() {
        for (col, expected) in expected.iter().enumerate() {
            let place = |col: usize| factor.order.iter().position(|&at| at == col).unwrap();
            let (row, col) = (place(row), place(col));
            let found: f64 = (0..=row.min(col)).map(|at| upper(at, row) * upper(at, col)).sum();
            assert!((found - expected).abs() < 1e-4 * largest, "{row} {col}: {found} {expected}");
        }
    }
}

#[test]
fn weights_make_good_what_inputs_have_drifted_by() {
    let (tokens, cols) = (300, 64);
    let inputs = correlated(tokens, cols);
    // Each column lacks some of the next one.
    let exact: Vec<f32> = inputs
        .chunks_exact(cols)
        .flat_map(|x| (0..cols).map(|col| x[col] + 0.2 * x[(col + 1) % cols]))
        .collect();
    let mut seen = Inputs::new(cols);
    for (inputs, exact) in inputs.chunks(cols * 100).zip(exact.chunks(cols * 100)) {
        seen.add(inputs);
        seen.add_drift(inputs, exact);
    }
    let weights = normal(5, 2 * cols);
    let adapted = seen.factor(DAMPING, GROUP).unwrap().adapted(&weights);
    // What a product lacks, beside each input, times the inverse of what inputs are together.
    let inverse = inverse(damped(&inputs, cols));
    let product = |row: &[f32], x: &[f32]| -> f64 {
        row.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum()
    };
    for (row, adapted) in weights.chunks_exact(cols).zip(adapted.chunks_exact(cols)) {
        let mut beside = vec![0.0; cols];
        for (x, exact) in inputs.chunks_exact(cols).zip(exact.chunks_exact(cols)) {
            let lacks = product(row, exact) - product(row, x);
            beside.iter_mut().zip(x).for_each(|(sum, x)| *sum += lacks * f64::from(*x));
        }
        for (col, found) in adapted.iter().enumerate() {
            let more: f64 = (0..cols).map(|at| beside[at] * inverse[at][col]).sum();
            let expected = f64::from(row[col]) + more;
            assert!((f64::from(*found) - expected).abs() < 1e-3, "{col}: {found} {expected}");
        }
    }
}

#[test]
fn inputs_may_be_nothing_and_must_be_numbers() {
    let zeros = Inputs::new(32).factor(DAMPING, GROUP).unwrap();
    assert_eq!(zeros.upper, Factor::identity(32).upper);
    let mut seen = Inputs::new(32);
    seen.add(&[f32::NAN; 32]);
    assert!(seen.factor(DAMPING, GROUP).is_err());
}

#[test]
fn weights_at_the_edge_are_held() {
    for kind in KINDS {
        for value in [0.0, 1e-9, 1e-3, 3.5, -7e4, 3e38] {
            let values: [f32; GROUP] =
                std::array::from_fn(|i| if i == 3 { value } else { 0.25 * value });
            let [grid, ..] = Grid::search(&values, &[1.0; GROUP], (kind, Steps::Halves));
            let (scale, offset) = grid.scale_and_offset();
            assert!(scale.is_finite() && offset.is_finite(), "{kind:?} {value}");
            // f16 holds neither the least nor the largest.
            for value in values.into_iter().filter(|x| *x == 0.0 || (1e-4..1e5).contains(&x.abs()))
            {
                let found = grid.code(value).1;
                assert!((found - value).abs() <= 0.1 * values[3].abs(), "{kind:?}: {found}");
            }
        }
        // A column that counts alone is held best.
        let mut weights = [1e-6; GROUP];
        weights[9] = 1.0;
        let values: [f32; GROUP] = normal(11, GROUP).try_into().unwrap();
        let error = |grid: Grid| (grid.code(values[9]).1 - values[9]).abs();
        let [heeded, ..] = Grid::search(&values, &weights, (kind, Steps::Halves));
        let [equal, ..] = Grid::search(&values, &[1.0; GROUP], (kind, Steps::Halves));
        assert!(error(heeded) <= error(equal), "{kind:?}");
    }
}
