//! What it costs to hold an answer to a form: `phi bench --json-schema FILE`.

use std::path::Path;
use std::time::Instant;

use phi_wasm::Result;
use phi_wasm::backend::Backend;
use phi_wasm::bench::{Plan, prompt};
use phi_wasm::engine::{Engine, Sequence};
use phi_wasm::text::constraint::{Form, Grammars, grammars};
use phi_wasm::text_assets::TextAssets;
use serde::Serialize;

use super::super::form;

/// Runs with the form and without, in turn.
const ROUNDS: usize = 3;

/// What was measured, beside the same tokens without the form.
#[derive(Serialize)]
pub struct Held {
    /// Milliseconds for the tree of the vocabulary, once for a model.
    pub tree_ms: f64,
    /// Milliseconds from the form to its first mask, after that.
    pub first_mask_ms: f64,
    /// Tokens of the answer.
    pub tokens: usize,
    /// Those of them that were chosen by a mask; the others were forced.
    pub chosen: usize,
    /// Milliseconds for a mask, with all that goes with it.
    pub mask_ms: f64,
    /// Of the time that a token takes without the form.
    pub mask_share: f64,
    /// Time that the answer took, of the time for the same tokens without the form.
    pub time_ratio: f64,
}

/// A form, and what holds answers to it.
pub struct Holder {
    form: Form,
    grammars: Box<dyn Grammars + Send>,
    stop_tokens: Vec<u32>,
    tree_ms: f64,
}

/// An answer of the form.
#[derive(Default)]
struct Run {
    tokens: Vec<u32>,
    chosen: usize,
    seconds: f64,
    /// Of them, those for masks.
    masks: f64,
}

impl Holder {
    pub fn new(schema: &Path, text: &TextAssets, vocab_size: u32) -> Result<Holder> {
        let form = Form::JsonSchema(form::schema(schema)?);
        let spellings = text.spellings(vocab_size)?;
        let start = Instant::now();
        let grammars = grammars(spellings)?;
        let tree_ms = millis(start);
        Ok(Holder { form, grammars, stop_tokens: text.stop_tokens.clone(), tree_ms })
    }

    /// Answers as long as the form, or the plan, goes.
    pub async fn measure<B: Backend>(
        &self,
        engine: &mut Engine<B>,
        sequence: &mut Sequence,
        plan: Plan,
    ) -> Result<Held> {
        let start = Instant::now();
        self.grammars.constraint(&self.form)?;
        let first_mask_ms = millis(start);
        let prompt = prompt(plan, engine.config().vocab_size, 0);
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let held = self.held(engine, sequence, &prompt, plan.generate).await?;
            let free = free(engine, sequence, &prompt, &held.tokens).await?;
            rounds.push((held, free));
        }
        let median = |of: &dyn Fn(&(Run, f64)) -> f64| {
            let mut all: Vec<f64> = rounds.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all[ROUNDS / 2]
        };
        let (Run { tokens, chosen, .. }, _) = &rounds[0];
        let (tokens, chosen) = (tokens.len(), *chosen);
        let a_mask = |run: &Run| run.masks / chosen.max(1) as f64;
        Ok(Held {
            tree_ms: self.tree_ms,
            first_mask_ms,
            tokens,
            chosen,
            mask_ms: median(&|(held, _)| a_mask(held) * 1e3),
            mask_share: median(&|(held, free)| a_mask(held) / (free / tokens.max(1) as f64)),
            time_ratio: median(&|(held, free)| held.seconds / free),
        })
    }

    async fn held<B: Backend>(
        &self,
        engine: &mut Engine<B>,
        sequence: &mut Sequence,
        prompt: &[u32],
        most: usize,
    ) -> Result<Run> {
        let mut constraint = self.grammars.constraint(&self.form)?;
        begin(engine, sequence, prompt).await?;
        let (mut run, start) = (Run::default(), Instant::now());
        while run.tokens.len() < most && !constraint.is_over() {
            let asked = Instant::now();
            let mut next = constraint.take_forced(most - run.tokens.len())?;
            run.masks += asked.elapsed().as_secs_f64();
            if next.is_empty() {
                engine.catch_up(sequence).await?;
                let asked = Instant::now();
                let mask = constraint.mask()?;
                run.masks += asked.elapsed().as_secs_f64();
                sequence.allow(Some(mask));
                let token = engine.greedy(sequence).await?;
                if self.stop_tokens.contains(&token) {
                    break;
                }
                let asked = Instant::now();
                constraint.accept(token)?;
                run.masks += asked.elapsed().as_secs_f64();
                run.chosen += 1;
                next = vec![token];
            }
            next.iter().try_for_each(|&token| engine.push(sequence, token))?;
            run.tokens.extend(next);
        }
        engine.catch_up(sequence).await?;
        run.seconds = start.elapsed().as_secs_f64();
        Ok(run)
    }
}

/// Seconds for these tokens, each chosen from all.
async fn free<B: Backend>(
    engine: &mut Engine<B>,
    sequence: &mut Sequence,
    prompt: &[u32],
    tokens: &[u32],
) -> Result<f64> {
    begin(engine, sequence, prompt).await?;
    let start = Instant::now();
    for &token in tokens {
        engine.greedy(sequence).await?;
        engine.push(sequence, token)?;
    }
    engine.catch_up(sequence).await?;
    Ok(start.elapsed().as_secs_f64())
}

async fn begin<B: Backend>(
    engine: &mut Engine<B>,
    sequence: &mut Sequence,
    prompt: &[u32],
) -> Result<()> {
    sequence.allow(None);
    engine.plan(sequence, prompt)?;
    engine.catch_up(sequence).await
}

fn millis(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
