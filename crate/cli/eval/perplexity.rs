//! `phi eval perplexity`, in short `phi perplexity`: how well a model predicts a text.

use clap::Args;
use phi_wasm::backend::Backend;
use phi_wasm::eval::{self, SHORTEST};
use phi_wasm::session::Session;
use phi_wasm::weights::Checkpoint;
use phi_wasm::{Code, Error, Result};
use serde::Serialize;

use super::report::{Report, Run};
use super::{ModelsArgs, TextArgs};
use crate::cli::device::{self, Task};
use crate::cli::options::{ModelArgs, named, read_text};
use crate::cli::{cache, output, progress};

/// Measure how well the model predicts a text: exp of the mean negative log likelihood of tokens 2
/// to n of every window.
#[derive(Debug, Args)]
pub struct Perplexity {
    #[command(flatten)]
    models: ModelsArgs,
    #[command(flatten)]
    text: TextArgs,
}

#[derive(Serialize)]
struct Figures {
    perplexity: f64,
    tokens: usize,
    window: usize,
}

impl Perplexity {
    /// Measures and prints.
    pub async fn run(self) -> Result<()> {
        let text = read_text(&self.text.file)?;
        let models = self.models.each();
        for model in &models {
            self.text.check_window(model).await?;
        }
        let mut runs = Vec::new();
        for model in models {
            let measuring = Measuring { model: &model, asked: &self.text, text: &text };
            runs.push(device::run(&model, measuring).await?);
        }
        let report = Report::new("perplexity", runs);
        report.tell(&self.text.report, |runs| match runs {
            [one] => output::line(format_args!(
                "perplexity {:.3} over {} tokens",
                one.figures.perplexity, one.figures.tokens
            )),
            runs => {
                let row = |run: &Run<Figures>| {
                    let Figures { perplexity, tokens, .. } = run.figures;
                    vec![format!("{perplexity:.3}"), tokens.to_string()]
                };
                report.table(&["perplexity", "tokens"], runs.iter().map(row))
            }
        })
    }
}

struct Measuring<'a> {
    model: &'a ModelArgs,
    asked: &'a TextArgs,
    text: &'a str,
}

impl Task for Measuring<'_> {
    type Output = Run<Figures>;

    async fn on<B: Backend>(self, backend: B) -> Result<Run<Figures>> {
        let Measuring { model, asked, text } = self;
        let mut session = progress::open(model, backend, asked.window).await?;
        cache::keep_tuned(session.engine());
        let (ids, window) = asked.cut(&session, text)?;
        let (engine, sequence) = session.engine_and_sequence();
        let bar = progress::tokens("measuring", ids.len());
        let found =
            eval::perplexity(engine, sequence, (&ids, window), &mut |read| bar.inc(read as u64))
                .await?;
        bar.finish_and_clear();
        let figures = Figures { perplexity: found.value(), tokens: found.tokens, window };
        Ok(Run::new(model, engine.describe_backend(), figures))
    }
}

impl TextArgs {
    /// That a window has no room is told before a model is loaded.
    pub(super) async fn check_window(&self, model: &ModelArgs) -> Result<()> {
        let Some(window) = self.window else { return Ok(()) };
        let config = Checkpoint::open(model.source()?).await?.config;
        let ctx_len = model.compute.ctx.unwrap_or(config.max_position_embeddings as usize);
        if window > ctx_len {
            let too_long =
                format!("--window is {window}, and the context holds {ctx_len} tokens of the text");
            return Err(Error::new(Code::BadOption, too_long).advise("take shorter windows"));
        }
        Ok(())
    }

    /// The text's tokens, and how many of them a window has.
    pub(super) fn cut<B: Backend>(
        &self,
        session: &Session<B>,
        text: &str,
    ) -> Result<(Vec<u32>, usize)> {
        let ids = session.tokenizer().encode(text, true)?;
        let window = self.window.unwrap_or(session.engine().ctx_len());
        if window < SHORTEST {
            return Err(Error::new(Code::BadOption, "a context of one token predicts nothing")
                .advise("--ctx gives a longer one"));
        }
        if ids.len() < SHORTEST {
            let count = if ids.is_empty() { "no token" } else { "one token" };
            let too_short =
                format!("{} has {count}, and the first one is not predicted", named(&self.file));
            return Err(Error::new(Code::BadOption, too_short).advise("give a longer text"));
        }
        Ok((ids, window))
    }
}
