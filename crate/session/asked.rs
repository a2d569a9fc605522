//! What is asked, as an engine takes it: the tokens of a conversation or a text, and how the answer
//! is told.

use serde_json::Value;

use super::GenerateOptions;
use super::echo::Echo;
use crate::error::Result;
use crate::text::Prompt;
use crate::text::stream::TextStream;
use crate::text::template::{Ending, Message};
use crate::text_assets::TextAssets;

/// How an answer is told.
pub(super) type Told = (TextStream, Option<Echo>);

/// A conversation to be answered.
pub(super) fn chat(
    assets: &TextAssets,
    ctx_len: usize,
    messages: &[Message],
    options: &GenerateOptions,
) -> Result<(Vec<u32>, Told)> {
    let (ending, stream) = if options.continue_final {
        (Ending::Continued, TextStream::continuing(&options.stop))
    } else {
        (Ending::Answer, TextStream::new(&assets.tokenizer, &options.stop))
    };
    let prompt = rendered(assets, ctx_len, (messages, options.tools.told()), ending)?;
    // The template writes its own BOS where the model wants one.
    Ok((assets.tokenizer.encode_prompt(&prompt)?, (stream, None)))
}

/// A text to be gone on with.
pub(super) fn completion(
    assets: &TextAssets,
    ctx_len: usize,
    prompt: &str,
    options: &GenerateOptions,
) -> Result<(Vec<u32>, Told)> {
    let tokenizer = &assets.tokenizer;
    tokenizer.check_room(&Prompt::plain(prompt), ctx_len)?;
    let echo = options.echo.then(|| Echo::new(prompt, tokenizer.prefix().len()));
    Ok((tokenizer.encode(prompt, true)?, (TextStream::continuing(&options.stop), echo)))
}

/// A conversation as the model reads it, which may have room.
pub(super) fn rendered(
    assets: &TextAssets,
    ctx_len: usize,
    (messages, tools): (&[Message], &[Value]),
    ending: Ending,
) -> Result<Prompt> {
    let (template, tokenizer) =
        (assets.template.as_ref().map_err(Clone::clone)?, &assets.tokenizer);
    let rendered = template.render(messages, tools, ending);
    if rendered.is_err() {
        // What no context holds may be too much for the template, too.
        messages.iter().try_for_each(|message| {
            tokenizer.check_room(&Prompt::plain(message.text()), ctx_len)
        })?;
    }
    let prompt = rendered?;
    tokenizer.check_room(&prompt, ctx_len)?;
    Ok(prompt)
}
