//! What to do about an error, by its options: the engine does not know who uses it.

use phi_wasm::{Code, Error};

const LONGER: &str = "--ctx gives a longer context";

/// In a command that computes.
pub fn computing(error: Error) -> Error {
    match (error.code, error.details().ctx_len) {
        _ if is_about_the_context(&error) => error.advise(LONGER),
        (Code::OutOfMemory, Some(longest @ 1..)) => {
            error.advise(format!("--ctx {longest} has room, or take a smaller model"))
        }
        (Code::OutOfMemory, None)
            if error.advice().is_some_and(|advice| advice.contains("context")) =>
        {
            error.advise(
                "a shorter context (--ctx), fewer bits (--bits) or a smaller model takes less",
            )
        }
        // What is to be done about a profile has its option already.
        (Code::NoGpu | Code::GpuFailed | Code::GpuLost, _)
            if !error.advice().is_some_and(|advice| advice.contains("--")) =>
        {
            error.advise("--backend cpu does without a GPU")
        }
        _ => error,
    }
}

/// In `phi run`.
pub fn running(error: Error) -> Error {
    match error.code {
        Code::BadTemplate => error.advise("--raw does without a template"),
        _ => computing(error),
    }
}

/// In `phi chat`.
pub fn chatting(error: Error) -> Error {
    match error.code {
        Code::BadTemplate => error.advise("phi run --raw does without a template"),
        _ if is_about_the_context(&error) => {
            error.advise(format!("/clear forgets the conversation, and {LONGER}"))
        }
        _ => computing(error),
    }
}

/// White space without an end has the same code, and no context helps; nor is there one that is
/// longer than the model's.
fn is_about_the_context(error: &Error) -> bool {
    matches!(error.code, Code::PromptTooLong | Code::ContextFull)
        && error.advice().is_some_and(|advice| advice.contains("load with a longer"))
}
