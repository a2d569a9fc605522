//! Words: everything between a user's text and the token ids that the engine computes with.
//!
//! In reading order:
//!
//! - [`tokenizer`]: text to ids and back, from a `tokenizer.json` or from the [`Vocabulary`] inside
//!   a GGUF file;
//! - [`template`]: a conversation as the one string that the model was trained to see;
//! - [`sampling`] and [`sampler`]: from a row of logits to the next id;
//! - [`constraint`]: which ids may come next, so that an answer has the form that is asked for;
//! - [`stream`]: from ids to pieces of text that may be shown at once;
//! - [`tool_calls`]: calls of tools in what a model says;
//! - [`xml_schema`]: an XML Schema as a grammar of its documents.
//!
//! Nothing here knows a tensor, a file or a device: bytes come in.

pub mod constraint;
pub mod sampler;
pub mod sampling;
pub mod stream;
pub mod template;
pub mod tokenizer;
pub mod tool_calls;
pub mod xml_schema;

mod added;
mod encoder;
mod least;
pub(crate) mod options;
mod parts;
mod pattern;
mod pre_tokenizers;
mod prompt;
mod rules;
mod tokenizer_json;
mod tokens;
mod vocabulary;

pub use prompt::Prompt;
pub use sampler::Sampler;
pub use sampling::Sampling;
pub use stream::TextStream;
pub use template::{BuiltIn, ChatTemplate, Ending, Message};
pub use tokenizer::Tokenizer;
pub use vocabulary::Vocabulary;

use crate::error::{Code, Error};

/// A text as sentences show it: of a long one its beginning and its end, so many characters of
/// each.
fn brief(text: &str, each: usize) -> String {
    let count = text.chars().count();
    if count <= 2 * each {
        return text.to_owned();
    }
    let begin: String = text.chars().take(each).collect();
    let end: String = text.chars().skip(count - each).collect();
    format!("{begin}…{end}")
}

/// An error about the tokenizer's files.
fn bad(message: String) -> Error {
    Error::new(Code::BadTokenizer, message)
}
