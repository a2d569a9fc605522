//! A conversation as the one string that the model was trained to see.
//!
//! Models bring their template as Jinja, written for Hugging Face's environment: blocks are trimmed, values have Python's
//! methods, `raise_exception` refuses, and `tojson` writes what Python's `json.dumps` does. The text that comes out
//! has its control tokens written in it, BOS too: encode it without adding any.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde};
use minijinja::{Environment, ErrorKind, Value, context};
use serde::{Deserialize, Serialize};

use super::Tokenizer;
use crate::error::{Code, Error, Result, fail};

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Who speaks: `system`, `user` or `assistant`, or what else the template knows.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A message by `role`.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Message {
        Message { role: role.into(), content: content.into() }
    }

    /// What the user says.
    pub fn user(content: impl Into<String>) -> Message {
        Message::new("user", content)
    }

    /// What the model says.
    pub fn assistant(content: impl Into<String>) -> Message {
        Message::new("assistant", content)
    }

    /// What the model is to be.
    pub fn system(content: impl Into<String>) -> Message {
        Message::new("system", content)
    }
}

/// Templates for files that bring none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// Phi-4-mini: `<|user|>…<|end|><|assistant|>`.
    Phi4,
    /// Phi-3-mini and Phi-3.5-mini: the same with line feeds.
    Phi3,
}

const PHI4: &str = concat!(
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}",
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}",
);
const PHI3: &str = concat!(
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}{% endfor %}",
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
);

impl BuiltIn {
    /// The template that a vocabulary's control tokens speak for, if any.
    pub fn for_tokenizer(tokenizer: &Tokenizer) -> Option<BuiltIn> {
        let has = |names: &[&str]| names.iter().all(|name| tokenizer.id(name).is_some());
        if !has(&["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]) {
            None
        } else if has(&["<|tool_call|>"]) {
            Some(BuiltIn::Phi4)
        } else {
            Some(BuiltIn::Phi3)
        }
    }
}

/// The instructions that one rendering may take: a template that loops for ever ends here.
const FUEL: u64 = 10_000_000;

/// The name that errors give the template.
const NAME: &str = "chat_template";

/// A compiled chat template.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Compiles Jinja `source`. `bos` and `eos` are how the tokens are written; empty where there is none.
    ///
    /// # Errors
    /// [`Code::BadTemplate`], with the line that does not compile.
    pub fn new(source: &str, bos: &str, eos: &str) -> Result<ChatTemplate> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_filter("tojson", tojson);
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        syntax.map(|syntax| environment.set_syntax(syntax)).map_err(|e| does_not_compile(&e))?;
        environment.add_template_owned(NAME, source.to_owned()).map_err(|e| does_not_compile(&e))?;
        Ok(ChatTemplate { environment, bos: bos.to_owned(), eos: eos.to_owned() })
    }

    /// The template for files that bring none.
    ///
    /// # Errors
    /// [`Code::BadTemplate`], should it not compile.
    pub fn built_in(kind: BuiltIn, bos: &str, eos: &str) -> Result<ChatTemplate> {
        let source = match kind {
            BuiltIn::Phi4 => PHI4,
            BuiltIn::Phi3 => PHI3,
        };
        ChatTemplate::new(source, bos, eos)
    }

    /// For a tokenizer: the model's own Jinja where it brings one, otherwise the built-in one that its vocabulary speaks for.
    ///
    /// # Errors
    /// [`Code::BadTemplate`], if it does not compile, or there is neither.
    pub fn for_tokenizer(tokenizer: &Tokenizer, source: Option<&str>) -> Result<ChatTemplate> {
        let (bos, eos) = (tokenizer.written(tokenizer.bos()), tokenizer.written(tokenizer.eos()));
        match (source, BuiltIn::for_tokenizer(tokenizer)) {
            (Some(source), _) => ChatTemplate::new(source, &bos, &eos),
            (None, Some(kind)) => ChatTemplate::built_in(kind, &bos, &eos),
            (None, None) => {
                fail!(
                    Code::BadTemplate,
                    "this model has no chat template, and its vocabulary is none that we know one for; prompt it without a template"
                )
            }
        }
    }

    /// The default template in a parsed `tokenizer_config.json`, which may hold one, or several with names.
    pub fn source_in(tokenizer_config: &serde_json::Value) -> Option<&str> {
        let template = &tokenizer_config["chat_template"];
        let named = template.as_array().and_then(|all| all.iter().find(|one| one["name"] == "default").or(all.first()));
        template.as_str().or_else(|| named?["template"].as_str())
    }

    /// Gives templates that ask for the date (`strftime_now`) one: seconds since 1970, shown in UTC. Without it the
    /// function does not exist, which most templates provide for.
    pub fn with_time(mut self, unix_seconds: i64) -> ChatTemplate {
        self.environment.add_function("strftime_now", move |format: &str| strftime(unix_seconds, format));
        self
    }

    /// The conversation as text, with the beginning of the model's answer if `add_generation_prompt`.
    ///
    /// # Errors
    /// [`Code::BadTemplate`]: the template refuses the messages, or cannot be run.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let context = context! {
            messages => Value::from(Serde(messages)),
            add_generation_prompt => add_generation_prompt,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        };
        let template = self.environment.get_template(NAME).map_err(|e| does_not_compile(&e))?;
        template.render(context).map_err(|e| match refusal(&e) {
            Some(message) => Error::new(Code::BadTemplate, format!("the chat template refuses these messages: {message}")),
            None => Error::new(Code::BadTemplate, format!("the chat template fails: {e}; use another template, or none")),
        })
    }

    /// The conversation as text that ends within its last message, the beginning of the model's answer.
    ///
    /// # Errors
    /// [`Code::BadOption`] when that is not the model's, and as [`ChatTemplate::render`].
    pub fn open_end(&self, messages: &[Message]) -> Result<String> {
        match messages.split_last() {
            Some((begun, before)) if begun.role == "assistant" => Ok(self.render(before, true)? + &begun.content),
            _ => fail!(Code::BadOption, "the last message is not the assistant's, so there is no answer to go on with; ask without that"),
        }
    }
}

