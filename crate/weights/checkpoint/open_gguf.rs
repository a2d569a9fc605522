//! Opening GGUF files: the headers of all parts, and the small tensors that are configuration.

use std::collections::BTreeMap;

use super::{Checkpoint, MOST_SHARDS, Store, TextFiles, attention_bias};
use crate::error::{Code, Result, fail};
use crate::layout::blocks;
use crate::weights::config::{Config, FromTensors};
use crate::weights::gguf;
use crate::weights::source::{Source, place};
use crate::weights::spec::Naming;
use crate::weights::tensor::Tensor;

impl<S: Source> Checkpoint<S> {
    pub(super) async fn open_gguf(store: Store<S>, file: &str) -> Result<Checkpoint<S>> {
        let mut header = gguf::read_header(&store, file).await?;
        let mut tensors = BTreeMap::new();
        let at = |file: &str| place(file, &store.name());
        let count = header.metadata.unsigned("split.count").unwrap_or(1);
        if count > 1 {
            let Some(parts) = gguf::split_names(file, count.min(MOST_SHARDS)) else {
                let file = at(file);
                fail!(
                    Code::Malformed,
                    "{file}: one of {count} parts, but not named as one, such as \
                        x-00001-of-{count:05}.gguf"
                );
            };
            for (number, part) in parts.iter().enumerate().filter(|(_, part)| *part != file) {
                let other = gguf::read_header(&store, part).await?;
                if other.metadata.unsigned("split.no") != Some(number as u64) {
                    fail!(
                        Code::Malformed,
                        "{}: its split.no does not say that it is part {number}, counted from 0",
                        at(part)
                    );
                }
                insert_all(&mut tensors, other.tensors, at)?;
                // Only the first part has the whole metadata.
                if number == 0 {
                    header.metadata = other.metadata;
                }
            }
        }
        insert_all(&mut tensors, header.tensors, at)?;
        let metadata = header.metadata;
        if let Some(promised) = metadata
            .unsigned("split.tensors.count")
            .filter(|&promised| promised != tensors.len() as u64)
        {
            fail!(
                Code::Malformed,
                "{}: the parts hold {} tensors, where {promised} are promised",
                at(file),
                tensors.len()
            );
        }
        let config = Config::from_gguf(&metadata, from_tensors(&store, &tensors).await?);
        let config = config.map_err(|error| error.at(at(file)))?;
        let stop_tokens = config.eos_token_ids.clone();
        Ok(Checkpoint {
            config,
            stop_tokens,
            files: TextFiles::Gguf(metadata),
            store,
            naming: Naming::Gguf,
            tensors,
        })
    }
}

fn insert_all(
    into: &mut BTreeMap<String, Tensor>,
    tensors: Vec<Tensor>,
    at: impl Fn(&str) -> String,
) -> Result<()> {
    for tensor in tensors {
        if let Some(other) = into.insert(tensor.name.clone(), tensor) {
            fail!(Code::Malformed, "{} is there twice, once in {}", other.name, at(&other.file));
        }
    }
    Ok(())
}

/// Reads the small tensors that are really part of the configuration.
async fn from_tensors(
    source: &impl Source,
    tensors: &BTreeMap<String, Tensor>,
) -> Result<FromTensors> {
    /// No head is wider than this, in pairs.
    const MOST_FACTORS: u64 = 1 << 12;
    let read = async |name: &str| {
        let Some(tensor) = tensors.get(name) else { return Ok(None) };
        if tensor.shape.len() != 1 || tensor.shape[0] > MOST_FACTORS {
            fail!(
                Code::WrongShape,
                "{name} has the shape {:?}; it must be one short row",
                tensor.shape
            );
        }
        let mut bytes = vec![0; tensor.bytes as usize];
        source.read(&tensor.file, tensor.offset, &mut bytes).await?;
        blocks::values(&tensor.stored, &bytes).map(Some)
    };
    let longrope =
        match (read("rope_factors_short.weight").await?, read("rope_factors_long.weight").await?) {
            (Some(short), Some(long)) => Some([short, long]),
            (None, None) => None,
            _ => fail!(
                Code::MissingTensor,
                "rope_factors_short.weight and rope_factors_long.weight: only one of them is there"
            ),
        };
    Ok(FromTensors {
        vocab_size: tensors
            .get("token_embd.weight")
            .and_then(|tensor| tensor.shape.first().copied()),
        tied: !tensors.contains_key("output.weight"),
        attention_bias: attention_bias(
            tensors,
            [".attn_q.bias", ".attn_k.bias", ".attn_v.bias", ".attn_qkv.bias"],
            ".attn_output.bias",
        ),
        longrope,
        factors: read("rope_freqs.weight").await?,
    })
}
