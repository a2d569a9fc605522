//! How to answer.

use crate::error::{Code, Result, fail};
use crate::text::Sampling;
use crate::text::tool_calls::Tools;

/// How to answer.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields = nullable))]
pub struct GenerateOptions {
    /// Tokens at the most.
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub max_tokens: usize,
    /// How tokens are chosen.
    #[cfg_attr(test, ts(flatten))]
    pub sampling: Sampling,
    /// Texts that end the answer; they are not part of it.
    #[cfg_attr(test, ts(skip))]
    pub stop: Vec<String>,
    /// Whether the conversation's last message is the beginning of the answer, which goes on from
    /// there.
    #[cfg_attr(test, ts(skip))]
    pub continue_final: bool,
    /// Tools that the model may call in a conversation.
    #[cfg_attr(test, ts(skip))]
    pub tools: Tools,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        GenerateOptions {
            max_tokens: 1024,
            sampling: Sampling::default(),
            stop: Vec::new(),
            continue_final: false,
            tools: Tools::default(),
        }
    }
}

impl GenerateOptions {
    /// Whether every number is in its range.
    ///
    /// # Errors
    /// [`Code::BadOption`], naming the option, its value and what it may be.
    pub fn validate(&self) -> Result<()> {
        if self.max_tokens == 0 {
            fail!(Code::BadOption, "max_tokens is 0; ask for at least one token");
        }
        self.sampling.validate()
    }
}
