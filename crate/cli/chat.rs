//! `phi chat`: a conversation in the terminal.

use std::io::{BufRead, IsTerminal, Write};

use clap::Args;
use phi_wasm::text::template::Message;
use phi_wasm::{Code, Error, Result};

use super::generate::{print_answer, sentence};
use super::options::{ModelArgs, SamplingArgs};
use super::{device, output};

/// Converse in the terminal. An empty line or the end of input ends it; `/new` starts anew.
#[derive(Debug, Args)]
pub struct Chat {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// What the model is told before the conversation.
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
}

impl Chat {
    /// Does it.
    pub async fn run(self) -> Result<()> {
        let mut model = device::open(&self.model).await?;
        if let Some(loaded) = model.describe() {
            output::note(format_args!("{} on {}; an empty line ends, /new starts anew.", loaded.model, loaded.backend));
        }
        let options = self.sampling.options();
        let opening: Vec<Message> = self.system.iter().map(|text| Message::system(text.clone())).collect();
        let mut messages = opening.clone();
        while let Some(line) = read_line()? {
            match line.trim() {
                "" => break,
                "/new" => messages.clone_from(&opening),
                question => {
                    messages.push(Message::user(question));
                    let asked = match model.chat(&messages, &options).await {
                        Ok(answer) => print_answer(answer).await,
                        Err(error) => Err(error),
                    };
                    match asked {
                        Ok((text, stats)) => {
                            messages.push(Message::assistant(text));
                            output::note(sentence(&stats));
                        }
                        Err(error) if error.code == Code::Io => return Err(error), // Nobody would see an answer.
                        Err(error) => {
                            // A question too long, say, must not end the conversation.
                            messages.pop();
                            output::note(format_args!("phi: {error}"));
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

fn read_line() -> Result<Option<String>> {
    if std::io::stdin().is_terminal() {
        // A prompt that cannot be shown is no reason to stop.
        let _ = std::io::stderr().write_all(b"> ");
    }
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line).map_err(|e| Error::new(Code::Io, format!("standard input: {e}")))?;
    Ok((read > 0).then_some(line))
}
