//! Answers of a form: which tokens may come next, so that what comes out has the form, whatever the
//! model would rather say.
//!
//! A [`Grammars`] makes a [`Constraint`] of a [`Form`]; a session asks that before each choice, and
//! tells it of each. Where the library that knows grammars is not compiled in, whoever opens a
//! session may give it one of another kind: a browser, whose module has no room for it.

mod complete;
mod form;
#[cfg_attr(not(feature = "constraints"), path = "no_guidance.rs")]
mod guidance;
#[cfg(feature = "constraints")]
mod lark;
#[cfg_attr(target_family = "wasm", path = "pending_wasm.rs")]
mod pending;
#[cfg(feature = "constraints")]
mod refusals;
#[cfg(feature = "constraints")]
mod schema;
mod spellings;

pub use complete::complete_json;
pub use form::{Form, ResponseFormat};
pub use guidance::{check, grammars};
pub use pending::Pending;
pub use spellings::{Encode, Spellings};

use crate::error::Result;

/// What makes constraints for one model's tokens.
pub trait Grammars {
    /// The constraint that keeps an answer to a form.
    ///
    /// # Errors
    /// `bad-constraint` where the form contradicts itself, cannot be enforced or asks for too much.
    fn constraint(&self, form: &Form) -> Result<Box<dyn Constraint>>;
}

/// What keeps one answer to its form.
pub trait Constraint {
    /// Which tokens may come next, a bit each, 32 to a word. The tokens that end an answer are
    /// among them where it may end.
    ///
    /// # Errors
    /// `bad-constraint` where nothing may come, or finding out takes too much.
    fn mask(&mut self) -> Result<Vec<u32>>;

    /// Takes note of a text that the answer goes on with, before all else.
    ///
    /// # Errors
    /// `bad-constraint` where no text of the form begins so.
    fn begin_with(&mut self, text: &str) -> Result<()>;

    /// Takes note of the token that was chosen, one of the mask that does not end the answer.
    ///
    /// # Errors
    /// As [`Constraint::mask`].
    fn accept(&mut self, token: u32) -> Result<()>;

    /// Takes the tokens that can come next without a choice, at most so many, and says which.
    ///
    /// # Errors
    /// As [`Constraint::mask`].
    fn take_forced(&mut self, most: usize) -> Result<Vec<u32>>;

    /// Whether the answer is complete, and nothing may follow.
    fn is_over(&self) -> bool;
}

/// Whether a mask has a token.
pub fn allows(mask: &[u32], token: u32) -> bool {
    mask.get(token as usize / 32).is_some_and(|word| word >> (token % 32) & 1 == 1)
}

/// The first token that a mask has.
pub fn first_allowed(mask: &[u32]) -> Option<u32> {
    let at = mask.iter().position(|word| *word != 0)?;
    Some(at as u32 * 32 + mask[at].trailing_zeros())
}

/// Makes a row of logits impossible where a mask has no token.
pub fn forbid_others(mask: &[u32], logits: &mut [f32]) {
    for (token, logit) in logits.iter_mut().enumerate() {
        if !allows(mask, token as u32) {
            *logit = f32::NEG_INFINITY;
        }
    }
}
