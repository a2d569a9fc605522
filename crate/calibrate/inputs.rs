//! What a product's inputs say of its weights: `H = XᵀX`, and the factor by which an error in one
//! column is made good in those behind it; and what weights make good that inputs have drifted by.
//!
//! Inputs of a model as far as it is rounded, X, lack D of those that it gives unrounded. Weights W
//! do most for the products that were if they are `W + W DᵀX H⁻¹` before they are rounded.

use std::sync::Mutex;
use std::thread;

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_inverse::invert_lower_triangular;
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};

use crate::error::{Code, Result, fail};
use crate::layout::GROUP;

/// What the diagonal is raised by, as a share of its mean: columns that the text hardly uses would
/// bear any error else.
pub(super) const DAMPING: f64 = 0.01;
/// Rows of `H` that a thread computes at once.
const STRIPE: usize = 128;

/// What is summed over rows of inputs.
pub(super) struct Inputs {
    cols: usize,
    /// The upper half of `XᵀX`.
    sums: Vec<f64>, // [cols, cols]
    /// `DᵀX`: what inputs lack of those that an unrounded model gives. Empty where that is nothing.
    drift: Vec<f32>, // [cols, cols]
}

/// Upper triangular `U` with `UᵀU = H⁻¹`, of columns in the order in which they are rounded.
pub(super) struct Factor {
    pub cols: usize,
    /// That order. Columns that share a scale stay together: what bears errors worst comes first,
    /// while there are many columns behind to make them good.
    pub order: Vec<usize>,
    /// `U`, row-major; nothing below the diagonal means anything.
    pub upper: Vec<f32>, // [cols, cols]
    /// Whether columns say nothing of each other. Of `U`'s rows there is the beginning then, from
    /// the diagonal on.
    pub is_diagonal: bool, // upper is [cols, GROUP]
    /// What makes good, added to weights times this, that inputs have drifted: `DᵀX H⁻¹`. Columns
    /// are in their own order here. Empty where they have not.
    drift: Vec<f32>, // [cols, cols]
}

impl Inputs {
    /// None yet.
    pub fn new(cols: usize) -> Inputs {
        Inputs { cols, sums: vec![0.0; cols * cols], drift: Vec::new() }
    }

    /// Counts inputs in, `[rows, cols]`.
    pub fn add(&mut self, inputs: &[f32]) {
        let cols = self.cols;
        let x = MatRef::from_row_major_slice(inputs, inputs.len() / cols, cols);
        in_parallel(self.sums.chunks_mut(STRIPE * cols).enumerate(), |(stripe, sums)| {
            let (first, height) = (stripe * STRIPE, sums.len() / cols);
            // A window's products are near enough in f32, which takes half of the time.
            let mut products = Mat::<f32>::zeros(height, cols - first);
            let (left, right) = (x.subcols(first, height), x.subcols(first, cols - first));
            matmul(products.as_mut(), Accum::Replace, left.transpose(), right, 1.0, Par::Seq);
            for (row, sums) in sums.chunks_exact_mut(cols).enumerate() {
                let products = products.row(row);
                (first..cols).for_each(|col| sums[col] += f64::from(products[col - first]));
            }
        });
    }

    /// Counts in by how much inputs are less than these, which an unrounded model gives.
    pub fn add_drift(&mut self, inputs: &[f32], exact: &[f32]) {
        let cols = self.cols;
        let lacks: Vec<f32> = exact.iter().zip(inputs).map(|(exact, x)| exact - x).collect();
        let rows = inputs.len() / cols;
        let [d, x] = [&lacks[..], inputs].map(|of| MatRef::from_row_major_slice(of, rows, cols));
        self.drift.resize(cols * cols, 0.0);
        in_parallel(self.drift.chunks_mut(STRIPE * cols).enumerate(), |(stripe, drift)| {
            let height = drift.len() / cols;
            let left = d.subcols(stripe * STRIPE, height).transpose();
            let drift = MatMut::from_row_major_slice_mut(drift, height, cols);
            matmul(drift, Accum::Add, left, x, 1.0, Par::Seq);
        });
    }

