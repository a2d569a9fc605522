//! What a model's numbers are. Parse once, then trust: a [`Config`] that exists fits together.

mod architecture;
mod fields;
mod gguf;
mod huggingface;

pub use architecture::Architecture;
pub(super) use architecture::{Biases, Window};
pub(super) use gguf::FromTensors;
pub use huggingface::token_ids;

use crate::error::{Code, Result, fail};
use crate::op::Heads;

use crate::layout::{GROUP, QUAD};

/// How the rotary frequencies `1 / theta^(2i / rotary_dim)` are changed, with i below `rotary_dim /
/// 2`.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    Plain,
    /// Each is divided by a factor of its own: the long ones when the whole sequence is longer than
    /// `original_max_position_embeddings`, the short ones otherwise.
    LongRope {
        /// `[rotary_dim / 2]`.
        short_factor: Vec<f32>,
        /// `[rotary_dim / 2]`.
        long_factor: Vec<f32>,
        /// What cosines and sines are multiplied with, at every length.
        attention_factor: f32,
    },
    /// Llama 3.1's: low frequencies are divided by `factor`, high ones kept, those between
    /// interpolated.
    Llama3 {
        /// What low frequencies are divided by.
        factor: f32,
        /// Wavelengths above `original / low_freq_factor` are low frequencies.
        low_freq_factor: f32,
        /// Wavelengths below `original / high_freq_factor` are high frequencies.
        high_freq_factor: f32,
    },
    /// All are divided by one factor.
    Linear {
        /// What frequencies are divided by.
        factor: f32,
    },
}

/// Which of attention's projections have a bias, in every layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttentionBias {
    /// Queries, keys and values.
    pub qkv: bool,
    /// What attention's output goes through.
    pub o: bool,
}

/// A model's numbers, by Hugging Face's names.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The computation.
    pub architecture: Architecture,
    /// Width of the residual stream, a multiple of 32.
    pub hidden_size: u32,
    /// Width between `gate_up_proj` and `down_proj`, a multiple of 32.
    pub intermediate_size: u32,
    /// Layers.
    pub num_hidden_layers: u32,
    /// Query heads.
    pub num_attention_heads: u32,
    /// Key and value heads, which divide the query heads.
    pub num_key_value_heads: u32,
    /// Width of a head, a multiple of 4.
    pub head_dim: u32,
    /// Rows of the embedding, padding included.
    pub vocab_size: u32,
    /// Epsilon of the RMS norms.
    pub rms_norm_eps: f32,
    /// Base of the rotary frequencies.
    pub rope_theta: f32,
    /// Elements of a head that rotate: even, at most `head_dim`.
    pub rotary_dim: u32,
    /// How the rotary frequencies are changed.
    pub rope: RopeScaling,
    /// The longest sequence that the model was made for.
    pub max_position_embeddings: u32,
    /// The length it was trained at before its context was extended.
    pub original_max_position_embeddings: u32,
    /// Positions that a query sees, itself included, where that is limited.
    pub sliding_window: Option<u32>,
    /// The first layer whose sight is limited.
    pub max_window_layers: u32,
    /// Whether `lm_head` is the embedding.
    pub tie_word_embeddings: bool,
    /// What is added to products of attention.
    pub attention_bias: AttentionBias,
    /// The token that begins a text.
    pub bos_token_id: Option<u32>,
    /// The tokens that end one. They may lie outside the vocabulary, as in small test models.
    pub eos_token_ids: Vec<u32>,
}

impl Config {
    /// How a row of the fused projections is divided.
    pub fn heads(&self) -> Heads {
        Heads {
            n_heads: self.num_attention_heads,
            n_kv_heads: self.num_key_value_heads,
            head_dim: self.head_dim,
        }
    }

    /// Whether queries and keys are normed, head by head.
    pub fn head_norms(&self) -> bool {
        self.architecture.traits().head_norms
    }

    /// Positions that a query of a layer sees, itself included.
    pub fn window(&self, layer: u32) -> Option<u32> {
        self.sliding_window.filter(|_| layer >= self.max_window_layers)
    }

    /// Checks that the numbers fit together, so that nobody below has to.
    fn checked(self) -> Result<Config> {
        self.check_sizes()?;
        self.check_rope()?;
        Ok(self)
    }

