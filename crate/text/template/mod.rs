//! A conversation as the one string that the model was trained to see.
//!
//! Models bring their template as Jinja, written for Hugging Face's environment: blocks are
//! trimmed, values have Python's methods, `raise_exception` refuses, and `tojson` writes what
//! Python's `json.dumps` does. The text that comes out has its control tokens written in it, BOS
//! too: encode it without adding any.

mod built_in;
mod json;
mod limits;
mod message;
mod moment;
mod operators;
mod phi4;
mod prices;
mod program;
mod python;
mod source;

use std::cell::{Cell, LazyCell};
use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, Serde, ValueOrKwargs};
use minijinja::{Environment, ErrorKind, State, Value, context};
use serde_json::Value as Json;

use program::Program;

pub use built_in::BuiltIn;
pub use message::Message;
pub use moment::Moment;
use moment::strftime;

use super::Tokenizer;
use super::prompt::{Prompt, Spellings};
use super::tool_calls::{Dialect, takes_tools_in_message};
use crate::error::{Code, Error, Result, fail};

/// The instructions that one rendering may take, each worth 64 bytes of what it makes: a template
/// that loops for ever, or doubles a text for ever, ends here, with 64 MB. Half of that again may
/// be there before it is paid for, and in a browser, whose modules give no memory back, a text that
/// grows leaves its shorter forms behind: 150 MB.
const FUEL: u64 = 1_000_000;
/// As many more for each message or tool and each other one, of so many: some templates look at all
/// of them for each.
const FUEL_OF_PAIRS: u64 = 50;
const MOST_IN_PAIRS: u64 = 1024;

/// The name that errors give the template.
const NAME: &str = "chat_template";

/// How a rendering ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// With the beginning of the model's answer.
    #[default]
    Answer,
    /// With the last message.
    Closed,
    /// Within the last message, the assistant's, which is the beginning of the answer.
    Continued,
}

/// A compiled chat template.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    /// As minijinja takes it.
    source: String,
    /// What renders in its place where there are tools.
    for_tools: Option<String>,
    syntax: SyntaxConfig,
    /// Control tokens by the names that templates have for them, such as `bos_token`, as they are
    /// written.
    tokens: Vec<(String, String)>,
    spellings: Spellings,
}

