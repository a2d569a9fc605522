//! In the place of `guidance.rs` where the library that knows grammars is not compiled in.

use super::{Form, Grammars, Spellings};
use crate::error::{Code, Result, fail};

/// Nobody knows here; whoever makes a constraint of the form does.
///
/// # Errors
/// None.
pub fn check(_: &Form) -> Result<()> {
    Ok(())
}

/// There are none here.
///
/// # Errors
/// `bad-option`, always.
pub fn grammars(_: Spellings) -> Result<Box<dyn Grammars + Send>> {
    fail!(
        Code::BadOption,
        "this build of the engine holds answers to no form: leave response_format out, and \
            tool_choice to the model, and ask in words"
    )
}
