//! The field's tests: items made of their published files, and what a model answers.

pub mod arc;
pub mod gsm8k;
pub mod hellaswag;
pub mod humaneval;
pub mod mmlu;

use std::fmt::Display;

use serde::de::DeserializeOwned;

use super::log_probs;
use crate::backend::Backend;
use crate::error::{Code, Error, Result};
use crate::session::{Event, GenerateOptions, Session};
use crate::text::Tokenizer;

/// A question with choices.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// What the model reads before each choice.
    pub context: String,
    /// The choices, which a space parts from the context.
    pub choices: Vec<String>,
    /// The right one.
    pub gold: usize,
}

/// What a model answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The log-probability of each choice.
    pub log_probs: Vec<f64>,
    /// The most probable one: what `acc` counts.
    pub choice: usize,
    /// The one most probable for each of its characters: what `acc_norm` counts.
    pub choice_norm: usize,
    /// Whether there was no room for all of the context, whose beginning was left out then.
    pub is_cut: bool,
}

impl Item {
    /// Has a model answer.
    ///
    /// # Errors
    /// What running meets.
    pub async fn answer<B: Backend>(&self, session: &mut Session<B>) -> Result<Answered> {
        let tokenizer = session.tokenizer();
        let (context, spaces) = self.context.split_at(self.context.trim_end().len());
        let read = tokenizer.encode(context, true)?;
        let choices: Vec<_> = self
            .choices
            .iter()
            .map(|choice| continuation(tokenizer, context, &read, &format!("{spaces} {choice}")))
            .collect::<Result<_>>()?;
        let longest = choices.iter().map(Vec::len).max().unwrap_or_default();
        let (engine, sequence) = session.engine_and_sequence();
        let log_probs = log_probs(engine, sequence, &read, &choices).await?;
        let for_each_character: Vec<f64> = log_probs
            .iter()
            .zip(&self.choices)
            .map(|(log_prob, choice)| log_prob / choice.chars().count() as f64)
            .collect();
        Ok(Answered {
            choice: largest(&log_probs),
            choice_norm: largest(&for_each_character),
            is_cut: read.len() + longest > sequence.ctx_len() + 1,
            log_probs,
        })
    }
}

/// A problem whose answer the model writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// What the model reads.
    pub prompt: String,
    /// The right answer, as the test's file has it.
    pub gold: String,
}

/// How a model goes on with a prompt, most probable token by most probable token, up to one of some
/// texts, which does not belong to it.
///
/// # Errors
/// What running meets; `prompt-too-long`.
pub async fn completed<B: Backend>(
    session: &mut Session<B>,
    prompt: &str,
    stops: &[&str],
    max_tokens: usize,
) -> Result<String> {
    let stop = stops.iter().map(|&stop| stop.to_owned()).collect();
    let options = GenerateOptions { max_tokens, stop, ..GenerateOptions::default() };
    let mut answer = session.complete(prompt, &options)?;
    let mut whole = String::new();
    while let Some(event) = answer.next().await? {
        if let Event::Text { text, .. } = event {
            whole.push_str(&text);
        }
    }
    Ok(whole)
}

/// The tokens that a context gets by having a text behind it, which may not be those of the text
/// alone.
fn continuation(
    tokenizer: &Tokenizer,
    context: &str,
    read: &[u32],
    text: &str,
) -> Result<Vec<u32>> {
    let whole = tokenizer.encode(&format!("{context}{text}"), true)?;
    match whole.get(read.len()..) {
        Some(tokens) if !tokens.is_empty() => Ok(tokens.to_vec()),
        _ => Err(Error::new(
            Code::BadToken,
            format!("{text:?} is no token of its own behind its context in this vocabulary"),
        )),
    }
}

/// Where the largest number is, the first among equals.
fn largest(numbers: &[f64]) -> usize {
    let first = |best: usize, at: usize| if numbers[at] > numbers[best] { at } else { best };
    (0..numbers.len()).fold(0, first)
}

/// The records of a file that has one in JSON on each line, with the lines' numbers.
///
/// # Errors
/// `malformed`, with the file and the line.
fn json_lines<T: DeserializeOwned>(file: &str, text: &str) -> Result<Vec<(u64, T)>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let records: Vec<(u64, T)> = lines
        .map(|(line, json)| {
            let of = |error: serde_json::Error| wrong(file, line, without_place(&error));
            serde_json::from_str(json).map(|record| (line, record)).map_err(of)
        })
        .collect::<Result<_>>()?;
    if records.is_empty() {
        return Err(empty(file));
    }
    Ok(records)
}

/// What is wrong, without the place in the line, which begins anew with each.
fn without_place(error: &serde_json::Error) -> String {
    let said = error.to_string();
    said.split_once(" at line ").map_or(said.clone(), |(what, _)| what.to_owned())
}

/// That a file has nothing.
fn empty(file: &str) -> Error {
    Error::new(Code::Malformed, format!("{file}: there are no items in it"))
}

/// That a line of a file is not as the test's own files are.
fn wrong(file: &str, line: u64, what: impl Display) -> Error {
    Error::new(Code::Malformed, format!("{file}, line {line}: {what}"))
        .advise("give the file as its publisher has it")
}
