//! Texts and choices that are scored, whatever becomes of the device.

use super::{Device, Generation, ResilientSession, on};
use crate::error::Result;
#[cfg(doc)]
use crate::session::Session;
use crate::session::log_probs::decisions;
use crate::session::scoring::reading;
use crate::session::{Decision, Host, Score};
use crate::text::template::Message;

impl<H: Host> ResilientSession<H> {
    /// How probable a text is, as [`Session::score`] has it, whatever becomes of the device.
    ///
    /// # Errors
    /// As [`Session::score`], and those of loading the model again.
    pub async fn score(&mut self, text: &str) -> Result<Score> {
        let generation = self.begin_completion(text, &reading()).await?;
        self.scored(generation).await
    }

    /// How probable each of some answers to a conversation is, as [`Session::decide`] has it,
    /// whatever becomes of the device.
    ///
    /// # Errors
    /// As [`Session::decide`], and those of loading the model again.
    pub async fn decide(
        &mut self,
        messages: &[Message],
        choices: &[String],
    ) -> Result<Vec<Decision>> {
        let begun = on!(self.device().await?, session => session.begin_choices(messages, choices))?;
        let mut scores = Vec::with_capacity(choices.len());
        for generation in begun {
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
