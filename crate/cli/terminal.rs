//! A terminal of the system's: lines are edited, and Ctrl-C is a signal.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use phi_wasm::error::in_words;
use phi_wasm::{Code, Error, Result};
use rustyline::config::Behavior;
use rustyline::error::{ReadlineError, Signal};
use rustyline::{Config, DefaultEditor};
use signal_hook::consts::SIGINT;
use signal_hook::flag;

use super::options::STDIN;

/// Edits lines, with a history that nobody keeps. What is pasted is one line, line feeds and all.
pub struct Editor(DefaultEditor);

impl Editor {
    /// Makes ready to read.
    pub fn open() -> Result<Editor> {
        // The prompt goes to the terminal, wherever the answers go.
        let config =
            Config::builder().behavior(Behavior::PreferTerm).auto_add_history(true).build();
        DefaultEditor::with_config(config).map(Editor).map_err(failed)
    }

    /// The next line; `None` when there shall be no more.
    pub fn read(&mut self) -> Result<Option<String>> {
        match self.0.readline("> ") {
            Ok(line) => Ok(Some(line)),
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => Ok(None),
            // Ctrl-C from elsewhere.
            Err(ReadlineError::Signal(signal)) if signal != Signal::Resize => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

fn failed(error: impl Display) -> Error {
    Error::new(Code::Io, format!("{STDIN}: {}", in_words(error)))
}

/// Ctrl-C: while an answer is given the first one stops that; any other ends the command, as it
/// does where nobody heeds it.
pub struct Interrupts {
    next_ends: Arc<AtomicBool>,
}

impl Interrupts {
    /// Heeds them from now on.
    pub fn heed() -> Result<Interrupts> {
        let next_ends = Arc::new(AtomicBool::new(true));
        let heeded = flag::register_conditional_default(SIGINT, Arc::clone(&next_ends))
            .and_then(|_| flag::register(SIGINT, Arc::clone(&next_ends)));
        let failed = |error: io::Error| {
            Error::new(Code::Io, format!("Ctrl-C cannot be heeded: {}", in_words(error)))
        };
        heeded.map(|_| Interrupts { next_ends }).map_err(failed)
    }

    /// Has the next one stop an answer, as long as what comes back is there.
    pub fn stop_answers(&self) -> Answering<'_> {
        self.next_ends.store(false, Ordering::SeqCst);
        Answering(self)
    }
}

/// While an answer is given.
pub struct Answering<'a>(&'a Interrupts);

impl Answering<'_> {
    /// Whether it is to be stopped.
    pub fn is_stopped(&self) -> bool {
        self.0.next_ends.load(Ordering::SeqCst)
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.next_ends.store(true, Ordering::SeqCst);
    }
}
