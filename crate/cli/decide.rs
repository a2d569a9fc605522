//! `phi decide`: how probable each of some answers to a prompt is.

use clap::Args;
use phi_wasm::Result;
use phi_wasm::session::check_choices;

use super::generate::piped;
use super::options::{ModelArgs, conversation};
use super::prefixes::PrefixArgs;
use super::{device, output};

/// Say how probable each of some answers is, and nothing else than it.
#[derive(Debug, Args)]
pub struct Decide {
    #[command(flatten)]
    model: ModelArgs,
    /// An answer to decide between; given several times.
    #[arg(long = "choice", value_name = "TEXT", required = true, allow_hyphen_values = true)]
    choices: Vec<String>,
    /// What the model is told before the prompt.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    system: Option<String>,
    /// Print a JSON list of {"choice", "logprob", "probability"} instead.
    #[arg(long)]
    json: bool,
    /// The prompt, or - for standard input.
    prompt: String,
}

impl Decide {
    /// Scores the choices and prints what they come to.
    pub async fn run(self) -> Result<()> {
        check_choices(&self.choices)?;
        let prompt = if self.prompt == "-" { piped()? } else { self.prompt };
        let messages = conversation(self.system, prompt);
        let mut model = device::open(&self.model, false, PrefixArgs::default()).await?;
        let decisions = model.decide(&messages, &self.choices).await?;
        if self.json {
            return output::line(serde_json::json!(decisions));
        }
        decisions.iter().try_for_each(|decision| {
            output::line(format_args!("{:.4}  {:?}", decision.probability, decision.choice))
        })
    }
}
