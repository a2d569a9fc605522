//! What is asked, as an engine takes it: the tokens of a conversation or a text, and how the answer
//! is told.

use serde_json::Value;

use super::GenerateOptions;
use super::echo::Echo;
use crate::error::Result;
use crate::text::Prompt;
use crate::text::constraint::ResponseFormat;
use crate::text::stream::TextStream;
use crate::text::template::{ChatTemplate, Ending, Message};
use crate::text::tool_calls::tags;
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
    let ending = if options.continue_final { Ending::Continued } else { Ending::Answer };
    // Every character of an answer of a form is one.
    let mut stream = if options.continue_final || options.is_held() {
        TextStream::continuing(&options.stop)
    } else {
        TextStream::new(&assets.tokenizer, &options.stop)
    };
    if !options.tools.callable().is_empty() {
        // A tag tells that a call begins, whatever kind of token the model has for it.
        stream.show(tags().filter_map(|tag| assets.tokenizer.id(tag)));
    }
    let tools = options.tools.told();
    let hint = options.format.as_ref().and_then(ResponseFormat::hint);
    let prompt = rendered(assets, ctx_len, Conversation { messages, tools, hint }, ending)?;
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
    tokenizer.check_room("the prompt", &Prompt::plain(prompt), ctx_len)?;
    let echo = options.echo.then(|| Echo::new(prompt, tokenizer.prefix().len()));
    Ok((tokenizer.encode(prompt, true)?, (TextStream::continuing(&options.stop), echo)))
}

/// What a model is told.
#[derive(Default)]
pub(super) struct Conversation<'a> {
    pub messages: &'a [Message],
    pub tools: &'a [Value],
    /// About the answer's form.
    pub hint: Option<String>,
}

/// A conversation as the model reads it, which may have room.
pub(super) fn rendered(
    assets: &TextAssets,
    ctx_len: usize,
    told: Conversation<'_>,
    ending: Ending,
) -> Result<Prompt> {
    let (template, tokenizer) =
        (assets.template.as_ref().map_err(Clone::clone)?, &assets.tokenizer);
    let rendered = told.render(template, ending);
    if rendered.is_err() {
        // What no context holds may be too much for the template, too.
        told.messages.iter().try_for_each(|message| {
            tokenizer.check_room("the prompt", &Prompt::plain(message.text()), ctx_len)
        })?;
    }
    let prompt = rendered?;
    tokenizer.check_room("the prompt", &prompt, ctx_len)?;
    Ok(prompt)
}

impl Conversation<'_> {
    /// What the model is told about the answer's form comes after what the system says, or, where
    /// the template knows no system or would leave out what it says of its own, after what the user
    /// says first.
    fn render(&self, template: &ChatTemplate, ending: Ending) -> Result<Prompt> {
        let Conversation { messages, tools, hint } = self;
        let Some(hint) = hint else { return template.render(messages, tools, ending) };
        let is_system = |message: &Message| message.role() == "system";
        let after = |role: &str| {
            let mut told = messages.to_vec();
            let at = told.iter().position(|message| message.role() == role)?;
            told[at] = told[at].with_end(&format!("\n\n{hint}"));
            Some(told)
        };
        let has_system = messages.first().is_some_and(is_system);
        let told = match has_system {
            true => after("system"),
            false => Some([&[Message::system(hint)], *messages].concat()),
        };
        let rendered = template.render(told.as_deref().unwrap_or(messages), tools, ending);
        let replaces_nothing = |prompt: &Prompt| {
            let plain = || template.render(messages, tools, ending);
            has_system || plain().map_or(true, |plain| only_adds(&plain.text(), &prompt.text()))
        };
        if rendered
            .as_ref()
            .is_ok_and(|prompt| prompt.text().contains(hint) && replaces_nothing(prompt))
        {
            return rendered;
        }
        match after("user") {
            Some(told) => template.render(&told, tools, ending),
            None => rendered,
        }
    }
}

/// Whether a text is another with something in between.
fn only_adds(without: &str, with: &str) -> bool {
    let alike = |one: &mut dyn Iterator<Item = (u8, u8)>| one.take_while(|(a, b)| a == b).count();
    let before = alike(&mut without.bytes().zip(with.bytes()));
    let after = alike(&mut without.bytes().rev().zip(with.bytes().rev()));
    before + after >= without.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages, each in a line of its own, after what `otherwise` says where there is no system.
    fn template(otherwise: &str) -> Result<ChatTemplate> {
        let first = "{% if messages[0].role != 'system' %}OTHERWISE{% endif %}";
        let each = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}";
        ChatTemplate::new(&format!("{first}{each}").replace("OTHERWISE", otherwise), &[])
    }

    #[test]
    fn what_a_form_is_told_by_comes_beside_all_else() -> Result<()> {
        let both = [Message::system("Me."), Message::user("Hi")];
        let rows: [(&str, &[Message], &str); 4] = [
            ("", &both[1..], "<system>Form.\n<user>Hi\n"),
            ("<system>Phi.\n", &both[1..], "<system>Phi.\n<user>Hi\n\nForm.\n"),
            ("", &both, "<system>Me.\n\nForm.\n<user>Hi\n"),
            ("", &[], "<system>Form.\n"),
        ];
        for (otherwise, messages, expected) in rows {
            let told = Conversation { messages, tools: &[], hint: Some("Form.".to_owned()) };
            let prompt = told.render(&template(otherwise)?, Ending::Closed)?;
            assert_eq!(prompt.text(), expected);
        }
        Ok(())
    }
}
