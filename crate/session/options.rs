//! How to answer.

use crate::engine::MOST_PROBABLE;
use crate::error::{Code, Result, fail};
use crate::text::Sampling;
use crate::text::constraint::{Form, ResponseFormat};
use crate::text::tool_calls::{Dialect, Tools};

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
    /// Whether the answer tells how probable its tokens were, and so many of the most probable ones
    /// in the place of each, up to [`MOST_PROBABLE`].
    #[cfg_attr(test, ts(skip))]
    pub log_probs: Option<u32>,
    /// Whether a text that is gone on with is told first, with the log-probabilities of its own
    /// tokens where those are asked for.
    #[cfg_attr(test, ts(skip))]
    pub echo: bool,
    /// How many answers are wanted: [`GenerateOptions::of_choice`] has the options of each.
    #[cfg_attr(test, ts(skip))]
    pub n: u32,
    /// Tools that the model may call in a conversation.
    #[cfg_attr(test, ts(skip))]
    pub tools: Tools,
    /// The form that the answer has, where one is asked for.
    #[cfg_attr(test, ts(skip))]
    pub format: Option<ResponseFormat>,
    /// Whose what is read is, where that outlives the program: it can be deleted by that.
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub prompt_cache_key: String,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        GenerateOptions {
            max_tokens: 1024,
            sampling: Sampling::default(),
            stop: Vec::new(),
            continue_final: false,
            log_probs: None,
            echo: false,
            n: 1,
            tools: Tools::default(),
            format: None,
            prompt_cache_key: String::new(),
        }
    }
}

impl GenerateOptions {
    /// Whether every number is in its range.
    ///
    /// # Errors
    /// [`Code::BadOption`], naming the option, its value and what it may be.
    pub fn validate(&self) -> Result<()> {
        if self.max_tokens == 0 && !self.echo {
            fail!(Code::BadOption, "max_tokens is 0; ask for at least one token");
        }
        if let Some(top) = self.log_probs.filter(|&top| top > MOST_PROBABLE) {
            fail!(Code::BadOption, "top_logprobs is {top}: it must be 0 to {MOST_PROBABLE}");
        }
        if self.format.is_some() && self.tools.must_be_called() {
            fail!(
                Code::BadOption,
                "tool_choice asks for a call and response_format for another form: leave one out"
            );
        }
        self.sampling.validate()
    }

    /// Whether the answer, or part of it, is held to a form.
    pub fn needs_grammars(&self) -> bool {
        self.is_held() || !self.tools.callable().is_empty()
    }

    /// Whether all of the answer is held to a form.
    pub fn is_held(&self) -> bool {
        self.format.is_some() || self.tools.must_be_called()
    }

    /// The form of a conversation's answer by a model that calls so, where it is held to one.
    pub(super) fn form(&self, dialect: Dialect) -> Option<Form> {
        match (&self.format, self.tools.must_be_called()) {
            (Some(format), _) => Some(format.form.clone()),
            (None, true) => self.tools.form(dialect).map(Form::Calls),
            (None, false) => None,
        }
    }

    /// Whether the answer is to be JSON.
    pub fn is_for_json(&self) -> bool {
        self.format.as_ref().is_some_and(|format| format.form.is_json())
    }

    /// Those of one of several answers: each has a seed of its own, those that follow the one that
    /// was given.
    pub fn of_choice(&self, index: u32) -> GenerateOptions {
        let seed = self.sampling.seed.map(|seed| seed.wrapping_add(index.into()));
        GenerateOptions {
            n: 1,
            sampling: Sampling { seed, ..self.sampling.clone() },
            ..self.clone()
        }
    }
}
