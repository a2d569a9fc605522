//! Scales that blocks hold: each rounded to what its block's factors let it have.

use half::f16;

use crate::error::Result;
use crate::layout::panel::{Block, Group};
use crate::layout::quant::{Candidate, Codes, ROUND, finite, half, rounded};
use crate::layout::{BLOCK, GROUP, HALF, Kind, Scales};

/// Chooses codes, scales and factors of a block of weights, so that the squared error is little:
/// what is best for each half of a group is rounded to what the factors let it have.
///
/// # Errors
/// As [`super::quant::quantise`].
///
/// # Panics
/// If there are not 256 values, or nothing is rounded to the kind.
pub fn quantise_block(values: &[f32], kind: Kind) -> Result<Block> {
    finite(values)?;
    // Twice the same 16 weights have the scale of one.
    let halves: [[f32; GROUP]; 2 * BLOCK] = std::array::from_fn(|half| {
        std::array::from_fn(|i| values[half * HALF..][..HALF][i % HALF])
    });
    let free = halves.map(|values| {
        let Group { scale, min, .. } = rounded(&values, kind);
        (scale.to_f32(), min.to_f32())
    });
    let (steps, codes) = (Steps::of_block(kind, &free, 1.0), Codes::of(kind));
    let mut block =
        Block { codes: [[0; GROUP]; BLOCK], scales: [[0; 2]; BLOCK], factors: steps.factors() };
    for (at, (values, free)) in halves.iter().zip(free).enumerate() {
        let (scale, offset) = steps.fitted(values, codes, free);
        let (group, half) = (at / 2, at % 2);
        block.scales[group][half] = steps.byte(scale, offset);
        let stored = codes.store(values, scale, offset);
        block.codes[group][half * HALF..][..HALF].copy_from_slice(&stored[..HALF]);
    }
    Ok(block)
}

/// How scales and offsets are held: what they are rounded to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Steps {
    /// In f16.
    Halves,
    /// As a signed byte times a block's factor.
    Signed(f16),
    /// As a nibble each, times a block's two factors; offsets are subtracted.
    Nibbles([f16; 2]),
}

impl Steps {
    /// Those of a block whose halves would have these scales and offsets, with room for others that
    /// are so much larger.
    pub fn of_block(kind: Kind, free: &[(f32, f32)], room: f32) -> Steps {
        let most = |of: fn(&(f32, f32)) -> f32| free.iter().map(of).fold(0.0, f32::max) * room;
        match kind.scales() {
            Scales::BlockHalves => Steps::Signed(half(most(|half| half.0.abs()) / 127.0)),
            Scales::BlockHalvesMin => {
                Steps::Nibbles([most(|half| half.0), most(|half| -half.1)].map(|x| half(x / 15.0)))
            }
            _ => Steps::Halves,
        }
    }

    /// A block's factors.
    pub fn factors(self) -> [f16; 2] {
        match self {
            Steps::Halves => [f16::ZERO; 2],
            Steps::Signed(d) => [d, f16::ZERO],
            Steps::Nibbles(factors) => factors,
        }
    }

    /// The nearest that are held.
    pub fn nearest(self, scale: f32, offset: f32) -> (f32, f32) {
        let nearest = |x: f32, factor: f16, (low, high): (f32, f32)| {
            let factor = factor.to_f32();
            if factor > 0.0 {
                factor * ((x / factor).clamp(low, high) + ROUND - ROUND)
            } else {
                0.0
            }
        };
        match self {
            Steps::Halves => (half(scale).to_f32(), half(offset).to_f32()),
            Steps::Signed(d) => (nearest(scale, d, (-127.0, 127.0)), 0.0),
            Steps::Nibbles([d, dmin]) => {
                (nearest(scale, d, (0.0, 15.0)), -nearest(-offset, dmin, (0.0, 15.0)))
            }
        }
    }

    /// How half a group's are stored in a block.
    pub fn byte(self, scale: f32, offset: f32) -> u8 {
        let steps = |x: f32, factor: f16| {
            if factor > f16::ZERO { (x / factor.to_f32() + ROUND - ROUND) as i32 } else { 0 }
        };
        match self {
            Steps::Halves => 0,
            Steps::Signed(d) => steps(scale, d) as u8,
            Steps::Nibbles([d, dmin]) => (steps(scale, d) | steps(-offset, dmin) << 4) as u8,
        }
    }

    /// The best that are held near these.
    fn fitted(
        self,
        values: &[f32; GROUP],
        codes: Codes,
        (scale, offset): (f32, f32),
    ) -> (f32, f32) {
        let mut best = (f32::INFINITY, (0.0, 0.0));
        let mut attempt = |scale: f32, offset: f32| {
            let (scale, offset) = self.nearest(scale, offset);
            let (mut error, mut better) = (0.0, scale);
            if scale == 0.0 {
                values.iter().for_each(|x| error += (x - offset) * (x - offset));
            } else {
                let candidate = Candidate::new(values, codes, scale, offset);
                error = candidate.error;
                better += candidate.rq / candidate.qq.max(1.0);
            }
            if error < best.0 {
                best = (error, (scale, offset));
            }
            better
        };
        // Offsets above zero are not held: all codes begin there then.
        let peak = values.iter().copied().fold(0.0, f32::max);
        let scale = if offset > 0.0 { peak / codes.high() } else { scale };
        let around = match self {
            Steps::Nibbles([_, dmin]) => [0.0, -dmin.to_f32(), dmin.to_f32()].map(|by| offset + by),
            _ => [offset; 3],
        };
        let count = if matches!(self, Steps::Nibbles(_)) { 3 } else { 1 };
        for offset in around.into_iter().take(count) {
            let better = attempt(scale, offset);
            attempt(better, offset);
        }
        best.1
    }
}
