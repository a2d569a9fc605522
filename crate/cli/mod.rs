//! The commands, one file each, and what they share.

mod advice;
mod bench;
mod cache;
mod chat;
mod convert;
mod decide;
mod device;
mod eval;
mod form;
mod generate;
#[cfg_attr(not(all(feature = "gpu", not(target_os = "wasi"))), path = "no_gpu.rs")]
mod gpu;
mod inspect;
mod lines;
mod logits;
mod options;
pub mod output;
mod plain_lines;
mod prefixes;
mod progress;
mod prompt;
#[cfg_attr(target_family = "wasm", path = "no_terminal.rs")]
mod terminal;
mod whole;

use std::process::exit;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use phi_wasm::{Code, Error, Result};

/// Phi-4-mini and its relatives, on this device alone.
#[derive(Debug, Parser)]
#[command(name = "phi", version, about, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer one prompt.
    Run(generate::Run),
    /// Converse in the terminal.
    Chat(chat::Chat),
    /// Say how probable each of some answers is.
    Decide(decide::Decide),
    /// Print a conversation as the model reads it.
    Prompt(prompt::Prompt),
    /// Print a text's tokens.
    Tokenize(prompt::Tokenize),
    /// Write the logits of given token ids to a safetensors file.
    Logits(logits::Logits),
    /// Measure how well the model predicts a text.
    Perplexity(eval::Perplexity),
    /// Measure how good the model is: by texts, against another, in the field's tests.
    ///
    /// The tests' prompts and scores are those of lm-evaluation-harness 0.4; their data are files
    /// that are downloaded before.
    Eval(eval::Eval),
    /// Time prefill and decoding.
    Bench(bench::Bench),
    /// Convert a model into the form that streams.
    Convert(convert::Convert),
    /// Say what a model's files hold.
    Inspect(inspect::Inspect),
    /// Print a script that has a shell complete the command's options.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// The arguments, unless they ask for help or the version, which is an answer, too.
///
/// # Errors
/// `bad-option` for what is none of ours.
fn parsed() -> Result<Cli> {
    match Cli::try_parse() {
        Ok(cli) => Ok(cli),
        Err(mistake) if mistake.use_stderr() => Err(bad_usage(&mistake)),
        Err(help) => {
            output::written(help.print())?;
            exit(0)
        }
    }
}

/// What clap says of arguments, as our other errors are: a sentence, and a tip where there is one.
fn bad_usage(mistake: &clap::Error) -> Error {
    let said = mistake.render().to_string();
    if mistake.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        output::note(said.trim_end());
        return Error::new(Code::BadOption, "no command is given").advise("name one of these");
    }
    let (mut sentence, mut tips) = (Vec::new(), Vec::new());
    let said = said.trim().trim_start_matches("error: ");
    for line in said.lines().map(str::trim).take_while(|line| {
        !line.starts_with("Usage: ") && !line.starts_with("For more information")
    }) {
        match line.strip_prefix("tip: ") {
            Some(tip) => tips.push(tip),
            None if !line.is_empty() => sentence.push(line),
            None => {}
        }
    }
    let error = Error::new(Code::BadOption, sentence.join(" "));
    match mistake.kind() {
        // What it must be is said.
        ErrorKind::ValueValidation => error,
        ErrorKind::UnknownArgument if is_a_word(mistake) => {
            let what = [("<PROMPT>", "the prompt"), ("<TEXT>", "the text")]
                .into_iter()
                .find_map(|(name, what)| said.contains(name).then_some(what))
                .unwrap_or("what has spaces in it");
            error
                .advise(format!("put {what} in quotes, or the shell makes several arguments of it"))
        }
        _ if tips.is_empty() => error.advise("--help tells what there is"),
        _ => error.advise(tips.join("; ")),
    }
}

/// Whether an argument too many is no option: one that was written without quotes goes on there.
fn is_a_word(mistake: &clap::Error) -> bool {
    matches!(
        mistake.get(ContextKind::InvalidArg),
        Some(ContextValue::String(argument)) if !argument.starts_with('-')
    )
}

/// Runs what the arguments ask for.
pub async fn run() -> Result<()> {
    match parsed()?.command {
        Command::Run(run) => run.run().await.map_err(advice::running),
        Command::Chat(chat) => chat.run().await,
        Command::Decide(decide) => decide.run().await.map_err(advice::running),
        Command::Prompt(prompt) => prompt.run().await,
        Command::Tokenize(tokenize) => tokenize.run().await,
        Command::Logits(logits) => logits.run().await.map_err(advice::computing),
        Command::Perplexity(perplexity) => perplexity.run().await.map_err(advice::computing),
        Command::Eval(eval) => eval.run().await.map_err(advice::computing),
        Command::Bench(bench) => bench.run().await.map_err(advice::computing),
        Command::Convert(convert) => convert.run().await,
        Command::Inspect(inspect) => inspect.run().await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "phi", &mut script);
            output::piece(String::from_utf8_lossy(&script))
        }
    }
}
