//! In the place of `guidance.rs` where the library that knows grammars is not compiled in.

use super::{Form, Grammars};
use crate::error::{Code, Result, fail};
use crate::text::Tokenizer;

/// Nobody knows here.
///
/// # Errors
/// `bad-option`, always.
pub fn check(form: &Form) -> Result<()> {
    fail!(
        Code::BadOption,
        "response_format {} is not something that this build of the engine can do: leave it out \
            and ask in words",
        form.name()
    )
}

/// There are none here.
///
/// # Errors
/// `bad-option`, always.
pub fn grammars(_: &Tokenizer, _: u32, _: &[u32]) -> Result<Box<dyn Grammars>> {
    fail!(Code::BadOption, "this build of the engine holds answers to no form")
}
