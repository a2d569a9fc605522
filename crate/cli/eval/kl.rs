//! `phi eval kl`: how far a model predicts a text differently from another.

use std::path::PathBuf;

use clap::Args;
use phi_wasm::backend::Backend;
use phi_wasm::eval::{self, Divergence};
use phi_wasm::session::Session;
use phi_wasm::weights::format::Bits;
use phi_wasm::{Code, Error, Result};
use serde::Serialize;

use super::TextArgs;
use super::report::{Report, Run, table};
use crate::cli::device::{self, Task};
use crate::cli::options::{ComputeArgs, Kv, ModelArgs, parse_bits, read_text};
use crate::cli::{cache, progress};

/// Measure how far a model, or one format of it, predicts a text differently from another.
#[derive(Debug, Args)]
pub struct Kl {
    /// The model that the other is held against: a Hugging Face directory, a GGUF file, or a
    /// directory that `phi convert` wrote.
    a: PathBuf,
    /// The other model, or the same one, for other bits of it.
    b: PathBuf,
    #[command(flatten)]
    compute: ComputeArgs,
    /// Bits of B's weights that come unquantised [default: as --bits, which then is for both].
    #[arg(long, value_name = "BITS", value_parser = parse_bits)]
    bits_b: Option<Bits>,
    /// How B caches keys and values [default: as --kv, which then is for both].
    #[arg(long, value_enum, value_name = "KIND")]
    kv_b: Option<Kv>,
    #[command(flatten)]
    text: TextArgs,
}

#[derive(Serialize)]
struct Figures {
    /// The other model, its bits, and what computed it.
    other: Run<Empty>,
    tokens: usize,
    window: usize,
    mean_kl: f64,
    p99_kl: f64,
    max_kl: f64,
    /// The share of tokens for which both choose the same.
    top1_agreement: f64,
    perplexity: f64,
    other_perplexity: f64,
}

#[derive(Serialize)]
struct Empty {}

impl Kl {
    /// Measures and prints.
    pub async fn run(self) -> Result<()> {
        let text = read_text(&self.text.file)?;
        let compute = ComputeArgs {
            bits: self.bits_b.unwrap_or(self.compute.bits),
            kv: self.kv_b.or(self.compute.kv),
            ..self.compute.clone()
        };
        let [a, b] = [(&self.a, self.compute.clone()), (&self.b, compute)]
            .map(|(model, compute)| ModelArgs { model: model.clone(), compute });
        self.text.check_window(&a).await?;
        self.text.check_window(&b).await?;
        b.source()?; // Nobody waits for the first model to be told that the second is not there.
        let opening = Opening { a: &a, b: &b, asked: &self.text, text: &text };
        let report = Report::new("kl", vec![device::run(&a, opening).await?]);
        report.tell(&self.text.report, |runs| {
            let rows = runs.iter().flat_map(|run| {
                let Figures { mean_kl, p99_kl, max_kl, .. } = run.figures;
                let of = &run.figures;
                [
                    ("mean KL divergence", format!("{mean_kl:.6}")),
                    ("99th percentile", format!("{p99_kl:.6}")),
                    ("largest", format!("{max_kl:.6}")),
                    ("same most probable token", format!("{:.2} %", of.top1_agreement * 100.0)),
                    ("perplexity of A", format!("{:.3}", of.perplexity)),
                    ("perplexity of B", format!("{:.3}", of.other_perplexity)),
                    ("tokens", of.tokens.to_string()),
                ]
            });
            table(rows.map(|(what, figure)| vec![what.to_owned(), figure]))
        })
    }
}

/// Opens the first model, for the other.
struct Opening<'a> {
    a: &'a ModelArgs,
    b: &'a ModelArgs,
    asked: &'a TextArgs,
    text: &'a str,
}

impl Task for Opening<'_> {
    type Output = Run<Figures>;

    async fn on<A: Backend>(self, backend: A) -> Result<Run<Figures>> {
        let Opening { a, b, asked, text } = self;
        let session = progress::open(a, backend, asked.window).await?;
        cache::keep_tuned(session.engine());
        let (ids, window) = asked.cut(&session, text)?;
        device::run(b, Comparing { opening: self, session, ids, window }).await
    }
}

/// Opens the second, and compares.
struct Comparing<'a, A: Backend> {
    opening: Opening<'a>,
    session: Session<A>,
    ids: Vec<u32>,
    window: usize,
}

impl<A: Backend> Task for Comparing<'_, A> {
    type Output = Run<Figures>;

    async fn on<B: Backend>(self, backend: B) -> Result<Run<Figures>> {
        let Comparing { opening: Opening { a, b, asked, text }, session: mut one, ids, window } =
            self;
        let mut other = progress::open(b, backend, asked.window.or(Some(window))).await?;
        cache::keep_tuned(other.engine());
        let vocab_sizes = [one.engine().config(), other.engine().config()].map(|c| c.vocab_size);
        if vocab_sizes[0] != vocab_sizes[1] || other.tokenizer().encode(text, true)? != ids {
            let what = "the models have different vocabularies, and only predictions of the same \
                        tokens can be compared";
            return Err(Error::new(Code::BadOption, what).advise("name two forms of one model"));
        }
        let [backend, others] =
            [one.engine().describe_backend(), other.engine().describe_backend()];
        let bar = progress::tokens("comparing", ids.len());
        let found: Divergence = eval::divergence(
            one.engine_and_sequence(),
            other.engine_and_sequence(),
            (&ids, window),
            &mut |read| bar.inc(read as u64),
        )
        .await?;
        bar.finish_and_clear();
        let figures = Figures {
            other: Run::new(b, others, Empty {}),
            tokens: found.each.len(),
            window,
            mean_kl: found.mean(),
            p99_kl: found.percentile(99.0),
            max_kl: found.percentile(100.0),
            top1_agreement: found.top_agreement(),
            perplexity: found.perplexity[0].value(),
            other_perplexity: found.perplexity[1].value(),
        };
        Ok(Run::new(a, backend, figures))
    }
}
