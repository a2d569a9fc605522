//! Rotary angles, LongRoPE included.
//!
//! Everything is computed in f32 in the order in which transformers computes it, so that the same
//! angles come out at position 100,000 as well.

use crate::weights::config::{Config, RopeScaling};

/// Which of LongRoPE's two lists of factors a cache was filled with. Models without LongRoPE know
/// only `Short`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factors {
    /// For sequences up to `original_max_position_embeddings`.
    Short,
    /// For longer ones; *all* positions of the sequence use them.
    Long,
}

/// The frequencies of a model and how to turn positions into angles.
#[derive(Clone, Debug)]
pub struct RopeFrequencies {
    short: Vec<f32>,
    long: Option<Vec<f32>>,
    switch_after: usize,
    attention_factor: f32,
}

impl RopeFrequencies {
    /// The frequencies that a configuration asks for.
    pub fn new(config: &Config) -> RopeFrequencies {
        let base = base_frequencies(config.rope_theta, config.rotary_dim as usize);
        let plain = |short| RopeFrequencies {
            short,
            long: None,
            switch_after: usize::MAX,
            attention_factor: 1.0,
        };
        match &config.rope {
            RopeScaling::Plain => plain(base.iter().map(|b| 1.0 / b).collect()),
            RopeScaling::Linear { factor } => {
                plain(base.iter().map(|b| 1.0 / b / factor).collect())
            }
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor } => {
                let original = config.original_max_position_embeddings as f32;
                plain(
                    base.iter()
                        .map(|b| {
                            llama3_frequency(
                                1.0 / b,
                                *factor,
                                *low_freq_factor,
                                *high_freq_factor,
                                original,
                            )
                        })
                        .collect(),
                )
            }
            RopeScaling::LongRope { short_factor, long_factor, attention_factor } => {
                // The factors divide the frequency; multiplying is a bug seen in the wild.
                let divided = |factors: &[f32]| {
                    base.iter().zip(factors).map(|(b, f)| 1.0 / (f * b)).collect()
                };
                RopeFrequencies {
                    short: divided(short_factor),
                    long: Some(divided(long_factor)),
                    switch_after: config.original_max_position_embeddings as usize,
                    attention_factor: *attention_factor,
                }
            }
        }
    }

    /// Which factors a sequence of `len` tokens uses, at every one of its positions.
    pub fn factors(&self, len: usize) -> Factors {
        if self.long.is_some() && len > self.switch_after { Factors::Long } else { Factors::Short }
    }

    /// `[rows, rotary_dim]` for positions `pos .. pos + rows`: the cosines of a row's pairs, then
    /// their sines, scaled.
    pub fn angles(&self, factors: Factors, pos: usize, rows: usize) -> Vec<f32> {
        let frequencies = match (factors, &self.long) {
            (Factors::Long, Some(long)) => long,
            _ => &self.short,
        };
        let mut angles = Vec::with_capacity(rows * 2 * frequencies.len());
        for position in pos..pos + rows {
            let turned = frequencies.iter().map(|f| f * position as f32);
            angles.extend(turned.clone().map(|angle| angle.cos() * self.attention_factor));
            angles.extend(turned.map(|angle| angle.sin() * self.attention_factor));
        }
        angles
    }
}

/// `theta^(2i / rotary_dim)` for every pair.
fn base_frequencies(theta: f32, rotary_dim: usize) -> Vec<f32> {
    (0..rotary_dim / 2).map(|pair| theta.powf((2 * pair) as f32 / rotary_dim as f32)).collect()
}

/// Llama 3's rule: high frequencies stay, low ones are divided by `factor`, those between are
/// blended.
fn llama3_frequency(frequency: f32, factor: f32, low: f32, high: f32, original: f32) -> f32 {
    let wavelength = 2.0 * std::f32::consts::PI / frequency;
    if wavelength < original / high {
        frequency
    } else if wavelength > original / low {
        frequency / factor
    } else {
        let smooth = (original / wavelength - low) / (high - low);
        (1.0 - smooth) * frequency / factor + smooth * frequency
    }
}
