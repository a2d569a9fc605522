//! `phi logits`: what the engine computes for given token ids; needs no tokenizer.

use std::path::PathBuf;

use clap::Args;
use phi_wasm::backend::Backend;
use phi_wasm::engine::{Engine, EngineOptions};
use phi_wasm::weights::checkpoint::Checkpoint;
use phi_wasm::{Code, Error, Result};
use safetensors::tensor::{Dtype, TensorView};

use super::cache;
use super::device::{self, Task};
use super::options::ModelArgs;
use super::progress;

/// Write the logits of given token ids to a safetensors file: tensor `logits`, [tokens, vocab],
/// f32.
#[derive(Debug, Args)]
pub struct Logits {
    #[command(flatten)]
    model: ModelArgs,
    /// Token ids, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    #[arg(allow_hyphen_values = true, value_parser = parse_id)]
    ids: Vec<u32>,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

fn parse_id(text: &str) -> std::result::Result<u32, String> {
    text.parse().map_err(|_| "each must be a whole number from 0 to 2^32 - 1".to_owned())
}

impl Logits {
    /// Computes and writes them.
    pub async fn run(self) -> Result<()> {
        device::run(&self.model.clone(), self).await
    }
}

impl Task for Logits {
    type Output = ();

    async fn on<B: Backend>(self, backend: B) -> Result<()> {
        let checkpoint = Checkpoint::open(self.model.source()?).await?;
        let load = self.model.load_options(Some(self.ids.len()));
        let options = EngineOptions { format: load.format, ctx_len: load.ctx_len, kv: load.kv };
        let bar = progress::bytes("loading");
        bar.set_length(checkpoint.weight_bytes());
        let mut engine =
            Engine::load(&checkpoint, backend, &options, &mut |bytes| bar.inc(bytes)).await?;
        bar.finish_and_clear();
        cache::keep_tuned(&engine);

        let bar = progress::tokens("computing", self.ids.len());
        let mut all: Vec<f32> = Vec::new(); // [tokens, vocab]
        let mut sequence = engine.sequence(None)?;
        engine.plan(&mut sequence, &self.ids)?;
        while sequence.pending() > 0 {
            engine.advance(&mut sequence).await?;
            engine.chunk_logits(&sequence, &mut |_, row| all.extend_from_slice(row)).await?;
            bar.set_position((self.ids.len() - sequence.pending()) as u64);
        }
        bar.finish_and_clear();
        let shape = vec![self.ids.len(), engine.config().vocab_size as usize];
        let bytes = TensorView::new(Dtype::F32, shape, bytemuck::cast_slice(&all))
            .and_then(|view| safetensors::serialize([("logits", view)], None))
            .map_err(|error| {
                Error::new(
                    Code::Io,
                    format!("the logits cannot be written as safetensors: {error}"),
                )
            })?;
        std::fs::write(&self.out, bytes).map_err(|error| Error::writing(&self.out, &error))
    }
}
