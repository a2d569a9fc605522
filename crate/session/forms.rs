//! What keeps a session's answers to forms.

use std::rc::Rc;

use super::{GenerateOptions, Session};
use crate::backend::Backend;
use crate::error::{Code, Result, fail};
use crate::text::constraint::{self, Constraint, Form, Grammars, Spellings};
use crate::text::template::Message;

/// What keeps a conversation's answer to what was asked for.
#[derive(Default)]
pub(super) struct Kept {
    /// All of it.
    pub whole: Option<Box<dyn Constraint>>,
    /// Each call that it makes, from where that begins.
    pub calls: Option<Rc<dyn Grammars>>,
}

impl<B: Backend> Session<B> {
    /// What keeps the answer to a conversation to its form, and calls to their tools.
    pub(super) fn kept(&mut self, messages: &[Message], options: &GenerateOptions) -> Result<Kept> {
        if !options.needs_grammars() {
            return Ok(Kept::default());
        }
        let dialect = self.template()?.dialect();
        if let Some(form) = options.form(dialect) {
            let mut whole = self.grammars()?.constraint(&form)?;
            if let (true, Some(last)) = (options.continue_final, messages.last()) {
                whole.begin_with(&last.text())?;
            }
            return Ok(Kept { whole: Some(whole), calls: None });
        }
        let grammars = match self.grammars() {
            Err(error) if error.code == Code::BadOption => return Ok(Kept::default()),
            grammars => grammars?,
        };
        // Nobody who waits for a call wants to hear then that it cannot be held to its tool.
        if let Some(calls) = options.tools.form(dialect) {
            grammars.constraint(&Form::Calls(calls))?;
        }
        Ok(Kept { whole: None, calls: Some(grammars) })
    }

    /// What keeps the text that follows another to the form that is asked for.
    pub(super) fn constraint(
        &mut self,
        options: &GenerateOptions,
    ) -> Result<Option<Box<dyn Constraint>>> {
        let Some(format) = &options.format else { return Ok(None) };
        self.grammars()?.constraint(&format.form).map(Some)
    }

    /// What keeps answers to forms.
    fn grammars(&mut self) -> Result<Rc<dyn Grammars>> {
        if self.grammars.is_none() {
            let grammars = constraint::grammars(self.spellings()?)?;
            self.grammars = Some(Rc::<dyn Grammars + Send>::from(grammars));
        }
        match &self.grammars {
            Some(grammars) => Ok(grammars.clone()),
            None => fail!(Code::Internal, "what keeps answers to forms is gone"),
        }
    }

    /// What its tokens spell, for whoever makes [`Grammars`].
    ///
    /// # Errors
    /// `bad-tokenizer` for a vocabulary that is too large.
    pub fn spellings(&self) -> Result<Spellings> {
        self.text_assets.spellings(self.engine.config().vocab_size)
    }

    /// Has answers kept to forms by this, in the place of what is compiled in.
    pub fn set_grammars(&mut self, grammars: Rc<dyn Grammars>) {
        self.grammars = Some(grammars);
    }
}
