//! Texts and answers that are scored: answers of which nothing is made, and whose prompts are told.

use super::asked::{Conversation, Told, rendered};
use super::echo::Echo;
use super::log_probs::{Decision, Score, check_choices, decisions};
use super::{Event, GenerateOptions, Generation, Session};
use crate::backend::Backend;
use crate::error::{Code, Result, fail};
use crate::text::stream::TextStream;
use crate::text::template::{Ending, Message};
use crate::text::{Prompt, Tokenizer};
use crate::text_assets::TextAssets;

/// Answers that are not made but scored, as an engine takes them: tokens, and how many of them are
/// the conversation's.
pub(super) fn choices(
    assets: &TextAssets,
    ctx_len: usize,
    messages: &[Message],
    choices: &[String],
) -> Result<Vec<(Vec<u32>, Told)>> {
    check_choices(choices)?;
    let told = Conversation { messages, ..Conversation::default() };
    let prompt = rendered(assets, ctx_len, told, Ending::Answer)?;
    let (tokenizer, ends) = (&assets.tokenizer, &assets.stop_tokens);
    let context = tokenizer.encode_prompt(&prompt)?;
    let mut all = Vec::with_capacity(choices.len());
    for (at, choice) in choices.iter().enumerate() {
        tokenizer.check_room(&format!("choices[{at}]"), &Prompt::plain(choice), ctx_len)?;
        let tokens = answer(tokenizer, &prompt, &context, choice)?;
        if let Some(&control) = tokens.iter().find(|&&id| tokenizer.is_special(id)) {
            fail!(
                Code::BadOption,
                "choices[{at}] has {}, a control token, which no answer has: leave it out",
                tokenizer.written(Some(control))
            );
        }
        let tokens = [&context[..], &tokens].concat();
        if tokens.len() > ctx_len {
            fail!(
                Code::PromptTooLong,
                "the prompt with choices[{at}] has {} tokens and the context holds {ctx_len}",
                tokens.len();
                "shorten them or load with a longer context"
            );
        }
        let told = (TextStream::continuing(&[]), Some(Echo::answer(context.len(), ends)));
        all.push((tokens, told));
    }
    Ok(all)
}

/// How a text or an answer is scored that is only read.
pub(super) fn reading() -> GenerateOptions {
    GenerateOptions { max_tokens: 0, log_probs: Some(0), echo: true, ..Default::default() }
}

/// The tokens of an answer to a prompt.
fn answer(
    tokenizer: &Tokenizer,
    prompt: &Prompt,
    context: &[u32],
    answer: &str,
) -> Result<Vec<u32>> {
    let both = prompt.followed_by(answer).map(|both| tokenizer.encode_prompt(&both));
    let both = both.transpose()?.unwrap_or_default();
    match both.strip_prefix(context) {
        Some(tokens) => Ok(tokens.to_vec()),
        // The tokenizer would join the two: an answer begins with a token of its own.
        None => tokenizer.encode(answer, false),
    }
}

impl<B: Backend> Session<B> {
    /// How probable a text is, as it stands, token by token: after the token that the model begins
    /// texts with, where it has one.
    ///
    /// # Errors
    /// `bad-option` for no text, `prompt-too-long`, and what running meets.
    pub async fn score(&mut self, text: &str) -> Result<Score> {
        let generation = self.begin_completion(text, &reading())?;
        self.scored(generation).await
    }

    /// How probable each of some answers to a conversation is, exactly: what they share is read
    /// once.
    ///
    /// # Errors
    /// `bad-option` for no choices, for an empty one and for two that are the same; those of
    /// [`Session::begin_chat`], and what running meets.
    pub async fn decide(
        &mut self,
        messages: &[Message],
        choices: &[String],
    ) -> Result<Vec<Decision>> {
        let mut scores = Vec::new();
        for generation in self.begin_choices(messages, choices)? {
            scores.push(self.scored(generation).await?);
        }
        Ok(decisions(choices, &scores))
    }

    async fn scored(&mut self, mut generation: Generation) -> Result<Score> {
        let mut score = Score::default();
        while let Some(event) = self.next(&mut generation).await? {
            score.note(event);
        }
        Ok(score)
    }
}

impl Score {
    /// Takes what an event tells.
    pub(super) fn note(&mut self, event: Event) {
        if let Event::Text { logprobs: Some(tokens), .. } = event {
            self.logprob += tokens.iter().filter_map(|token| token.logprob).sum::<f64>();
            self.tokens.extend(tokens);
        }
    }
}
