//! Answers that outlive a device.

use super::super::answer::Generation;
use super::super::event::{Event, Stats};
use super::super::host::Host;
use super::super::options::GenerateOptions;
use super::{Device, ResilientSession, on};
use crate::error::{Code, Result};
use crate::text::template::Message;

/// An answer in the making, as [`super::Answer`] is, whatever becomes of the device.
pub struct ResilientAnswer<'s, H: Host> {
    session: &'s mut ResilientSession<H>,
    generation: Generation,
}

impl<H: Host> ResilientAnswer<'_, H> {
    /// Works until there is something to tell; `None` after [`Event::Done`].
    ///
    /// # Errors
    /// As [`ResilientSession::next`].
    pub async fn next(&mut self) -> Result<Option<Event>> {
        self.session.next(&mut self.generation).await
    }

    /// Ends the answer here; its figures up to now.
    pub fn cancel(self) -> Stats {
        self.session.cancel(self.generation)
    }
}

impl<H: Host> ResilientSession<H> {
    /// Begins the answer to a conversation.
    pub async fn chat(
        &mut self,
        messages: &[Message],
        options: &GenerateOptions,
    ) -> Result<ResilientAnswer<'_, H>> {
        let generation = self.begin_chat(messages, options).await?;
        Ok(ResilientAnswer { session: self, generation })
    }

    /// Begins the continuation of a plain text.
    pub async fn complete(
        &mut self,
        prompt: &str,
        options: &GenerateOptions,
    ) -> Result<ResilientAnswer<'_, H>> {
        let generation = self.begin_completion(prompt, options).await?;
        Ok(ResilientAnswer { session: self, generation })
    }

    /// Begins the answer to a conversation, for [`ResilientSession::next`] to go on with.
    ///
    /// # Errors
    /// As [`Session::begin_chat`], and those of loading the model again.
    pub async fn begin_chat(
        &mut self,
        messages: &[Message],
        options: &GenerateOptions,
    ) -> Result<Generation> {
        on!(self.ready_for(options).await?, session => session.begin_chat(messages, options))
    }

    /// Begins the continuation of a plain text, for [`ResilientSession::next`] to go on with.
    ///
    /// # Errors
    /// As [`Session::begin_completion`], and those of loading the model again.
    pub async fn begin_completion(
        &mut self,
        prompt: &str,
        options: &GenerateOptions,
    ) -> Result<Generation> {
        on!(self.ready_for(options).await?, session => session.begin_completion(prompt, options))
    }

    /// What it is loaded on, with all that such an answer needs.
    async fn ready_for(&mut self, options: &GenerateOptions) -> Result<&mut Device<H>> {
        self.device().await?;
        if let (Some(device), true, None) = (&self.device, options.needs_grammars(), &self.grammars)
        {
            let spellings = || on!(device, session => session.spellings());
            match self.host.grammars(&spellings).await {
                // Calls that the model need not make come as it makes them.
                Err(error) if error.code == Code::BadOption && !options.is_held() => {}
                grammars => self.grammars = Some(grammars?),
            }
            self.pass_on_grammars();
        }
        self.loaded()
    }
}
