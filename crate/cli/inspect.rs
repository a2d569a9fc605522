//! `phi inspect`: what a model's files hold.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use indicatif::HumanBytes;
use phi_wasm::Result;
use phi_wasm::weights::{Checkpoint, Config, DirSource, RopeScaling};

use super::output;

/// Say what a model's files hold: architecture, tensors, kinds and sizes.
#[derive(Debug, Args)]
pub struct Inspect {
    /// A Hugging Face directory, a GGUF file, or a directory that `phi convert` wrote.
    path: PathBuf,
}

impl Inspect {
    /// Reads the headers and prints what they say.
    pub async fn run(self) -> Result<()> {
        let checkpoint = Checkpoint::open(DirSource::open(&self.path)?).await?;
        output::line(describe(&checkpoint.config))?;
        output::line(format_args!(
            "{:.1} M weights, {}; stop tokens {:?}\n",
            checkpoint.parameters() as f64 / 1e6,
            HumanBytes(checkpoint.weight_bytes()),
            checkpoint.stop_tokens
        ))?;
        let mut kinds: BTreeMap<String, (usize, u64)> = BTreeMap::new();
        output::line(format_args!(
            "{:<52} {:<18} {:<6} {:>12}  file",
            "tensor", "shape", "kind", "size"
        ))?;
        for tensor in checkpoint.tensors() {
            let shape = format!("{:?}", tensor.shape);
            let size = HumanBytes(tensor.bytes).to_string();
            output::line(format_args!(
                "{:<52} {shape:<18} {:<6} {size:>12}  {}",
                output::printable(&tensor.name),
                tensor.stored.name(),
                output::printable(&tensor.file)
            ))?;
            let (count, bytes) = kinds.entry(tensor.stored.name().to_owned()).or_default();
            *count += 1;
            *bytes += tensor.bytes;
        }
        output::line("")?;
        for (kind, (count, bytes)) in kinds {
            output::line(format_args!(
                "{kind:<6} {count:>5} tensors {:>12}",
                HumanBytes(bytes).to_string()
            ))?;
        }
        Ok(())
    }
}

fn describe(config: &Config) -> String {
    let rope = match &config.rope {
        RopeScaling::Plain => "RoPE".to_owned(),
        RopeScaling::LongRope { attention_factor, .. } => {
            format!(
                "LongRoPE from {} on, attention factor {attention_factor:.4}",
                config.original_max_position_embeddings
            )
        }
        RopeScaling::Llama3 { factor, .. } => format!("Llama 3's RoPE, factor {factor}"),
        RopeScaling::Linear { factor } => format!("linear RoPE, factor {factor}"),
    };
    let window =
        config.sliding_window.map(|window| format!(", window {window}")).unwrap_or_default();
    format!(
        "{}: {} layers, hidden {}, intermediate {}, {} heads of {} over {} KV heads, vocabulary \
            {}{}\n{rope} over {} of {} dimensions; context {}{window}",
        config.architecture.class(),
        config.num_hidden_layers,
        config.hidden_size,
        config.intermediate_size,
        config.num_attention_heads,
        config.head_dim,
        config.num_key_value_heads,
        config.vocab_size,
        if config.tie_word_embeddings { ", tied" } else { "" },
        config.rotary_dim,
        config.head_dim,
        config.max_position_embeddings,
    )
}