    /// Factors the inverse, the diagonal raised by a share of its mean. So many columns stay
    /// together.
    ///
    /// # Errors
    /// `malformed` for inputs that are no numbers.
    pub fn factor(mut self, damping: f64, span: usize) -> Result<Factor> {
        let cols = self.cols;
        let mean = (0..cols).map(|at| self.sums[at * cols + at]).sum::<f64>() / cols as f64;
        let damping = if mean > 0.0 { damping * mean } else { 1.0 };
        (0..cols).for_each(|at| self.sums[at * cols + at] += damping);
        let order = self.order(span);
        // With rows and columns in reverse, H is LLᵀ; in order again, L is the upper R of H = RRᵀ,
        // and U is its inverse.
        let reversed = Mat::from_fn(cols, cols, |row, col| {
            let (one, other) = (order[cols - 1 - row], order[cols - 1 - col]);
            if row < col { 0.0 } else { self.sums[one.min(other) * cols + one.max(other)] }
        });
        self.sums = Vec::new();
        let Ok(lower) = reversed.llt(Side::Lower) else {
            fail!(
                Code::Malformed,
                "what the model computes of the text is NaN or infinite; its file is damaged, \
                    fetch it again or take another copy"
            );
        };
        drop(reversed);
        let mut inverse = Mat::<f64>::zeros(cols, cols);
        invert_lower_triangular(inverse.as_mut(), lower.L(), Par::Seq);
        drop(lower);
        let mut upper = vec![0.0; cols * cols];
        for col in 0..cols {
            for row in 0..=col {
                upper[row * cols + col] = inverse[(cols - 1 - row, cols - 1 - col)] as f32;
            }
        }
        let mut factor = Factor { cols, order, upper, is_diagonal: false, drift: self.drift };
        factor.divide_drift();
        Ok(factor)
    }

    /// Spans of columns by what their inputs come to, and the columns of each.
    fn order(&self, span: usize) -> Vec<usize> {
        let power = |col: usize| self.sums[col * (self.cols + 1)];
        let mut spans: Vec<Vec<usize>> = (0..self.cols)
            .step_by(span)
            .map(|first| {
                let mut cols: Vec<_> = (first..first + span).collect();
                cols.sort_by(|&one, &other| power(other).total_cmp(&power(one)));
                cols
            })
            .collect();
        let of_all = |cols: &[usize]| cols.iter().map(|&col| power(col)).sum::<f64>();
        spans.sort_by(|one, other| of_all(other).total_cmp(&of_all(one)));
        spans.concat()
    }
}

impl Factor {
    /// That of inputs which say nothing of any column.
    #[cfg(test)]
    pub fn identity(cols: usize) -> Factor {
        let at = |index| f32::from(u8::from(index / cols == index % cols));
        let order = (0..cols).collect();
        let upper = (0..cols * cols).map(at).collect();
        Factor { cols, order, upper, is_diagonal: false, drift: Vec::new() }
    }

    /// That of inputs of which only the mean squares are known.
    pub fn diagonal(means: &[f32]) -> Factor {
        let cols = means.len();
        let mean = means.iter().sum::<f32>() / cols as f32;
        let damping = if mean > 0.0 { DAMPING as f32 * mean } else { 1.0 };
        let mut upper = vec![0.0; cols * GROUP];
        for (row, square) in upper.chunks_exact_mut(GROUP).zip(means) {
            row[0] = (square + damping).sqrt().recip();
        }
        let order = (0..cols).collect();
        Factor { cols, order, upper, is_diagonal: true, drift: Vec::new() }
    }

    /// Multiplies what has drifted with `H⁻¹`.
    fn divide_drift(&mut self) {
        let cols = self.cols;
        let upper = MatRef::from_row_major_slice(&self.upper, cols, cols);
        in_parallel(self.drift.chunks_mut(STRIPE * cols), |drift| {
            let in_order = |row, col| drift[row * cols + self.order[col]];
            let drifted = Mat::from_fn(drift.len() / cols, cols, in_order);
            let divided = &(&drifted * upper.transpose()) * upper;
            for (row, drift) in drift.chunks_exact_mut(cols).enumerate() {
                let divided = divided.row(row);
                self.order.iter().enumerate().for_each(|(at, &col)| drift[col] = divided[at]);
            }
        });
    }

    /// Rows of weights, as they serve inputs that have drifted.
    pub fn adapted(&self, weights: &[f32]) -> Vec<f32> {
        let mut adapted = weights.to_vec();
        if !self.drift.is_empty() {
            let (rows, cols) = (weights.len() / self.cols, self.cols);
            let drift = MatRef::from_row_major_slice(&self.drift, cols, cols);
            let to = MatMut::from_row_major_slice_mut(&mut adapted, rows, cols);
            let weights = MatRef::from_row_major_slice(weights, rows, cols);
            matmul(to, Accum::Add, weights, drift, 1.0, Par::Seq);
        }
        adapted
    }

    /// `U`'s row `col`, from its diagonal on.
    pub fn row(&self, col: usize) -> &[f32] {
        if self.is_diagonal {
            &self.upper[col * GROUP..(col + 1) * GROUP]
        } else {
            &self.upper[col * self.cols + col..(col + 1) * self.cols]
        }
    }
}

/// Does all of these, on as many threads as there are.
pub(super) fn in_parallel<T: Send>(tasks: impl Iterator<Item = T> + Send, task: impl Fn(T) + Sync) {
    let tasks = Mutex::new(tasks);
    let work = || {
        while let Some(next) = tasks.lock().ok().and_then(|mut tasks| tasks.next()) {
            task(next);
        }
    };
    let others = thread::available_parallelism().map_or(0, |threads| threads.get() - 1);
    thread::scope(|scope| {
        (0..others).for_each(|_| {
            scope.spawn(work);
        });
        work();
    });
}
