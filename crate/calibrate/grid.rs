//! The scale and the offset of a group, before its codes: whatever error the columns have, each
//! counts as much as it matters.

use half::f16;

use crate::layout::quant::{Codes, half};
use crate::layout::{GROUP, Kind};

/// How many steps of the scale the largest weight is away from zero, for each scale that the search
/// tries in `Q4`: from and to, and how many between them. Negative, since the longest side gets the
/// eighth step.
const PEAKS_Q4: [(f32, f32, usize); 2] = [(-9.5, -5.0, 19), (5.0, 8.0, 14)];
/// The same in `Q8`, where there is little to gain.
const PEAKS_Q8: [(f32, f32, usize); 1] = [(123.0, 128.0, 11)];
/// Into how many steps the range of the weights is divided in `Q4Min`.
const RANGES: (f32, f32, usize) = (11.0, 18.0, 15);
/// How many of these are tried out.
pub(super) const BEST: usize = 6;
/// How far the codes' middle is from the range's, in steps.
const SHIFTS: [f32; 5] = [-1.0, -0.5, 0.0, 0.5, 1.0];

/// What a group's codes stand for: `scale * Kind::steps(code) + min`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grid {
    pub scale: f16,
    pub min: f16,
    kind: Kind,
    codes: Codes,
    steps: f32,
    offset: f32,
}

impl Grid {
    fn new(kind: Kind, scale: f32, offset: f32) -> Grid {
        let (scale, min) = (half(scale), half(offset));
        let (steps, offset) = (scale.to_f32(), min.to_f32());
        Grid { scale, min, kind, codes: Codes::of(kind), steps, offset }
    }

    /// Those of the least squared errors, each column's times its weight.
    ///
    /// # Panics
    /// If nothing is rounded to the kind.
    pub fn search(values: &[f32; GROUP], weights: &[f32; GROUP], kind: Kind) -> [Grid; BEST] {
        let mut best = [(f32::INFINITY, Grid::new(kind, 0.0, 0.0)); BEST];
        let mut attempt = |scale: f32, offset: f32| {
            let grid = Grid::new(kind, scale, offset);
            let error = grid.error(values, weights);
            let at = best.partition_point(|(least, _)| *least <= error);
            if at < BEST {
                best[at..].rotate_right(1);
                best[at] = (error, grid);
            }
        };
        if kind == Kind::Q4Min {
            let low = values.iter().copied().fold(f32::INFINITY, f32::min);
            let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            attempt(0.0, (low + high) * 0.5);
            for steps in between(RANGES) {
                let scale = (high - low) / steps;
                for shift in SHIFTS {
                    attempt(scale, (low + high) * 0.5 + (shift - 7.5) * scale);
                }
            }
        } else {
            let larger = |peak: f32, &x: &f32| if x.abs() > peak.abs() { x } else { peak };
            let peak = values.iter().fold(0.0, larger);
            attempt(0.0, 0.0);
            let peaks = if kind == Kind::Q4 { &PEAKS_Q4[..] } else { &PEAKS_Q8[..] };
            for steps in peaks.iter().copied().flat_map(between) {
                attempt(peak / steps, 0.0);
            }
        }
        best.map(|(error, grid)| {
            let fitted = grid.fitted(values, weights);
            if fitted.error(values, weights) < error { fitted } else { grid }
        })
    }

    /// Least squares, with the codes that the values have here.
    fn fitted(self, values: &[f32; GROUP], weights: &[f32; GROUP]) -> Grid {
        let (mut w, mut q, mut qq, mut x, mut xq) = (0.0f32, 0.0, 0.0, 0.0, 0.0);
        for (&value, &weight) in values.iter().zip(weights) {
            let code = self.nearest(value);
            w += weight;
            q += weight * code;
            qq += weight * code * code;
            x += weight * value;
            xq += weight * value * code;
        }
        if self.offset == 0.0 {
            return if qq > 0.0 { Grid::new(self.kind, xq / qq, 0.0) } else { self };
        }
        let spread = w * qq - q * q;
        if spread <= 0.0 {
            return self;
        }
        let scale = (w * xq - q * x) / spread;
        Grid::new(self.kind, scale, (x - scale * q) / w)
    }

    fn error(self, values: &[f32; GROUP], weights: &[f32; GROUP]) -> f32 {
        let left = |value: f32| value - self.steps * self.nearest(value) - self.offset;
        values.iter().zip(weights).map(|(&value, &weight)| weight * left(value).powi(2)).sum()
    }

    fn nearest(self, value: f32) -> f32 {
        if self.steps == 0.0 {
            return 0.0;
        }
        self.codes.nearest((value - self.offset) / self.steps)
    }

    /// What the scale is multiplied with in a code.
    pub fn integer(self, code: u8) -> f32 {
        self.kind.steps(code)
    }

    /// With a scale that is so much larger.
    pub fn rescaled(self, by: f32) -> Grid {
        Grid::new(self.kind, self.steps + by, self.offset)
    }

    /// The code of a value, and what it stands for.
    pub fn code(self, value: f32) -> (u8, f32) {
        let code = self.nearest(value);
        (self.codes.stored(code), self.steps * code + self.offset)
    }
}

fn between((from, to, count): (f32, f32, usize)) -> impl Iterator<Item = f32> {
    (0..count).map(move |at| from + (to - from) * at as f32 / (count - 1) as f32)
}
