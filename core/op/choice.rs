//! The choice of a token, where the logits are.

use bytemuck::{Pod, Zeroable};

use super::{Access, Buf, Operand, Operation};
use crate::error::{Code, Result, fail};

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
    /// `[width]`, f32.
    pub logits: Buf,
    /// `[width]`, f32: what they come to.
    pub processed: Buf,
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
            Operand::words("logits", self.logits, Access::Read, &[self.width]),
            Operand::words("processed", self.processed, Access::Write, &[self.width]),
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
        let Sample { logits, processed, allowed, seen, bias, params, candidates, out, width: _ } =
            self;
        vec![logits, processed, allowed, seen, bias, params, candidates, out]
    }
}

/// What log-probabilities are made of, for rows of logits. One that is no finite number weighs
/// nothing, and is below all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogProbs {
    /// `[rows, width]`, f32.
    pub logits: Buf,
    /// `[rows, asked]`, u32: tokens whose logits are asked for.
    pub ids: Buf,
    /// `[rows, 2 + 2 * (asked + top)]`, f32: the largest logit (0 where there is none), the sum of
    /// `exp(logit - largest)`, then an id and its logit for each token that is asked for and for
    /// the most probable ones in order, the first among equals first.
    pub out: Buf,
    /// Tokens of the sequence.
    pub rows: u32,
    /// Tokens that each row is asked for.
    pub asked: u32,
    /// How many of the most probable ones are told, at most `width`.
    pub top: u32,
    /// Tokens of the vocabulary, at most [`LogProbs::WIDEST`].
    pub width: u32,
}

impl LogProbs {
    /// Ids are told as floats, which have all whole numbers up to here.
    pub const WIDEST: u32 = 1 << 24;

    /// Floats of a row of `out`.
    pub fn out_width(&self) -> u32 {
        2 + 2 * (self.asked + self.top)
    }
}

impl Operation for LogProbs {
    fn check(&self) -> Result<()> {
        if self.width > LogProbs::WIDEST || self.top > self.width {
            fail!(Code::Internal, "the {} most probable of {} tokens", self.top, self.width);
        }
        Ok(())
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::words("logits", self.logits, Access::Read, &[self.rows, self.width]),
            Operand::words("ids", self.ids, Access::Read, &[self.rows, self.asked]),
            Operand::words("out", self.out, Access::Part, &[self.rows, self.out_width()]),
        ]
    }

    fn buffers(&mut self) -> Vec<&mut Buf> {
        vec![&mut self.logits, &mut self.ids, &mut self.out]
    }
}
