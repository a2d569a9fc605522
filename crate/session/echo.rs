//! Prompts that are told with how probable their tokens are.

use super::log_probs::TokenLogprob;
use crate::engine::LogProbs;
use crate::text::Tokenizer;

/// A prompt that is told before what comes after it.
pub(super) struct Echo {
    pub text: String,
    /// How many of its tokens need not be told any more how probable they are: those that were put
    /// before the text, and those of which it is known.
    known: usize,
    /// Tokens any of which would end it, where it is to be told how probable that is, too.
    ends: Vec<u32>,
}

impl Echo {
    pub fn new(text: &str, before: usize) -> Echo {
        Echo { text: text.to_owned(), known: before, ends: Vec::new() }
    }

    /// An answer that is not made but scored, and its end.
    pub fn answer(context: usize, ends: &[u32]) -> Echo {
        Echo { text: String::new(), known: context, ends: ends.to_vec() }
    }

    /// The row before the first token of which it is to be told.
    pub fn first_row(&self) -> usize {
        self.known.saturating_sub(1)
    }

    /// Tokens of the prompt of which it is not known how probable they are, where so many rows
    /// tell: the first of these, and a list for each.
    pub fn unscored(&self, prompt: &[u32], read: usize) -> Option<(usize, Vec<Vec<u32>>)> {
        // Nothing comes before the first.
        let next = self.known.max(1);
        let asked: Vec<_> = (next..=prompt.len().min(read))
            .map(|at| prompt.get(at).map_or_else(|| self.ends.clone(), |&id| vec![id]))
            .filter(|asked| !asked.is_empty())
            .collect();
        (!asked.is_empty()).then_some((next - 1, asked))
    }

    /// Takes what rows have told: the tokens that it is about, from the first on.
    pub fn note(
        &mut self,
        tokenizer: &Tokenizer,
        prompt: &[u32],
        told: &[LogProbs],
    ) -> Vec<TokenLogprob> {
        let mut tokens = Vec::new();
        if self.known == 0 {
            tokens.push(TokenLogprob::first(tokenizer, prompt[0]));
            self.known = 1;
        }
        for told in told {
            let is_end = self.known == prompt.len();
            let token = TokenLogprob::of(tokenizer, told);
            tokens.push(if is_end { TokenLogprob::end(told) } else { token });
            self.known += 1;
        }
        tokens
    }
}
