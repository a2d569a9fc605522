//! The choice of a token, where the logits are.

use bytemuck::{Pod, Zeroable};

use super::{Access, Buf, Operand, Operation};

/// `out[0]`, a u32, is where the largest of `x` is whose bit in `allowed` is set: the first among
/// equals. NaN is below all others; 0 where nothing is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Argmax {
    /// `[width]`, f32.
    pub x: Buf,
    /// `[width / 32]`, rounded up: bit `i % 32` of u32 `i / 32` is element i's.
    pub allowed: Buf,
    /// `[1]`, u32.
    pub out: Buf,
    /// Elements.
    pub width: u32,
}

impl Operation for Argmax {
    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::words("x", self.x, Access::Read, &[self.width]),
            Operand::words("allowed", self.allowed, Access::Read, &[self.width.div_ceil(32)]),
            Operand::words("out", self.out, Access::Part, &[1]),
        ]
    }

    fn buffers(&mut self) -> Vec<&mut Buf> {
        vec![&mut self.x, &mut self.allowed, &mut self.out]
    }
}

/// What a [`Sample`] goes by. What each number means is told where they are chosen, in
/// `text::Sampling`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct SamplerParams {
    /// Logits are divided by it; 0 for argmax.
    pub temperature: f32,
    /// How many of the most probable may be sampled; 0 for all.
    pub top_k: u32,
    /// The fewest of the most probable whose probabilities reach it; 1 for all.
    pub top_p: f32,
    /// Those at least so probable, relative to the most probable; 0 for all.
    pub min_p: f32,
    /// Divides a positive logit and multiplies another, of tokens that were seen.
    pub repetition_penalty: f32,
    /// Taken off the logit of tokens that were generated.
    pub presence_penalty: f32,
    /// Taken off it for each time that they were.
    pub frequency_penalty: f32,
    /// Where among those that are kept, by their ids, the draw falls: 0 to 1.
    pub uniform: f32,
}

impl SamplerParams {
    /// Whether they ask for what was seen.
    pub fn look_back(&self) -> bool {
        self.repetition_penalty != 1.0
            || self.presence_penalty != 0.0
            || self.frequency_penalty != 0.0
    }
}

/// A token, drawn from what its logit comes to. For backends that draw: others leave that to who
/// reads the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sample {
    /// `[width]`, f32. Not worth anything afterwards.
    pub logits: Buf,
    /// `[width / 32]`, rounded up, as for [`Argmax`].
    pub allowed: Buf,
    /// `[width]`, u32: 0 for a token that was not seen, else [`Sample::SEEN`] and how often it was
    /// generated. The draw is counted.
    pub seen: Buf,
    /// `[width]`, f32 of magnitudes up to [`Sample::MOST`], added to the logits.
    pub bias: Buf,
    /// One [`SamplerParams`].
    pub params: Buf,
    /// `[width + 256]`, u32: room to work in.
    pub candidates: Buf,
    /// `[1]`, u32: the token.
    pub out: Buf,
    /// Tokens of the vocabulary.
    pub width: u32,
}

impl Sample {
    /// Set for tokens of the prompt and of the answer.
    pub const SEEN: u32 = 1 << 31;
    /// What a bias may be at most. Less than its negative forbids a token.
    pub const MOST: f32 = 1e38;
}

impl Operation for Sample {
    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::words("logits", self.logits, Access::Update, &[self.width]),
            Operand::words("allowed", self.allowed, Access::Read, &[self.width.div_ceil(32)]),
            Operand::words("seen", self.seen, Access::Update, &[self.width]),
            Operand::words("bias", self.bias, Access::Read, &[self.width]),
            Operand::words(
                "params",
                self.params,
                Access::Read,
                &[(size_of::<SamplerParams>() / 4) as u32],
            ),
            Operand::words(
                "candidates",
                self.candidates,
                Access::Part,
                &[self.width.saturating_add(256)],
            ),
            Operand::words("out", self.out, Access::Part, &[1]),
        ]
    }

    fn buffers(&mut self) -> Vec<&mut Buf> {
        let Sample { logits, allowed, seen, bias, params, candidates, out, width: _ } = self;
        vec![logits, allowed, seen, bias, params, candidates, out]
    }
}
