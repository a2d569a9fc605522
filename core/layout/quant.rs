//! From floats to groups of 32 codes: the quantiser.
//!
//! A group's scale (and offset) minimise the squared error, not the range: first a search over
//! scales, each judged by the error that least squares could reach with its codes; then codes and
//! least squares by turns, with the f16 scale that the file will hold. Only plain arithmetic in one
//! order, so that every machine makes the same bytes.

use half::f16;

use crate::error::{Code, Result, fail};
use crate::layout::panel::Group;
use crate::layout::{GROUP, Kind};

/// How many steps of the scale the largest weight is away from zero, for each scale that the search
/// tries in `Q4`; with twice the codes twice as many. Negative, since the longest side gets the
/// eighth step. The outermost clip the largest weight for the others' sake.
const PEAKS_Q4: [f32; 20] = [
    -9.2, -8.8, -8.4, -8.1, -7.8, -7.5, -7.2, -6.9, -6.6, -6.2, -5.8, -5.4, 5.4, 5.8, 6.2, 6.6,
    6.9, 7.2, 7.5, 7.9,
];
/// How many steps of the scale the largest weight is away from zero in `Q8`, for each scale that
/// the search tries: 127 steps leave little to gain.
const PEAKS_Q8: [f32; 6] = [127.4, 126.7, 126.0, 125.2, 124.4, 123.6];
/// Into how many steps the range of the weights is divided, for each scale that the search tries in
/// `Q4Min`, whose codes have a range of [`RANGE`].
const RANGES: [f32; 8] = [12.0, 13.0, 13.8, 14.5, 15.2, 16.2, 17.4, 18.6];
const RANGE: f32 = 15.0;
/// How far the codes' middle is from the range's, in steps: clipping one side alone is often best.
const SHIFTS: [f32; 3] = [-0.5, 0.0, 0.5];
/// How many candidates are refined: there are many local minima.
const REFINED: usize = 5;
/// Ranges narrower than this, as a share of the largest weight, have steps that are finer than f16
/// offsets.
const NARROW: f32 = 1.0 / 64.0;
/// Turns of codes and least squares; most groups settle in two.
const TURNS: usize = 4;
/// Partial sums, one a lane: an AVX register, or two of SIMD128.
const LANES: usize = 8;
/// Adding and subtracting it rounds a small float to the nearest integer, ties to even, in plain
/// SIMD on every machine.
pub(super) const ROUND: f32 = 12_582_912.0;
/// The smallest f16 above zero, 2⁻²⁴.
const SMALLEST: f16 = f16::from_bits(1);

/// The kinds that floats become in most formats.
pub const KINDS: [Kind; 3] = [Kind::Q4, Kind::Q4Min, Kind::Q8];
/// Those that floats become, too, where bits are an average. The others are of files alone.
pub const OTHERS: [Kind; 5] = [Kind::Q2K, Kind::Q3K, Kind::Q3, Kind::Q5, Kind::Q6K];

/// What is to be said of weights that are no numbers.
pub const NOT_FINITE: &str = "a weight is NaN or infinite; the file is damaged, fetch it \
    again or take another copy of the model";

/// What is to be said of scales that are no numbers.
pub const SCALE_NOT_FINITE: &str = "the scale of a group is NaN, infinite or beyond 16 \
    bits; the file is damaged, fetch it again or take another copy of the model";

/// Squares summed over groups: how well they fit their weights.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QuantError {
    /// Sum of the squared weights.
    pub power: f64,
    /// Sum of the squared differences between the weights and what the groups hold.
    pub error: f64,
}

impl QuantError {
    /// The root mean square of the error as a share of the weights': 0.08 is 8 % of noise. Zero
    /// where all weights are.
    pub fn relative_rms(&self) -> f64 {
        if self.power > 0.0 { (self.error / self.power).sqrt() } else { 0.0 }
    }

    /// Counts weights in, and what is held in their place.
    pub fn add(&mut self, values: &[f32], held: &[f32]) {
        let (mut power, mut error) = (0.0, 0.0);
        for (&x, &y) in values.iter().zip(held) {
            power += f64::from(x) * f64::from(x);
            error += (f64::from(x) - f64::from(y)) * (f64::from(x) - f64::from(y));
        }
        self.power += power;
        self.error += error;
    }
}

impl std::ops::AddAssign for QuantError {
    fn add_assign(&mut self, other: QuantError) {
        self.power += other.power;
        self.error += other.error;
    }
}

/// Chooses codes, scale and offset of 32 weights for a kind without blocks, so that the squared
/// error is least.
///
/// f16 bounds what a group can hold: scales and offsets saturate at ±65504, so weights beyond
/// 500,000 in `Q4`, a million in `Q4Min` and eight million in `Q8` are clipped, and weights below
/// 2⁻²⁵, half of the smallest step, become zero.
///
/// # Errors
/// `malformed` if a weight is NaN or infinite; the caller adds the tensor's name.
///
/// # Panics
/// If there are not 32 values, or nothing is rounded to the kind.
pub fn quantise(values: &[f32], kind: Kind) -> Result<Group> {
    let values: &[f32; GROUP] = values.try_into().expect("a group has 32 weights");
    finite(values)?;
    Ok(rounded(values, kind))
}