    fn check_sizes(&self) -> Result<()> {
        // The upper bounds are far above any model of this family; they keep sizes within 32 bits.
        for (field, value, most) in [
            ("hidden_size", self.hidden_size, 1 << 15),
            ("intermediate_size", self.intermediate_size, 1 << 17),
            ("num_hidden_layers", self.num_hidden_layers, 1 << 10),
            ("num_attention_heads", self.num_attention_heads, 1 << 10),
            ("num_key_value_heads", self.num_key_value_heads, 1 << 10),
            ("head_dim", self.head_dim, 1 << 10),
            ("vocab_size", self.vocab_size, 1 << 21),
            ("max_position_embeddings", self.max_position_embeddings, 1 << 30),
            ("original_max_position_embeddings", self.original_max_position_embeddings, 1 << 30),
            ("sliding_window", self.sliding_window.unwrap_or(1), u32::MAX),
        ] {
            if value == 0 || value > most {
                fail!(Code::BadConfig, "{field} is {value}; it must be between 1 and {most}");
            }
        }
        let q_width = self.heads().q_width();
        for (what, value, multiple) in [
            ("hidden_size", self.hidden_size, GROUP as u32),
            ("intermediate_size", self.intermediate_size, GROUP as u32),
            ("num_attention_heads * head_dim", q_width, GROUP as u32),
            ("head_dim", self.head_dim, if self.head_norms() { GROUP } else { QUAD } as u32),
            ("num_attention_heads", self.num_attention_heads, self.num_key_value_heads),
        ] {
            if !value.is_multiple_of(multiple) {
                let why = if multiple == self.num_key_value_heads {
                    " (num_key_value_heads)"
                } else {
                    ""
                };
                fail!(
                    Code::BadConfig,
                    "{what} is {value}; it must be a multiple of {multiple}{why}"
                );
            }
        }
        if !(self.rms_norm_eps.is_finite() && self.rms_norm_eps >= 0.0 && self.rms_norm_eps < 1.0) {
            fail!(
                Code::BadConfig,
                "rms_norm_eps is {}; it must be small and not negative",
                self.rms_norm_eps
            );
        }
        Ok(())
    }

    fn check_rope(&self) -> Result<()> {
        if !self.rotary_dim.is_multiple_of(2) || self.rotary_dim > self.head_dim {
            let (rotary, head) = (self.rotary_dim, self.head_dim);
            fail!(
                Code::BadConfig,
                "partial_rotary_factor makes {rotary} of {head} elements rotate; it must be an \
                    even part of a head"
            );
        }
        positive("rope_theta", self.rope_theta)?;
        match &self.rope {
            RopeScaling::Plain => Ok(()),
            RopeScaling::LongRope { short_factor, long_factor, attention_factor } => {
                let pairs = self.rotary_dim as usize / 2;
                for (field, factors) in
                    [("short_factor", short_factor), ("long_factor", long_factor)]
                {
                    if factors.len() != pairs {
                        fail!(
                            Code::BadConfig,
                            "{field} has {} numbers; it must have {pairs}, half of the elements \
                                that rotate",
                            factors.len()
                        );
                    }
                    factors.iter().try_for_each(|&factor| positive(field, factor))?;
                }
                positive("attention_factor", *attention_factor)
            }
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor } => {
                positive("factor", *factor)?;
                positive("low_freq_factor", *low_freq_factor)?;
                positive("high_freq_factor", *high_freq_factor)?;
                if high_freq_factor <= low_freq_factor {
                    fail!(
                        Code::BadConfig,
                        "high_freq_factor is {high_freq_factor}; it must be above \
                            low_freq_factor, {low_freq_factor}"
                    );
                }
                Ok(())
            }
            RopeScaling::Linear { factor } => positive("factor", *factor),
        }
    }
}

fn positive(field: &str, value: f32) -> Result<()> {
    if !(value.is_finite() && value > 0.0) {
        fail!(Code::BadConfig, "{field} holds {value}; it must be a positive number");
    }
    Ok(())
}

/// What LongRoPE multiplies cosines and sines with where the files do not say: `sqrt(1 + ln(factor)
/// / ln(original))`.
fn longrope_attention_factor(factor: f64, original: u32) -> f32 {
    if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / f64::from(original).ln()).sqrt() as f32 }
}
