//! Which stored tensors make up a canonical one.

use super::config::Config;
use super::spec::{self, LAYERS, Naming, Part};

/// One stored tensor of a canonical one: its rows follow those of the tensor before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The stored name.
    pub name: String,
    /// The rows it must have; `None` for all of the canonical tensor's.
    pub rows: Option<usize>,
    /// Whether the rows of each head lie interleaved, first and second halves by turns.
    pub interleaved: bool,
}

/// The pieces of a canonical tensor, in order. They need not be there.
pub(super) fn pieces(
    naming: Naming,
    config: &Config,
    name: &str,
    there: impl Fn(&str) -> bool,
) -> Vec<Piece> {
    let Some((row, layer)) = spec::find(name) else {
        return vec![Piece { name: name.to_owned(), rows: None, interleaved: false }];
    };
    let traits = config.architecture.traits();
    let whole = row.names.stored(naming, layer, row.ending);
    let is_whole = match row.parts {
        [] => true,
        [first, ..] => {
            let fused = traits.fused && !there(&first.names.stored(naming, layer, row.ending));
            // Our converted form, which has Hugging Face's names, holds everything fused.
            fused || naming == Naming::HuggingFace && there(&whole)
        }
    };
    if is_whole {
        return vec![Piece { name: whole, rows: None, interleaved: false }];
    }
    let piece = |part: &Part| Piece {
        name: part.names.stored(naming, layer, row.ending),
        rows: Some((part.rows)(config) as usize),
        interleaved: naming == Naming::Gguf && traits.interleaved && part.rotates,
    };
    row.parts.iter().map(piece).collect()
}

/// What a GGUF may call a canonical tensor, or any that is fused into it.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn in_gguf(config: &Config, name: &str) -> Vec<String> {
    let stored = |there: bool| pieces(Naming::Gguf, config, name, move |_| there);
    stored(true).into_iter().chain(stored(false)).map(|piece| piece.name).collect()
}

/// Whether a tensor of this stored name can only be there to change what a model computes: one of a
/// layer or of the head. What else there is in a Hugging Face checkpoint (of a vision tower, say)
/// transformers passes over; llama.cpp takes all that is in a GGUF.
pub(super) fn is_computed_with(naming: Naming, name: &str) -> bool {
    match naming {
        // Old checkpoints keep the rotary frequencies, which the configuration gives too.
        Naming::HuggingFace => {
            !name.contains("rotary_emb.")
                && [LAYERS, "model.norm.", "lm_head."].iter().any(|of| name.starts_with(of))
        }
        Naming::Gguf => !ROPE_TENSORS.contains(&name) && !name.contains(".attn_rot_embd"),
    }
}

/// Tensors of a GGUF file that are part of its configuration.
const ROPE_TENSORS: [&str; 3] =
    ["rope_factors_short.weight", "rope_factors_long.weight", "rope_freqs.weight"];
