//! Requests in OpenAI's shape, in the engine's words: whoever asks in it, a page, a server or a
//! binding, is understood and refused alike. What OpenAI has and this engine has not is refused
//! rather than ignored, unless it asks for nothing; any other name is a slip of the pen.

mod format;

use serde_json::{Map, Value};

use crate::error::{Code, Result, fail};
use crate::session::{GenerateOptions, MOST_PROBABLE, check_choices};
use crate::text::Sampling;
use crate::text::constraint::{self, Form};
use crate::text::options::{NamedOptions, short};
use crate::text::template::Message;
use crate::text::tool_calls::{Dialect, Tools};

/// Each would change what comes out.
const UNSUPPORTED: [&str; 9] = [
    "functions",
    "function_call",
    "audio",
    "modalities",
    "suffix",
    "best_of",
    "reasoning_effort",
    "verbosity",
    "web_search_options",
];
/// What OpenAI has for its own servers, and what changes nothing here.
const IGNORED: [&str; 8] = [
    "model",
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_retention",
    "prediction",
];
/// What every request may hold, besides how tokens are chosen.
const COMMON: [&str; 7] =
    ["max_tokens", "stop", "n", "stream", "stream_options", "response_format", "prompt_cache_key"];
/// What a conversation may have besides.
const CHAT: [&str; 8] = [
    "messages",
    "max_completion_tokens",
    "continue_final_message",
    "logprobs",
    "top_logprobs",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
];
const COMPLETION: [&str; 3] = ["prompt", "logprobs", "echo"];

/// Answers to one request at the most.
const MOST_CHOICES: i128 = 128;

/// Who may speak; "developer" is OpenAI's newer name for the system.
const ROLES: [&str; 5] = ["system", "developer", "user", "assistant", "tool"];

/// A conversation to be answered, and how.
///
/// # Errors
/// `bad-option`, which names what cannot be, with its value and what it may be.
pub fn chat(mut request: Value) -> Result<(Vec<Message>, GenerateOptions)> {
    let options: GenerateOptions = {
        let given = asked(&request, "chat.completions.create", &CHAT)?;
        GenerateOptions {
            continue_final: given.flag("continue_final_message")?,
            log_probs: chat_log_probs(&given)?,
            tools: tools(&given)?,
            ..generate_options(&given, 1)?
        }
    };
    options.validate()?;
    Ok((messages(request["messages"].take())?, options))
}

/// A text to be gone on with as it stands, and how.
///
/// # Errors
/// As [`chat`].
pub fn completion(request: &Value) -> Result<(String, GenerateOptions)> {
    let given = asked(request, "complete", &COMPLETION)?;
    let Some(prompt) =
        given.read("prompt", "a text", |prompt| prompt.as_str().map(str::to_owned))?
    else {
        fail!(Code::BadOption, "there is no prompt: give the text to go on with");
    };
    let echo = given.flag("echo")?;
    let options = GenerateOptions {
        log_probs: given
            .get("logprobs")
            .filter(|value| *value != false)
            .map_or(Ok(None), |_| most_probable(&given, "logprobs"))?,
        echo,
        // A text may be told alone.
        ..generate_options(&given, i128::from(!echo))?
    };
    Ok((prompt, options))
}

/// How many of the most probable tokens a conversation's answer is to tell, where it tells of any.
fn chat_log_probs(given: &NamedOptions) -> Result<Option<u32>> {
    let top = most_probable(given, "top_logprobs")?;
    if given.flag("logprobs")? {
        return Ok(Some(top.unwrap_or(0)));
    }
    if let Some(top) = top.filter(|&top| top > 0) {
        fail!(
            Code::BadOption,
            "top_logprobs is {top} and logprobs is not true: ask for logprobs, too"
        );
    }
    Ok(None)
}

fn most_probable(given: &NamedOptions, name: &str) -> Result<Option<u32>> {
    let number = given.whole(name, 0..=MOST_PROBABLE.into(), "a whole number from 0 to 20")?;
    Ok(number.map(|number| number as u32))
}

/// A conversation, and the answers to decide between. It is ours, and OpenAI's shape goes for the
/// conversation.
///
/// # Errors
/// As [`chat`].
pub fn decision(mut request: Value) -> Result<(Vec<Message>, Vec<String>)> {
    let choices = {
        let given = NamedOptions::of(&request, "decide", &["messages", "choices"])?;
        given.read("choices", "a list of texts", texts)?.unwrap_or_default()
    };
    check_choices(&choices)?;
    Ok((messages(request["messages"].take())?, choices))
}

/// A conversation as chat templates take it: parts of text are one text, and what calls of tools
/// say in JSON is the object again.
///
/// # Errors
/// As [`chat`].
pub fn messages(json: Value) -> Result<Vec<Message>> {
    Message::conversation(match json {
        Value::Array(all) => all
            .into_iter()
            .enumerate()
            .map(|(i, one)| message(&format!("messages[{i}]"), one))
            .collect::<Result<_>>()?,
        other => other,
    })
}

/// The tools that a model may call, each of which its calls can be held to.
fn tools(given: &NamedOptions) -> Result<Tools> {
    let mut tools = Tools::read(given.get("tools"), given.get("tool_choice"))?;
    let is_flag = "true or false";
    let parallel = given.read("parallel_tool_calls", is_flag, Value::as_bool)?;
    tools.is_single = parallel == Some(false) && !tools.offered.is_empty();
    if let Some(calls) = tools.form(Dialect::Json) {
        constraint::check(&Form::Calls(calls))?;
    }
    Ok(tools)
}