pub(super) fn finite(values: &[f32]) -> Result<()> {
    if !values.iter().fold(true, |finite, value| finite & value.is_finite()) {
        fail!(Code::Malformed, "{NOT_FINITE}");
    }
    Ok(())
}

/// With a scale and an offset in f16.
pub(super) fn rounded(values: &[f32; GROUP], kind: Kind) -> Group {
    let codes = Codes::of(kind);
    match kind {
        Kind::Q8 => symmetric(values, codes, &PEAKS_Q8),
        Kind::Q4Min | Kind::Q2K => affine(values, codes),
        _ => symmetric(values, codes, &PEAKS_Q4.map(|steps| steps * codes.times_q4())),
    }
}

/// The integers that a kind's codes stand for, and what is added to store them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Codes {
    low: f32,
    high: f32,
    bias: i32,
}

impl Codes {
    /// Those of a kind.
    ///
    /// # Panics
    /// If nothing is rounded to the kind.
    pub const fn of(kind: Kind) -> Codes {
        let all = 1 << kind.code_bits();
        match kind {
            Kind::Q8 => Codes { low: -127.0, high: 127.0, bias: 0 },
            Kind::Q4Min | Kind::Q2K => Codes { low: 0.0, high: (all - 1) as f32, bias: 0 },
            Kind::Q3K | Kind::Q3 | Kind::Q4 | Kind::Q5 | Kind::Q6K => {
                Codes { low: -(all / 2) as f32, high: (all / 2 - 1) as f32, bias: all / 2 }
            }
            _ => panic!("nothing is rounded to this kind"),
        }
    }

    /// Whether offsets are added to what these stand for.
    pub fn from_zero(self) -> bool {
        self.low == 0.0
    }

    /// How many times as far these codes go down as those of `Q4`.
    pub fn times_q4(self) -> f32 {
        self.low / -8.0
    }

    /// The largest code.
    pub fn high(self) -> f32 {
        self.high
    }

    /// The nearest code to a value that lies `steps` from code zero.
    #[inline(always)]
    pub fn nearest(self, steps: f32) -> f32 {
        (steps.clamp(self.low, self.high) + ROUND) - ROUND
    }

    /// How a code is stored.
    #[inline(always)]
    pub fn stored(self, code: f32) -> u8 {
        (code as i32 + self.bias) as u8
    }

    pub(super) fn store(self, values: &[f32; GROUP], scale: f32, offset: f32) -> [u8; GROUP] {
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        values.map(|x| self.stored(self.nearest((x - offset) * inverse)))
    }
}

/// `w = scale * q`.
fn symmetric(values: &[f32; GROUP], codes: Codes, peaks: &[f32]) -> Group {
    let peak = values.iter().fold(0.0f32, |peak, &x| if x.abs() > peak.abs() { x } else { peak });
    if vanishes(peak) {
        return Group { codes: [codes.bias as u8; GROUP], scale: f16::ZERO, min: f16::ZERO };
    }
    let values = values.map(|x| x / peak);
    let mut starts = [Start::default(); PEAKS_Q4.len()];
    for (start, steps) in starts.iter_mut().zip(peaks) {
        let scale = 1.0 / steps;
        let candidate = Candidate::new(&values, codes, scale, 0.0);
        let by_scale = candidate.rq / candidate.qq;
        *start = Start {
            bound: candidate.error - by_scale * candidate.rq,
            scale: scale + by_scale,
            offset: 0.0,
        };
    }
    let starts = &mut starts[..peaks.len()];
    starts.sort_unstable_by(|a, b| a.bound.total_cmp(&b.bound));
    let (mut least, mut best) = (f32::INFINITY, SMALLEST);
    for start in &starts[..REFINED] {
        let (mut before, mut scale) = (f32::INFINITY, start.scale);
        for _ in 0..TURNS {
            let held = step(scale * peak);
            let scale_held = held.to_f32() / peak;
            let candidate = Candidate::new(&values, codes, scale_held, 0.0);
            if candidate.error < least {
                (least, best) = (candidate.error, held);
            }
            if candidate.error >= before || candidate.qq == 0.0 {
                break;
            }
            before = candidate.error;
            scale = scale_held + candidate.rq / candidate.qq;
        }
    }
    Group { codes: codes.store(&values, best.to_f32() / peak, 0.0), scale: best, min: f16::ZERO }
}

/// A scale and an offset to begin with, and the error that least squares promises for their codes.
#[derive(Clone, Copy, Default)]
struct Start {
    bound: f32,
    scale: f32,
    offset: f32,
}