fn does_not_compile(error: &minijinja::Error) -> Error {
    Error::new(Code::BadTemplate, format!("the chat template does not compile: {error}; use another template, or none"))
}

/// What `raise_exception` starts its message with, so that it can be told from minijinja's own errors.
const REFUSAL: &str = "raise_exception: ";

fn raise_exception(message: &str) -> std::result::Result<Value, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, format!("{REFUSAL}{message}")))
}

fn refusal(error: &minijinja::Error) -> Option<&str> {
    error.detail()?.strip_prefix(REFUSAL)
}

fn strftime(unix_seconds: i64, format: &str) -> std::result::Result<String, minijinja::Error> {
    jiff::Timestamp::from_second(unix_seconds)
        .and_then(|now| jiff::fmt::strtime::format(format, &now.to_zoned(jiff::tz::TimeZone::UTC)))
        .map_err(|e| minijinja::Error::new(ErrorKind::InvalidOperation, format!("strftime_now({format:?}): {e}")))
}

/// `json.dumps`, as Hugging Face's environment has it: spaces after separators, no escapes for HTML.
fn tojson(value: &Value, options: Kwargs) -> std::result::Result<String, minijinja::Error> {
    let fail = |what: String| minijinja::Error::new(ErrorKind::InvalidOperation, format!("tojson: {what}"));
    let indent: Option<usize> = options.get("indent")?;
    for unsupported in ["ensure_ascii", "sort_keys"] {
        if options.get::<Option<bool>>(unsupported)? == Some(true) {
            return Err(fail(format!("{unsupported} is not supported")));
        }
    }
    options.assert_all_used()?;
    let mut out = Vec::new();
    let written = match indent {
        Some(width) => {
            let indent = " ".repeat(width.min(80));
            value.serialize(&mut serde_json::Serializer::with_formatter(
                &mut out,
                serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes()),
            ))
        }
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, PythonFormatter)),
    };
    written.map_err(|e| fail(e.to_string()))?;
    String::from_utf8(out).map_err(|e| fail(e.to_string()))
}

/// Python's default separators: `", "` and `": "`.
struct PythonFormatter;

impl serde_json::ser::Formatter for PythonFormatter {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}
