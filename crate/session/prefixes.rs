//! What was read before: found again in a store where it outlives the program, left there, and
//! taken elsewhere as bytes.

use std::rc::Rc;

use super::asked;
use super::{Event, GenerateOptions, Generation, Session};
use crate::backend::Backend;
use crate::engine::{Key, PrefixStore};
use crate::error::{Code, Error, Result, fail};
use crate::prefix_cache::Blob;
use crate::text::template::Message;

impl<B: Backend> Session<B> {
    /// Has pages of the cache outlive the program in a store, from now on.
    pub fn set_prefixes(&mut self, prefixes: Rc<dyn PrefixStore>) {
        self.prefixes = Some(prefixes);
    }

    /// Brings what a store has of an answer's prompt into the cache, before anything is read of it.
    pub(super) async fn recall(&mut self, generation: &mut Generation) -> Result<()> {
        let Some(prefixes) = self.prefixes.clone().filter(|_| generation.is_new()) else {
            return Ok(());
        };
        if let Err(error) = self.engine.recall(&*prefixes, generation.tokens()).await {
            self.leave_prefixes(generation, error)?;
        }
        self.take_up(generation)?;
        generation.note_recalled(self.sequence.cached());
        Ok(())
    }

    /// Leaves what an answer has added to the cache in a store; what is told after it. Of what went
    /// wrong, that comes first.
    pub(super) async fn keep(
        &mut self,
        generation: &mut Generation,
        end: Event,
    ) -> Result<Option<Event>> {
        let is_here = self.current == Some(generation.id());
        if let Some(prefixes) = self.prefixes.clone().filter(|_| is_here) {
            let kept = self.engine.keep(&*prefixes, &self.sequence, generation.owner()).await;
            if let Err(error) = kept
                && let Err(error) = self.leave_prefixes(generation, error)
            {
                generation.tell_event(end);
                return Err(error);
            }
        }
        generation.tell_event(end);
        Ok(generation.next_event())
    }

    /// Goes on without a store that does not do. What the device did is not the store's fault.
    fn leave_prefixes(&mut self, generation: &mut Generation, error: Error) -> Result<()> {
        if error.code == Code::GpuLost {
            return Err(error);
        }
        self.prefixes = None;
        generation.tell_event(Event::Notice { message: not_kept(&error) });
        Ok(())
    }

    /// What was read of a conversation, as bytes: what was not, is first.
    ///
    /// # Errors
    /// `prompt-too-long`, and what running meets.
    pub async fn export(&mut self, messages: &[Message], weights: Key) -> Result<Vec<u8>> {
        let options = GenerateOptions::default();
        let (tokens, _) =
            asked::chat(&self.text_assets, self.engine.ctx_len(), messages, &options)?;
        self.current = None;
        self.engine.plan(&mut self.sequence, &tokens)?;
        self.engine.catch_up(&mut self.sequence).await?;
        let blob = Blob::new(weights, tokens);
        self.engine.keep(&blob, &self.sequence, "").await?;
        Ok(blob.into_bytes())
    }

    /// Takes up what was read of a conversation; how many tokens.
    ///
    /// # Errors
    /// `corrupt` and `bad-option` for bytes that are no session of this model, and what the device
    /// meets.
    pub async fn import(&mut self, bytes: &[u8], weights: &Key) -> Result<usize> {
        let blob = Blob::parse(bytes, weights)?;
        let known = self.engine.recall(&blob, blob.tokens()).await?;
        if known == 0 && !blob.is_empty() {
            fail!(
                Code::BadOption,
                "the session's keys and values are held otherwise than this model's";
                "load it with the kv that the session was exported with"
            );
        }
        Ok(known)
    }
}

/// That there is no store, and why.
pub(super) fn not_kept(error: &Error) -> String {
    format!("What is read is not kept: {}", error.sentence())
}