/// `w = scale * q + min`, for q from 0 on.
fn affine(values: &[f32; GROUP], codes: Codes) -> Group {
    let peak = values.iter().fold(0.0f32, |peak, &x| peak.max(x.abs()));
    if vanishes(peak) {
        return Group { codes: [0; GROUP], scale: f16::ZERO, min: f16::ZERO };
    }
    let values = values.map(|x| x / peak);
    let (low, high) =
        values.iter().fold((1.0f32, -1.0f32), |(low, high), &y| (low.min(y), high.max(y)));
    let mut starts = [Start::default(); RANGES.len() * SHIFTS.len()];
    if high - low < NARROW {
        // f16 cannot place the offset finely enough: it goes below all weights, and the scale makes
        // up for the rest.
        let offset = half((low - low.abs() * 2.0 * f16::EPSILON.to_f32()) * peak).to_f32() / peak;
        let steps = [1.0, 3.0, 7.0, 11.0, 15.0].map(|steps: f32| steps.min(codes.high));
        starts.iter_mut().zip(steps).for_each(|(start, steps)| {
            *start = Start { bound: 0.0, scale: (high - offset) / steps, offset };
        });
    } else {
        for (index, start) in starts.iter_mut().enumerate() {
            let scale = (high - low) / (RANGES[index / SHIFTS.len()] * (codes.high / RANGE));
            let middle = SHIFTS[index % SHIFTS.len()] - codes.high * 0.5;
            let offset = (low + high) * 0.5 + middle * scale;
            let candidate = Candidate::new(&values, codes, scale, offset);
            let (by_scale, by_offset) = candidate.line();
            let bound = candidate.error - by_scale * candidate.rq - by_offset * candidate.r;
            *start = Start { bound, scale: scale + by_scale, offset: offset + by_offset };
        }
        starts.sort_unstable_by(|a, b| a.bound.total_cmp(&b.bound));
    }
    let (mut least, mut best) = (f32::INFINITY, (SMALLEST, f16::ZERO));
    for start in &starts[..REFINED] {
        let (mut before, mut scale, mut offset) = (f32::INFINITY, start.scale, start.offset);
        for _ in 0..TURNS {
            let held = (step(scale * peak), half(offset * peak));
            let (scale_held, offset_held) = (held.0.to_f32() / peak, held.1.to_f32() / peak);
            let candidate = Candidate::new(&values, codes, scale_held, offset_held);
            if candidate.error < least {
                (least, best) = (candidate.error, held);
            }
            if candidate.error >= before {
                break;
            }
            before = candidate.error;
            let (by_scale, by_offset) = candidate.line();
            (scale, offset) = (scale_held + by_scale, offset_held + by_offset);
        }
    }
    Group {
        codes: codes.store(&values, best.0.to_f32() / peak, best.1.to_f32() / peak),
        scale: best.0,
        min: best.1,
    }
}

/// Whether f16 steps cannot tell a weight from zero.
fn vanishes(peak: f32) -> bool {
    peak.abs() <= 0.5 * SMALLEST.to_f32()
}

/// The nearest f16, saturating.
pub fn half(value: f32) -> f16 {
    f16::from_f32(value.clamp(f16::MIN.to_f32(), f16::MAX.to_f32()))
}

/// The nearest f16 that can be divided by.
fn step(scale: f32) -> f16 {
    let nearest = half(scale);
    if nearest.to_f32() != 0.0 {
        nearest
    } else if scale < 0.0 {
        -SMALLEST
    } else {
        SMALLEST
    }
}

/// Sums over a group coded with some scale and offset; r is what a code leaves of its value, `y -
/// offset - scale * q`.
pub(super) struct Candidate {
    /// Σr².
    pub error: f32,
    /// Σrq.
    pub rq: f32,
    /// Σq².
    pub qq: f32,
    /// Σr.
    r: f32,
    /// Σq.
    q: f32,
}

impl Candidate {
    #[inline(always)]
    pub(super) fn new(values: &[f32; GROUP], codes: Codes, scale: f32, offset: f32) -> Candidate {
        let inverse = 1.0 / scale;
        let mut sums = [[0.0f32; LANES]; 5];
        for chunk in values.chunks_exact(LANES) {
            for lane in 0..LANES {
                let value = chunk[lane] - offset;
                let q = codes.nearest(value * inverse);
                let r = value - scale * q;
                sums[0][lane] += r * r;
                sums[1][lane] += r * q;
                sums[2][lane] += q * q;
                sums[3][lane] += r;
                sums[4][lane] += q;
            }
        }
        let [error, rq, qq, r, q] =
            sums.map(|s| ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7])));
        Candidate { error, rq, qq, r, q }
    }

    /// What least squares adds to scale and offset: the line through the residuals over the codes.
    fn line(&self) -> (f32, f32) {
        let n = GROUP as f32;
        let spread = n * self.qq - self.q * self.q;
        let by_scale = if spread > 0.0 { (n * self.rq - self.q * self.r) / spread } else { 0.0 };
        (by_scale, (self.r - by_scale * self.q) / n)
    }
}
