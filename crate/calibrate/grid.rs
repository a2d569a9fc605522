//! The scale and the offset of columns, before their codes: whatever error the columns have, each
//! counts as much as it matters.

use half::f16;

use crate::layout::Kind;
use crate::layout::quant::Codes;
use crate::layout::steps::Steps;

/// How many steps of the scale the largest weight is away from zero, for each scale that the search
/// tries in `Q4`: from and to, and how many between them. With twice the codes it is twice as many.
/// Negative, since the longest side gets the eighth step.
const PEAKS_Q4: [(f32, f32, usize); 2] = [(-9.5, -5.0, 19), (5.0, 8.0, 14)];
/// The same in `Q8`, where there is little to gain.
const PEAKS_Q8: [(f32, f32, usize); 1] = [(123.0, 128.0, 11)];
/// Into how many parts of the codes' range the range of the weights is divided where there are
/// offsets.
const RANGES: (f32, f32, usize) = (11.0 / 15.0, 1.2, 15);
/// How many of these are tried out.
pub(super) const BEST: usize = 6;
/// How far the codes' middle is from the range's, in steps.
const SHIFTS: [f32; 5] = [-1.0, -0.5, 0.0, 0.5, 1.0];

/// What codes of some columns stand for: `scale * Kind::steps(code) + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grid {
    kind: Kind,
    codes: Codes,
    held: Steps,
    scale: f32,
    offset: f32,
}

impl Grid {
    fn new((kind, held): (Kind, Steps), scale: f32, offset: f32) -> Grid {
        let (scale, offset) = held.nearest(scale, offset);
        Grid { kind, codes: Codes::of(kind), held, scale, offset }
    }

    /// Those of the least squared errors, each column's times its weight.
    ///
    /// # Panics
    /// If nothing is rounded to the kind.
    pub fn search(values: &[f32], weights: &[f32], how: (Kind, Steps)) -> [Grid; BEST] {
        let mut best = [(f32::INFINITY, Grid::new(how, 0.0, 0.0)); BEST];
        let mut attempt = |scale: f32, offset: f32| {
            let grid = Grid::new(how, scale, offset);
            let error = grid.error(values, weights);
            let at = best.partition_point(|(least, _)| *least <= error);
            if at < BEST {
                best[at..].rotate_right(1);
                best[at] = (error, grid);
            }
        };
        let codes = Codes::of(how.0);
        if codes.from_zero() {
            let low = values.iter().copied().fold(f32::INFINITY, f32::min);
            let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            attempt(0.0, (low + high) * 0.5);
            for part in between(RANGES) {
                let scale = (high - low) / (part * codes.high());
                attempt(high / (part * codes.high()), 0.0);
                for shift in SHIFTS {
                    attempt(scale, (low + high) * 0.5 + (shift - codes.high() * 0.5) * scale);
                }
            }
        } else {
            let larger = |peak: f32, &x: &f32| if x.abs() > peak.abs() { x } else { peak };
            let peak = values.iter().fold(0.0, larger);
            attempt(0.0, 0.0);
            let is_q8 = how.0 == Kind::Q8;
            let peaks = if is_q8 { &PEAKS_Q8[..] } else { &PEAKS_Q4[..] };
            let times = if is_q8 { 1.0 } else { codes.times_q4() };
            for steps in peaks.iter().copied().flat_map(between) {
                attempt(peak / (steps * times), 0.0);
            }
        }
        best.map(|(error, grid)| {
            let fitted = grid.fitted(values, weights);
            if fitted.error(values, weights) < error { fitted } else { grid }
        })
    }

    /// Least squares, with the codes that the values have here.
    fn fitted(self, values: &[f32], weights: &[f32]) -> Grid {
        let (mut w, mut q, mut qq, mut x, mut xq) = (0.0f32, 0.0, 0.0, 0.0, 0.0);
        for (&value, &weight) in values.iter().zip(weights) {
            let code = self.nearest(value);
            w += weight;
            q += weight * code;
            qq += weight * code * code;
            x += weight * value;
            xq += weight * value * code;
        }
        let how = (self.kind, self.held);
        if self.offset == 0.0 {
            return if qq > 0.0 { Grid::new(how, xq / qq, 0.0) } else { self };
        }
        let spread = w * qq - q * q;
        if spread <= 0.0 {
            return self;
        }
        let scale = (w * xq - q * x) / spread;
        Grid::new(how, scale, (x - scale * q) / w)
    }

    fn error(self, values: &[f32], weights: &[f32]) -> f32 {
        let left = |value: f32| value - self.scale * self.nearest(value) - self.offset;
        values.iter().zip(weights).map(|(&value, &weight)| weight * left(value).powi(2)).sum()
    }

    fn nearest(self, value: f32) -> f32 {
        if self.scale == 0.0 {
            return 0.0;
        }
        self.codes.nearest((value - self.offset) / self.scale)
    }

    /// What the scale is multiplied with in a code.
    pub fn integer(self, code: u8) -> f32 {
        self.kind.steps(code)
    }

    /// With a scale that is so much larger.
    pub fn rescaled(self, by: f32) -> Grid {
        Grid::new((self.kind, self.held), self.scale + by, self.offset)
    }

    /// The code of a value, and what it stands for.
    pub fn code(self, value: f32) -> (u8, f32) {
        let code = self.nearest(value);
        (self.codes.stored(code), self.scale * code + self.offset)
    }

    /// The scale and the offset.
    pub fn scale_and_offset(self) -> (f32, f32) {
        (self.scale, self.offset)
    }

    /// The same in f16.
    pub fn halves(self) -> (f16, f16) {
        (f16::from_f32(self.scale), f16::from_f32(self.offset))
    }

    /// The byte in which a block holds both.
    pub fn byte(self) -> u8 {
        self.held.byte(self.scale, self.offset)
    }
}

fn between((from, to, count): (f32, f32, usize)) -> impl Iterator<Item = f32> {
    (0..count).map(move |at| from + (to - from) * at as f32 / (count - 1) as f32)
}
