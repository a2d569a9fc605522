//! `phi run`: one prompt, one answer.

use clap::{Args, ValueEnum};
use phi_wasm::session::{
    Event, GenerateOptions, Host, MOST_PROBABLE, ResilientAnswer, Stats, Verdict,
};
use phi_wasm::{Code, Error, Result};

use super::device;
use super::form::FormArgs;
use super::options::{ModelArgs, SamplingArgs, conversation, read_stdin};
use super::prefixes::PrefixArgs;
use super::{output, progress};

/// Answer one prompt.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    prefixes: PrefixArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// What the model is told before the prompt.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    system: Option<String>,
    #[command(flatten)]
    form: FormArgs,
    /// Continue the prompt as it stands, without the chat template.
    #[arg(long, conflicts_with = "system")]
    raw: bool,
    /// Print each token of the answer to standard error, a line of JSON, with its log-probability
    /// and those of so many of the most probable tokens in its place, 0 to 20.
    #[arg(long, value_name = "K")]
    #[arg(value_parser = clap::value_parser!(u32).range(..=i64::from(MOST_PROBABLE)))]
    logprobs: Option<u32>,
    /// Print the figures to standard error in this form.
    #[arg(long, value_enum)]
    stats: Option<StatsForm>,
    /// The prompt, or - for standard input.
    prompt: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StatsForm {
    Json,
}

/// The prompt that a pipe gives, whose last line's end is the pipe's.
pub fn piped() -> Result<String> {
    let mut text = read_stdin()?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

impl Run {
    /// Answers, and prints the answer as it comes.
    pub async fn run(self) -> Result<()> {
        let prompt = match (self.prompt.as_str(), self.raw) {
            // A text is gone on with as it stands.
            ("-", true) => read_stdin()?,
            ("-", false) => piped()?,
            _ => self.prompt,
        };
        let options = GenerateOptions {
            log_probs: self.logprobs,
            format: self.form.format()?,
            ..self.sampling.options()?
        };
        self.sampling.tell_idle();
        let mut model = device::open(&self.model, options.format.is_some(), self.prefixes).await?;
        let answer = if self.raw {
            model.complete(&prompt, &options).await?
        } else {
            model.chat(&conversation(self.system, prompt), &options).await?
        };
        let (_, stats) = print_answer(answer, &|| false).await?;
        match self.stats {
            Some(StatsForm::Json) => {
                output::note(json(&stats, model.describe().and_then(|loaded| loaded.measured)))
            }
            None => output::note(sentence(&stats)),
        }
        Ok(())
    }
}

/// Streams an answer to standard output, until it is stopped, and returns its text and figures.
pub async fn print_answer<H: Host>(
    mut answer: ResilientAnswer<'_, H>,
    is_stopped: &dyn Fn() -> bool,
) -> Result<(String, Stats)> {
    let mut whole = String::new();
    let bar = progress::Prefill::new();
    while let Some(event) = answer.next().await? {
        if is_stopped() {
            bar.hide();
            output::line("")?;
            return Ok((whole, answer.cancel()));
        }
        match event {
            Event::Prefill { done, total } => bar.show(done, total),
            Event::Notice { message } => {
                bar.hide();
                output::note(format_args!("phi: {message}"));
            }
            Event::Text { text, logprobs } => {
                bar.hide();
                output::piece(&text)?;
                whole.push_str(&text);
                for token in logprobs.into_iter().flatten() {
                    output::note(serde_json::json!(token));
                }
            }
            // The command offers no tools, and says what it is told.
            Event::Call(_) | Event::Parsed { .. } => {}
            Event::Done(stats) => {
                output::line("")?;
                return Ok((whole, stats));
            }
        }
    }
    Err(Error::new(Code::Cancelled, "the answer ended before it was complete"))
}

/// Figures for people.
pub fn sentence(stats: &Stats) -> String {
    let reused = if stats.cached_tokens > 0 {
        format!(" ({} from the cache)", stats.cached_tokens)
    } else {
        String::new()
    };
    format!(
        "{} prompt tokens{reused} at {:.1} tok/s, {} generated at {:.1} tok/s on {}",
        stats.prompt_tokens,
        stats.prefill_tps,
        stats.generated_tokens,
        stats.decode_tps,
        stats.backend
    )
}

/// Figures for programs.
fn json(stats: &Stats, measured: Option<Verdict>) -> serde_json::Value {
    let mut figures = serde_json::json!({
        "backend": stats.backend,
        "finish": stats.finish,
        "prompt_tokens": stats.prompt_tokens,
        "cached_tokens": stats.cached_tokens,
        "generated_tokens": stats.generated_tokens,
        "prefill_seconds": stats.prefill_seconds,
        "decode_seconds": stats.decode_seconds,
        "prefill_tps": stats.prefill_tps,
        "decode_tps": stats.decode_tps,
    });
    if let Some(Verdict { gpu, cpu }) = measured {
        figures["measured"] = serde_json::json!({ "gpu": gpu, "cpu": cpu });
    }
    if let Some(work) = stats.work {
        figures["dispatches_per_token"] = work.dispatches_per_token.into();
        figures["submits_per_token"] = work.submits_per_token.into();
        figures["passes_per_token"] = work.passes_per_token.into();
        figures["upload_bytes_per_token"] = work.upload_bytes_per_token.into();
        figures["readback_bytes_per_token"] = work.readback_bytes_per_token.into();
        figures["created_after_warmup"] = work.created_after_warmup.into();
    }
    figures
}
