//! Which stored tensors make up a canonical one.

use super::config::{Architecture, Config, EMBED_TOKENS, LM_HEAD, NORM};

/// How a checkpoint names its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// Hugging Face's, which are the canonical ones but for projections that are not fused.
    HuggingFace,
    /// GGUF's.
    Gguf,
}

/// One stored tensor of a canonical one: its rows follow those of the tensor before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The stored name.
    pub name: String,
    /// The rows it must have; `None` for all of the canonical tensor's.
    pub rows: Option<usize>,
    /// Whether the rows of each head lie interleaved, first and second halves by turns, as GGUF holds Llama's q and k.
    pub interleaved: bool,
}

impl Piece {
    fn whole(name: impl Into<String>) -> Piece {
        Piece { name: name.into(), rows: None, interleaved: false }
    }

    fn part(name: String, rows: u32) -> Piece {
        Piece { name, rows: Some(rows as usize), interleaved: false }
    }
}

/// Whether a tensor of this stored name can only be there to change what a model computes: one of a layer or of the head. What else
/// there is in a Hugging Face checkpoint (of a vision tower, say) transformers passes over; llama.cpp takes all that is in a GGUF.
pub(super) fn is_computed_with(naming: Naming, name: &str) -> bool {
    match naming {
        // Old checkpoints keep the rotary frequencies, which the configuration gives too.
        Naming::HuggingFace => {
            !name.contains("rotary_emb.") && ["model.layers.", "model.norm.", "lm_head."].iter().any(|of| name.starts_with(of))
        }
        Naming::Gguf => !ROPE_TENSORS.contains(&name) && !name.contains(".attn_rot_embd"),
    }
}

/// Tensors of a GGUF file that are part of its configuration.
const ROPE_TENSORS: [&str; 3] = ["rope_factors_short.weight", "rope_factors_long.weight", "rope_freqs.weight"];

/// The pieces of a canonical tensor, in order. They need not be there.
pub(super) fn pieces(naming: Naming, config: &Config, name: &str, there: impl Fn(&str) -> bool) -> Vec<Piece> {
    match naming {
        Naming::HuggingFace => huggingface(config, name, there),
        Naming::Gguf => gguf(config, name, there),
    }
}

fn huggingface(config: &Config, name: &str, there: impl Fn(&str) -> bool) -> Vec<Piece> {
    let widths = config.qkv_widths();
    let split: Vec<(&str, u32)> = if name.ends_with(".qkv_proj.weight") || name.ends_with(".qkv_proj.bias") {
        ["q_proj", "k_proj", "v_proj"].into_iter().zip(widths).collect()
    } else if name.ends_with(".gate_up_proj.weight") {
        ["gate_proj", "up_proj"].into_iter().zip([config.intermediate_size; 2]).collect()
    } else {
        Vec::new()
    };
    if split.is_empty() || there(name) {
        return vec![Piece::whole(name)];
    }
    let fused = if split.len() == 3 { "qkv_proj" } else { "gate_up_proj" };
    split.into_iter().map(|(part, rows)| Piece::part(name.replace(fused, part), rows)).collect()
}

fn gguf(config: &Config, name: &str, there: impl Fn(&str) -> bool) -> Vec<Piece> {
    let whole = match name {
        EMBED_TOKENS => Some("token_embd.weight"),
        LM_HEAD => Some("output.weight"),
        NORM => Some("output_norm.weight"),
        _ => None,
    };
    let in_layer = name.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.'));
    let in_layer = in_layer.and_then(|(layer, rest)| Some((layer, rest.rsplit_once('.')?)));
    let (None, Some((layer, (tensor, what)))) = (whole, in_layer) else {
        return vec![Piece::whole(whole.unwrap_or(name))];
    };
    // Weights and biases alike: `what` says which.
    let stored = |tensor: &str| format!("blk.{layer}.{tensor}.{what}");
    match tensor {
        "self_attn.qkv_proj" if config.architecture == Architecture::Phi3 && there(&stored("attn_qkv")) => {
            vec![Piece::whole(stored("attn_qkv"))]
        }
        "self_attn.qkv_proj" => {
            let interleaved = config.architecture == Architecture::Llama;
            let parts = ["attn_q", "attn_k", "attn_v"].into_iter().zip(config.qkv_widths());
            let piece = |(part, rows)| Piece { interleaved: interleaved && part != "attn_v", ..Piece::part(stored(part), rows) };
            parts.map(piece).collect()
        }
        "mlp.gate_up_proj" if config.architecture == Architecture::Phi3 && !there(&stored("ffn_gate")) => {
            vec![Piece::whole(stored("ffn_up"))]
        }
        "mlp.gate_up_proj" => ["ffn_gate", "ffn_up"].map(|part| Piece::part(stored(part), config.intermediate_size)).to_vec(),
        "self_attn.o_proj" => vec![Piece::whole(stored("attn_output"))],
        "mlp.down_proj" => vec![Piece::whole(stored("ffn_down"))],
        "input_layernorm" => vec![Piece::whole(stored("attn_norm"))],
        "post_attention_layernorm" => vec![Piece::whole(stored("ffn_norm"))],
        _ => vec![Piece::whole(name)],
    }
}