impl ChatTemplate {
    /// Compiles Jinja `source`. `tokens` are the variables that name control tokens, such as
    /// `bos_token`, and how these are written.
    ///
    /// # Errors
    /// [`Code::BadTemplate`], with the line that does not compile, or what is too much of it.
    pub fn new(source: &str, tokens: &[(&str, &str)]) -> Result<ChatTemplate> {
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(|e| does_not_compile(&e))?;
        let source = compiling(source, &syntax)?;
        let mut environment = Environment::new();
        python::add_to(&mut environment);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", |state: &State, format: &str| {
            strftime(state, Moment::now(), format)
        });
        environment.set_formatter(|out, state, value| {
            if value.as_object().is_some() {
                limits::charge(state, [value])?;
            }
            minijinja::escape_formatter(out, state, value)
        });
        prices::add_to(&mut environment);
        let spellings = Spellings::new(
            tokens.iter().map(|(_, written)| (*written).to_owned()).collect(),
            Vec::new(),
        );
        let tokens = tokens
            .iter()
            .map(|(name, written)| ((*name).to_owned(), (*written).to_owned()))
            .collect();
        Ok(ChatTemplate { environment, source, for_tools: None, syntax, tokens, spellings })
    }

    /// For a tokenizer: the model's own Jinja where it brings one, otherwise the built-in one that
    /// its vocabulary speaks for.
    ///
    /// # Errors
    /// [`Code::BadTemplate`], if it does not compile, or there is neither.
    pub fn for_tokenizer(tokenizer: &Tokenizer, source: Option<&str>) -> Result<ChatTemplate> {
        let source = match (source, BuiltIn::for_tokenizer(tokenizer)) {
            (Some(source), _) => source,
            (None, Some(built_in)) => built_in.source(),
            (None, None) => {
                fail!(
                    Code::BadTemplate,
                    "this model has no chat template, and its vocabulary is none that we know one \
                        for; prompt it without a template"
                )
            }
        };
        let mut template = ChatTemplate::new(source, &[])?;
        template.tokens = tokenizer.named_tokens().to_vec();
        template.spellings = tokenizer.spellings();
        Ok(template)
    }

    /// With a template of its own for conversations that have tools.
    ///
    /// # Errors
    /// [`Code::BadTemplate`], if it does not compile.
    pub fn with_tools(mut self, source: &str) -> Result<ChatTemplate> {
        self.for_tools = Some(compiling(source, &self.syntax)?);
        Ok(self)
    }

    /// The default template in a parsed `tokenizer_config.json`, which may hold one, or several
    /// with names.
    pub fn source_in(tokenizer_config: &Json) -> Option<&str> {
        let template = &tokenizer_config["chat_template"];
        let named = template
            .as_array()
            .and_then(|all| all.iter().find(|one| one["name"] == "default").or(all.first()));
        template.as_str().or_else(|| named?["template"].as_str())
    }

    /// The one for conversations that have tools, where several have names.
    pub fn source_for_tools(tokenizer_config: &Json) -> Option<&str> {
        let named = tokenizer_config["chat_template"].as_array()?;
        named.iter().find(|one| one["name"] == "tool_use")?["template"].as_str()
    }

    /// Has `strftime_now` tell this moment instead of the present one.
    pub fn with_time(mut self, moment: Moment) -> ChatTemplate {
        self.environment.add_function("strftime_now", move |state: &State, format: &str| {
            strftime(state, moment, format)
        });
        self
    }

    /// The conversation as the model is to read it. `tools` are described as the template's authors
    /// expect it, mostly in OpenAI's shape.
    ///
    /// # Errors
    /// [`Code::BadTemplate`]: the template refuses the messages, cannot be run, or knows nothing of
    /// tools where there are some; [`Code::BadOption`], when an answer is to be continued and the
    /// last message is not the assistant's.
    pub fn render(&self, messages: &[Message], tools: &[Json], ending: Ending) -> Result<Prompt> {
        self.check_tools(messages, tools)?;
        // Looking for them takes time by the length of the conversation, and most have no need.
        let unused = LazyCell::new(|| self.unused_characters(messages, tools));
        let is_without = Cell::new(false);
        let (marked, tools, mark) = self.marked(messages, tools, &|| {
            is_without.set(unused[0].is_none());
            unused[0]
        });
        if is_without.get() {
            fail!(
                Code::BadTemplate,
                "the messages have each character from U+E000 to U+F8FF, one of which must be \
                    free; leave some out"
            );
        }
        let (marked, tools) = match takes_tools_in_message(self.source_for(&tools)) {
            true => (phi4::conversation(marked, &tools), Vec::new()),
            false => (marked, tools),
        };
        let marked = match ending {
            Ending::Continued => {
                self.continued(marked, &tools, mark, unused[1].unwrap_or('\u{f8ff}'))?
            }
            _ => self.run(&marked, &tools, mark, ending == Ending::Answer)?,
        };
        Ok(Prompt { marked, mark, is_rendered: true })
    }

    /// How the model calls tools, as far as the template shows it.
    pub fn dialect(&self) -> Dialect {
        Dialect::of(self.for_tools.as_ref().unwrap_or(&self.source))
    }

    /// What renders a conversation with these tools.
    fn source_for(&self, tools: &[Json]) -> &str {
        self.for_tools.as_ref().filter(|_| !tools.is_empty()).unwrap_or(&self.source)
    }

    fn run(
        &self,
        messages: &[Message],
        tools: &[Json],
        mark: Option<char>,
        add_generation_prompt: bool,
    ) -> Result<String> {
        let program = Program::new(NAME, self.source_for(tools), &self.syntax)
            .map_err(|e| does_not_compile(&e))?;
        let count = ((messages.len() + tools.len()) as u64).min(MOST_IN_PAIRS);
        let tools = if tools.is_empty() { Value::from(()) } else { Value::from(Serde(tools)) };
        let tokens: BTreeMap<_, Value> = self
            .tokens
            .iter()
            .map(|(name, written)| (name.as_str(), written.as_str().into()))
            .collect();
        let context = context! {
            messages => Value::from(Serde(messages)),
            tools => tools,
            documents => (),
            add_generation_prompt => add_generation_prompt,
            ..Value::from(tokens)
        };
        let mut environment = self.environment.clone();
        environment.add_filter("tojson", move |state: &State, args: Rest<ValueOrKwargs>| {
            json::tojson(state, args, mark)
        });
        environment.set_fuel(Some(
            FUEL.saturating_add(count.saturating_mul(count).saturating_mul(FUEL_OF_PAIRS)),
        ));
        program.render(&environment, context).map_err(|e| match refusal(&e) {
            Some(message) => Error::new(
                Code::BadTemplate,
                format!("the chat template refuses these messages: {message}"),
            ),
            None => Error::new(
                Code::BadTemplate,
                format!("the chat template fails: {e}; use another template, or none"),
            ),
        })
    }

    /// The conversation up to the last message's last word: what the template writes before a mark
    /// at its end.
    fn continued(
        &self,
        mut messages: Vec<Message>,
        tools: &[Json],
        mark: Option<char>,
        end: char,
    ) -> Result<String> {
        let Some(begun) = messages.pop().filter(|last| last.role() == "assistant") else {
            fail!(
                Code::BadOption,
                "the last message is not the assistant's, so there is no answer to go on with; \
                    ask without that"
            );
        };
        // The space shows whether the template trims what is said.
        messages.push(begun.with_end(&format!("{end} ")));
        let mut rendered = self.run(&messages, tools, mark, false)?;
        let Some(at) = rendered.rfind(end) else {
            fail!(
                Code::BadTemplate,
                "the chat template leaves out the answer that is to be continued; ask without that"
            );
        };
        let is_trimmed = !rendered[at + end.len_utf8()..].starts_with(' ');
        rendered.truncate(at);
        if is_trimmed {
            rendered.truncate(rendered.trim_end().len());
        }
        Ok(rendered)
    }

    /// The messages and tools with the spellings of tokens marked, and the mark where there were
    /// any.
    fn marked(
        &self,
        messages: &[Message],
        tools: &[Json],
        mark: &dyn Fn() -> Option<char>,
    ) -> (Vec<Message>, Vec<Json>, Option<char>) {
        let is_marked = Cell::new(false);
        let mark_in = |text: &str, by_others: bool| match self.spellings.mark(text, by_others, mark)
        {
            Some(marked) => {
                is_marked.set(true);
                marked
            }
            None => text.to_owned(),
        };
        let rename = |name: &str| match message::is_name(name) && !self.spellings.are_in(name) {
            true => name.to_owned(),
            false => mark_in(name, false),
        };
        let marked = messages.iter().map(|message| {
            let by_others = !matches!(message.role(), "assistant" | "system" | "developer");
            message.map_texts(&|text| mark_in(text, by_others), &rename)
        });
        let marked = marked.collect();
        // Whoever offers a tool describes it: a server of tools, say.
        let described = |text: &str| mark_in(text, true);
        let tools =
            tools.iter().map(|tool| message::map_texts(tool, &described, &rename)).collect();
        (marked, tools, if is_marked.get() { mark() } else { None })
    }

    /// Two characters of the private use area that neither the template nor a message or tool has.
    fn unused_characters(&self, messages: &[Message], tools: &[Json]) -> [Option<char>; 2] {
        let written = serde_json::to_string(&(messages, tools)).unwrap_or_default();
        let source = self.source_for(tools);
        let mut unused = ('\u{e000}'..='\u{f8ff}')
            .filter(|&c| !written.contains(c) && !source.contains(c) && !self.spellings.have(c));
        [unused.next(), unused.next()]
    }

    /// A template that never mentions tools would pass over them in silence.
    fn check_tools(&self, messages: &[Message], tools: &[Json]) -> Result<()> {
        let source = self.source_for(tools);
        let knows = |word: &str| source.contains(word);
        if !tools.is_empty() && !knows("tools") {
            fail!(
                Code::BadTemplate,
                "this model's chat template knows nothing of tools; describe them in a system \
                    message"
            );
        }
        let is_told = knows("tool_calls") || takes_tools_in_message(source);
        if messages.iter().any(Message::calls_tools) && !is_told {
            fail!(
                Code::BadTemplate,
                "this model's chat template knows nothing of tool_calls; write the call into the \
                    message's content"
            );
        }
        Ok(())
    }
}

/// A source as minijinja takes it, which compiles.
fn compiling(source: &str, syntax: &SyntaxConfig) -> Result<String> {
    limits::check(source)?;
    let source = source::for_minijinja(source);
    Program::new(NAME, &source, syntax).map_err(|e| does_not_compile(&e))?;
    Ok(source)
}

fn does_not_compile(error: &minijinja::Error) -> Error {
    Error::new(
        Code::BadTemplate,
        format!("the chat template does not compile: {error}; use another template, or none"),
    )
}

/// An error about what a template has done to values.
fn invalid(what: &str) -> minijinja::Error {
    minijinja::Error::new(ErrorKind::InvalidOperation, what.to_owned())
}

/// Characters of a refusal that are told.
const LONGEST_REFUSAL: usize = 1000;

/// What `raise_exception` starts its message with, so that it can be told from minijinja's own
/// errors.
const REFUSAL: &str = "raise_exception: ";

fn raise_exception(message: &str) -> std::result::Result<Value, minijinja::Error> {
    let message: String = message.chars().take(LONGEST_REFUSAL).collect();
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, format!("{REFUSAL}{message}")))
}

fn refusal(error: &minijinja::Error) -> Option<&str> {
    error.detail()?.strip_prefix(REFUSAL)
}