/// The options of a request of which all is known.
fn asked<'a>(request: &'a Value, what: &str, own: &[&str]) -> Result<NamedOptions<'a>> {
    if request.is_null() {
        fail!(Code::BadOption, "{what} takes an object of options, and was given none");
    }
    let known = [own, &COMMON, &Sampling::NAMES, &UNSUPPORTED, &IGNORED].concat();
    let given = NamedOptions::of(request, what, &known)?;
    if let Some(name) = UNSUPPORTED.into_iter().find(|name| given.get(name).is_some_and(asks)) {
        fail!(Code::BadOption, "{name} is not something that this engine can do: leave it out");
    }
    given.flag("stream")?;
    let is_plain = |options: &Value| {
        options.as_object()?.get("include_usage").is_none_or(Value::is_boolean).then_some(())
    };
    given.read("stream_options", "an object such as { include_usage: true }", is_plain)?;
    Ok(given)
}

/// A list of texts.
fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

/// Whether a value asks for something: clients send many that do not.
fn asks(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !["", "none"].contains(&text.as_str()),
        Value::Array(items) => !items.is_empty(),
        Value::Object(_) => true,
    }
}

/// What conversations and texts have in common, with `least` tokens at the least.
fn generate_options(given: &NamedOptions, least: i128) -> Result<GenerateOptions> {
    let needed = format!("a whole number, {least} or more");
    let tokens = |name| given.whole(name, least..=i128::MAX, &needed);
    let (max_tokens, newer) = (tokens("max_tokens")?, tokens("max_completion_tokens")?);
    let stop = |value: &Value| match value {
        Value::String(text) => Some(vec![text.clone()]),
        list => texts(list),
    };
    Ok(GenerateOptions {
        max_tokens: newer.or(max_tokens).map_or(GenerateOptions::default().max_tokens, |most| {
            usize::try_from(most).unwrap_or(usize::MAX)
        }),
        sampling: Sampling::of(given)?,
        stop: given.read("stop", "a text or a list of texts", stop)?.unwrap_or_default(),
        n: given
            .whole("n", 1..=MOST_CHOICES, "a whole number from 1 to 128")?
            .map_or(1, |n| n as u32),
        format: match given.get("response_format").filter(|format| asks(format)) {
            Some(format) => format::response_format(format)?,
            None => None,
        },
        prompt_cache_key: given
            .read("prompt_cache_key", "a text", |key| key.as_str().map(str::to_owned))?
            .unwrap_or_default(),
        ..GenerateOptions::default()
    })
}

/// A message in the words of templates. Whether it is one is for [`Message::conversation`] to say.
fn message(name: &str, mut json: Value) -> Result<Value> {
    let Some(fields) = json.as_object_mut() else { return Ok(json) };
    if let Some(Value::String(role)) = fields.get_mut("role") {
        if !ROLES.contains(&role.as_str()) {
            fail!(
                Code::BadOption,
                "{name}.role is {role:?}: it must be one of {}",
                ROLES.join(", ")
            );
        }
        if role == "developer" {
            *role = "system".to_owned();
        }
    }
    for (field, why) in [
        ("function_call", "is OpenAI's older form: give tool_calls"),
        ("audio", "is sound: this engine reads text only"),
    ] {
        if fields.shift_remove(field).is_some_and(|value| asks(&value)) {
            fail!(Code::BadOption, "{name}.{field} {why}");
        }
    }
    // An assistant's refusal is what it said.
    let refusal = fields.shift_remove("refusal").filter(|refusal| !refusal.is_null());
    if let Some(refusal) = refusal.filter(|_| fields.get("content").is_none_or(Value::is_null)) {
        fields.insert("content".to_owned(), refusal);
    }
    if let Some(content) = fields.get_mut("content")
        && let Some(text) = joined(content)
    {
        *content = text.into();
    }
    calls(name, fields)?;
    Ok(json)
}

/// The text of parts that are all text.
fn joined(content: &Value) -> Option<String> {
    let text = |part: &Value| match part["type"].as_str()? {
        "text" => part["text"].as_str().map(str::to_owned),
        "refusal" => part["refusal"].as_str().map(str::to_owned),
        _ => None,
    };
    content.as_array()?.iter().map(text).collect()
}

/// Checks a message's calls of tools, and reads their arguments.
fn calls(name: &str, fields: &mut Map<String, Value>) -> Result<()> {
    let calls = match fields.get_mut("tool_calls") {
        Some(Value::Array(calls)) => calls,
        Some(given) if asks(given) => {
            fail!(
                Code::BadOption,
                "{name}.tool_calls is not a list: give a {{ id, type, function }} each"
            );
        }
        _ => return Ok(()),
    };
    for (i, call) in calls.iter_mut().enumerate() {
        let Some(function) = call.get_mut("function").and_then(Value::as_object_mut) else {
            fail!(
                Code::BadOption,
                "{name}.tool_calls[{i}] calls no function: this engine knows tools of the type \
                    \"function\""
            );
        };
        let called = function.get("name").unwrap_or(&Value::Null);
        if !called.is_string() {
            fail!(
                Code::BadOption,
                "{name}.tool_calls[{i}].function.name is {}: it must be a text",
                short(called)
            );
        }
        let arguments = function.entry("arguments").or_insert(Value::Null);
        let read = match &*arguments {
            Value::Null => Some(Value::Object(Map::new())),
            Value::String(written) if written.is_empty() => Some(Value::Object(Map::new())),
            // What is no object stays as the model wrote it.
            Value::String(written) => {
                serde_json::from_slice(written.as_bytes()).ok().filter(Value::is_object)
            }
            _ => None,
        };
        if let Some(read) = read {
            *arguments = read;
        }
    }
    Ok(())
}

#[cfg(test)]
mod message_tests;
#[cfg(test)]
mod tests;
