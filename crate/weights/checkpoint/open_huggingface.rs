//! Opening Hugging Face directories, and those of our own converted form, which is one.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{CONFIG, Checkpoint, Store, attention_bias, texts};
use crate::error::{Code, Result, fail};
use crate::json;
use crate::weights::config::{Biases, Config};
use crate::weights::safetensors::{self, Shards};
use crate::weights::source::{Source, place};
use crate::weights::spec::{EMBED_TOKENS, LM_HEAD, Naming};
use crate::weights::tensor::Tensor;

impl<S: Source> Checkpoint<S> {
    pub(super) async fn open_huggingface(
        store: Store<S>,
        config: &[u8],
        shards: Shards,
    ) -> Result<Checkpoint<S>> {
        let at = place(CONFIG, &store.name());
        let mut config =
            Config::parse(&json::parse(&at, config)?).map_err(|error| error.at(&at))?;
        let mut tensors = BTreeMap::new();
        for file in &shards.files {
            insert_by_index(
                &mut tensors,
                safetensors::read_header(&store, file).await?,
                &shards,
                |file| place(file, &store.name()),
            )?;
        }
        // As transformers does: fine-tunes that trained the head leave it beside a configuration
        // that says it were tied.
        if config.tie_word_embeddings && has_own_head(&store, &tensors).await? {
            config.tie_word_embeddings = false;
        }
        // As in transformers, to which what is missing is zero: attention_bias speaks of both, and
        // many have no bias of the output.
        if config.architecture.traits().biases == Biases::Configured {
            let there = attention_bias(
                &tensors,
                [".q_proj.bias", ".k_proj.bias", ".v_proj.bias", ".qkv_proj.bias"],
                ".o_proj.bias",
            );
            config.attention_bias.qkv &= there.qkv;
            config.attention_bias.o &= there.o;
        }
        let (files, own) = texts::read(&store).await?;
        let stop_tokens = if own.is_empty() { config.eos_token_ids.clone() } else { own };
        Ok(Checkpoint { config, stop_tokens, files, store, naming: Naming::HuggingFace, tensors })
    }
}

/// Adds tensors to those of other files. The index says which copy of one counts: edited models
/// leave those that others supersede.
fn insert_by_index(
    into: &mut BTreeMap<String, Tensor>,
    tensors: Vec<Tensor>,
    shards: &Shards,
    at: impl Fn(&str) -> String,
) -> Result<()> {
    for tensor in tensors {
        let named = shards.of.get(&tensor.name);
        match into.entry(tensor.name.clone()) {
            Entry::Vacant(place) => drop(place.insert(tensor)),
            Entry::Occupied(mut other) if named.is_some_and(|file| **file == *tensor.file) => {
                drop(other.insert(tensor))
            }
            Entry::Occupied(other) if named.is_some_and(|file| **file == *other.get().file) => {}
            Entry::Occupied(other) => fail!(
                Code::Malformed,
                "{} is there twice, once in {}",
                tensor.name,
                at(&other.get().file)
            ),
        }
    }
    Ok(())
}

/// Whether there is a head that differs from the embedding. Reads both up to the first difference.
async fn has_own_head(source: &impl Source, tensors: &BTreeMap<String, Tensor>) -> Result<bool> {
    const AT_ONCE: u64 = 4 << 20;
    let (Some(head), Some(embedding)) = (tensors.get(LM_HEAD), tensors.get(EMBED_TOKENS)) else {
        return Ok(false);
    };
    if (&head.stored, &head.shape) != (&embedding.stored, &embedding.shape) {
        return Ok(true);
    }
    for at in (0..head.bytes).step_by(AT_ONCE as usize) {
        let length = AT_ONCE.min(head.bytes - at) as usize;
        let (mut one, mut other) = (vec![0; length], vec![0; length]);
        source.read(&head.file, head.offset + at, &mut one).await?;
        source.read(&embedding.file, embedding.offset + at, &mut other).await?;
        if one != other {
            return Ok(true);
        }
    }
    Ok(false)
}
