//! `phi chat`: a conversation in the terminal.

use std::env;
use std::path::{Path, PathBuf, is_separator};

use clap::Args;
use phi_wasm::session::{Finish, GenerateOptions, ResilientSession};
use phi_wasm::text::template::Message;
use phi_wasm::{Code, Error, Result};

use super::device::Terminal;
use super::generate::{print_answer, sentence};
use super::lines::{Interrupts, Lines};
use super::options::{ModelArgs, SamplingArgs};
use super::prefixes::PrefixArgs;
use super::{advice, device, output, whole};

/// Converse in the terminal. /help lists what can be said besides questions; Ctrl-C stops an
/// answer, and the end of input ends.
#[derive(Debug, Args)]
pub struct Chat {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    prefixes: PrefixArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// What the model is told before the conversation.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    system: Option<String>,
}

const HELP: &str = "\
/system TEXT  tells the model TEXT before the conversation, or without TEXT nothing
/clear        forgets the conversation; so does /new
/save FILE    writes the conversation to FILE, over what is there, as JSON
/help         shows this
/quit         ends; so does Ctrl-D
Ctrl-C stops an answer, and ends where none is given. \
What is pasted is one question, however many lines it has.";

impl Chat {
    /// Converses until the user ends it.
    pub async fn run(self) -> Result<()> {
        let options = self.sampling.options()?;
        self.sampling.tell_idle();
        let mut model =
            device::open(&self.model, false, self.prefixes).await.map_err(advice::chatting)?;
        let (mut lines, interrupts) = (Lines::open()?, Interrupts::heed()?);
        if let Some(loaded) = model.describe() {
            output::note(format_args!(
                "{} on {}; /help lists the commands.",
                loaded.model, loaded.backend
            ));
        }
        let mut conversation = Conversation { system: self.system, turns: Vec::new() };
        let mut unanswered = None;
        while let Some(line) = lines.read()? {
            match Said::of(&line) {
                Said::Nothing => {}
                Said::Question(question) => {
                    let asked = conversation.ask(question, &mut model, &options, &interrupts).await;
                    match asked {
                        // Nobody would see another answer.
                        Err(error) if error.code == Code::Io => return Err(error),
                        // A question too long, say, must not end the conversation.
                        asked => {
                            unanswered = asked.as_ref().err().map(|error| error.code);
                            tell(asked);
                        }
                    }
                }
                Said::Command("quit", _) => break,
                Said::Command(name, rest) => tell(conversation.obey(name, rest)),
            }
        }
        match unanswered {
            // Who types has read it.
            Some(code) if !lines.are_typed() => {
                Err(Error::new(code, "the last question has no answer"))
            }
            _ => Ok(()),
        }
    }
}

fn tell(outcome: Result<String>) {
    match outcome {
        Ok(told) => output::note(told),
        Err(error) => output::note(format_args!("phi: {}", advice::chatting(error))),
    }
}

/// The file that is meant: quotes around its name are none of it, and ~ is the user's own folder.
fn file_named(text: &str) -> PathBuf {
    let unquoted =
        ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    let name = unquoted.unwrap_or(text);
    let at_home =
        name.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with(is_separator));
    match at_home.zip(env::home_dir()) {
        Some((rest, home)) => home.join(rest.trim_start_matches(is_separator)),
        None => name.into(),
    }
}

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
enum Said<'a> {
    Nothing,
    Question(&'a str),
    /// Its name, and what follows it.
    Command(&'a str, &'a str),
}

impl Said<'_> {
    /// A command is one word after a slash: `/usr/bin` begins a question.
    fn of(line: &str) -> Said<'_> {
        let line = line.trim();
        let Some(command) = line.strip_prefix('/') else {
            return if line.is_empty() { Said::Nothing } else { Said::Question(line) };
        };
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let is_word = !name.is_empty() && name.chars().all(char::is_alphabetic);
        if is_word { Said::Command(name, rest.trim()) } else { Said::Question(line) }
    }
}

struct Conversation {
    system: Option<String>,
    turns: Vec<Message>,
}

impl Conversation {
    fn messages(&self) -> Vec<Message> {
        self.system
            .iter()
            .map(|text| Message::system(text.as_str()))
            .chain(self.turns.iter().cloned())
            .collect()
    }

    /// Prints the answer and keeps it, also one that was stopped. A question that has none is
    /// forgotten, since most templates want turns to alternate.
    async fn ask(
        &mut self,
        question: &str,
        model: &mut ResilientSession<Terminal>,
        options: &GenerateOptions,
        interrupts: &Interrupts,
    ) -> Result<String> {
        self.turns.push(Message::user(question));
        let answering = interrupts.stop_answers();
        let asked = match model.chat(&self.messages(), options).await {
            Ok(answer) => print_answer(answer, &|| answering.is_stopped()).await,
            Err(error) => Err(error),
        };
        match asked {
            Ok((text, stats)) => {
                if text.is_empty() && stats.finish == Finish::Cancelled {
                    self.turns.pop();
                } else {
                    self.turns.push(Message::assistant(text));
                }
                Ok(sentence(&stats))
            }
            Err(error) => {
                self.turns.pop();
                Err(error)
            }
        }
    }

    /// What there is to say about it.
    fn obey(&mut self, command: &str, rest: &str) -> Result<String> {
        match command {
            "help" => Ok(HELP.to_owned()),
            "system" if rest.is_empty() => {
                self.system = None;
                Ok("The model is told nothing before the conversation.".to_owned())
            }
            "system" => {
                self.system = Some(rest.to_owned());
                Ok("The model is told this before the conversation.".to_owned())
            }
            "clear" | "new" => {
                self.turns.clear();
                Ok("The conversation is forgotten.".to_owned())
            }
            "save" if rest.is_empty() => {
                Err(Error::new(Code::BadOption, "/save needs the name of a file"))
            }
            "save" => self.save(&file_named(rest)),
            _ => Err(Error::new(
                Code::BadOption,
                format!("there is no /{command}; /help lists the commands"),
            )),
        }
    }

    fn save(&self, file: &Path) -> Result<String> {
        let (messages, shown) = (self.messages(), file.display());
        match serde_json::to_vec_pretty(&messages)
            .map_err(Into::into)
            .and_then(|json| whole::write(file, &json))
        {
            Ok(()) if messages.len() == 1 => Ok(format!("{shown} has 1 message.")),
            Ok(()) => Ok(format!("{shown} has {} messages.", messages.len())),
            Err(error) => Err(Error::writing(file, &error)),
        }
    }
}
