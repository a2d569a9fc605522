//! What a product's inputs say of its weights: `H = XᵀX`, and the factor by which an error in one
//! column is made good in those behind it.

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

/// The upper half of `XᵀX`, summed over rows of inputs.
pub(super) struct Inputs {
    cols: usize,
    sums: Vec<f64>, // [cols, cols]
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
}

impl Inputs {
    /// None yet.
    pub fn new(cols: usize) -> Inputs {
        Inputs { cols, sums: vec![0.0; cols * cols] }
    }

    /// Counts inputs in, `[rows, cols]`.
    pub fn add(&mut self, inputs: &[f32]) {
        let cols = self.cols;
        let x: Vec<f64> = inputs.iter().map(|&x| x.into()).collect();
        let x = MatRef::from_row_major_slice(&x, inputs.len() / cols, cols);
        in_parallel(self.sums.chunks_mut(STRIPE * cols).enumerate(), |(stripe, sums)| {
            let first = stripe * STRIPE;
            let rows = sums.len() / cols;
            let sums = MatMut::from_row_major_slice_mut(sums, rows, cols);
            let (left, right) = (x.subcols(first, rows), x.subcols(first, cols - first));
            let sums = sums.subcols_mut(first, cols - first);
            matmul(sums, Accum::Add, left.transpose(), right, 1.0, Par::Seq);
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
        drop(self.sums);
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
        Ok(Factor { cols, order, upper, is_diagonal: false })
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
        Factor { cols, order, upper, is_diagonal: false }
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
        Factor { cols, order: (0..cols).collect(), upper, is_diagonal: true }
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
