//! [`Config`] from a GGUF file's metadata.

use super::{Architecture, AttentionBias, Config, RopeScaling, Window, longrope_attention_factor};
use crate::error::{Code, Result, fail};
use crate::weights::gguf::Metadata;

/// What the metadata leave to the tensors.
#[derive(Clone, Debug, Default)]
pub(in crate::weights) struct FromTensors {
    /// Rows of the embedding.
    pub vocab_size: Option<u64>,
    /// Whether there is no head of its own.
    pub tied: bool,
    /// Which biases there are.
    pub attention_bias: AttentionBias,
    /// `rope_factors_short.weight` and `rope_factors_long.weight`.
    pub longrope: Option<[Vec<f32>; 2]>,
    /// `rope_freqs.weight`: Llama 3.1's frequencies as factors, the same at every length.
    pub factors: Option<Vec<f32>>,
}

/// Tokens that end a turn in the models that we run, whatever the metadata call the end: files that
/// name one of two are common.
const END_TOKENS: [&str; 5] =
    ["<|end|>", "<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>"];

impl Config {
    /// Reads the metadata of an architecture that we know.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub(in crate::weights) fn from_gguf(
        metadata: &Metadata,
        tensors: FromTensors,
    ) -> Result<Config> {
        let name = metadata.text("general.architecture").unwrap_or("missing");
        let Some(architecture) = Architecture::ALL.into_iter().find(|one| one.model_type() == name)
        else {
            let known = Architecture::listed(Architecture::model_type);
            fail!(Code::UnsupportedArchitecture, "general.architecture is {name}; we run {known}");
        };
        let keys = Keys { metadata, name };
        if keys.u32("expert_count")?.unwrap_or(0) > 0 {
            fail!(
                Code::UnsupportedArchitecture,
                "{name}.expert_count is not 0; we run models without experts"
            );
        }
        let hidden_size = keys.need("embedding_length")?;
        let num_attention_heads = keys.need("attention.head_count")?;
        let head_dim = match keys.u32("attention.key_length")? {
            Some(head_dim) => head_dim,
            None if num_attention_heads == 0 || hidden_size % num_attention_heads != 0 => {
                fail!(
                    Code::BadConfig,
                    "{name}.embedding_length is {hidden_size}; {num_attention_heads} heads do not \
                        divide it"
                );
            }
            None => hidden_size / num_attention_heads,
        };
        if keys.u32("attention.value_length")?.is_some_and(|value| value != head_dim) {
            fail!(
                Code::UnsupportedArchitecture,
                "{name}.attention.value_length differs from the keys' length, {head_dim}"
            );
        }
        let max = keys.need("context_length")?;
        let original = keys.u32("rope.scaling.original_context_length")?.unwrap_or(max);
        Config {
            architecture,
            hidden_size,
            intermediate_size: keys.need("feed_forward_length")?,
            num_hidden_layers: keys.need("block_count")?,
            num_attention_heads,
            num_key_value_heads: keys
                .u32("attention.head_count_kv")?
                .unwrap_or(num_attention_heads),
            head_dim,
            vocab_size: keys.vocab_size(tensors.vocab_size)?,
            rms_norm_eps: keys.f32("attention.layer_norm_rms_epsilon")?.unwrap_or(1e-5),
            rope_theta: keys.f32("rope.freq_base")?.unwrap_or(10_000.0),
            rotary_dim: keys.u32("rope.dimension_count")?.unwrap_or(head_dim),
            rope: keys.rope(&tensors, max, original)?,
            max_position_embeddings: max,
            original_max_position_embeddings: original,
            // Converters write 0 for none.
            sliding_window: match architecture.traits().window {
                Window::Switched => None,
                _ => keys.u32("attention.sliding_window")?.filter(|&window| window != 0),
            },
            max_window_layers: 0,
            tie_word_embeddings: tensors.tied,
            // Those that an architecture does not have are tensors too many.
            attention_bias: architecture.traits().biases.of(tensors.attention_bias),
            bos_token_id: keys.token("bos"),
            eos_token_ids: keys.stop_tokens(),
        }
        .checked()
    }
}

struct Keys<'a> {
    metadata: &'a Metadata,
    name: &'a str,
}

impl Keys<'_> {
    /// A number, or a list of one number for each layer when they are all the same.
    fn u32(&self, key: &str) -> Result<Option<u32>> {
        let key = format!("{}.{key}", self.name);
        if !self.metadata.0.contains_key(&key) {
            return Ok(None);
        }
        let value = match self.metadata.integers(&key) {
            Some(list) if list.windows(2).any(|pair| pair[0] != pair[1]) => {
                fail!(
                    Code::UnsupportedArchitecture,
                    "{key} differs from layer to layer; we run models whose layers are alike"
                );
            }
            Some(list) => list.first().and_then(|&value| u64::try_from(value).ok()),
            None => self.metadata.unsigned(&key),
        };
        let Some(value) = value.and_then(|value| u32::try_from(value).ok()) else {
            fail!(Code::BadConfig, "{key} must be a whole number below 2^32");
        };
        Ok(Some(value))
    }

    fn need(&self, key: &str) -> Result<u32> {
        let Some(value) = self.u32(key)? else {
            fail!(Code::BadConfig, "{}.{key} is missing", self.name);
        };
        Ok(value)
    }

    fn f32(&self, key: &str) -> Result<Option<f32>> {
        let key = format!("{}.{key}", self.name);
        if !self.metadata.0.contains_key(&key) {
            return Ok(None);
        }
        let Some(value) = self.metadata.float(&key) else {
            fail!(Code::BadConfig, "{key} must be a number");
        };
        Ok(Some(value as f32))
    }

    /// The vocabulary's size, for which there are several witnesses: the embedding's rows decide.
    fn vocab_size(&self, rows: Option<u64>) -> Result<u32> {
        let tokens = self.metadata.texts("tokenizer.ggml.tokens").map(|tokens| tokens.len() as u64);
        let told = self.u32("vocab_size")?.map(u64::from);
        if let Some(rows) = rows {
            let wrong = told
                .filter(|&told| told != rows)
                .map(|told| format!("{}.vocab_size is {told}", self.name));
            // Rows without a token pad the matrix; a token without a row cannot be looked up.
            let more = tokens
                .filter(|&tokens| tokens > rows)
                .map(|tokens| format!("tokenizer.ggml.tokens has {tokens}"));
            if let Some(what) = wrong.or(more) {
                fail!(
                    Code::BadConfig,
                    "{what}, but token_embd.weight has {rows} rows; the file is damaged, take \
                        another copy of the model"
                );
            }
        }
        Ok(rows.or(tokens).and_then(|n| u32::try_from(n).ok()).unwrap_or(0))
    }

    fn rope(&self, tensors: &FromTensors, max: u32, original: u32) -> Result<RopeScaling> {
        let key = format!("{}.rope.scaling.type", self.name);
        let scaling = self.metadata.text(&key);
        if scaling.is_none() && self.metadata.0.contains_key(&key) {
            fail!(Code::BadConfig, "{key} must be a text");
        }
        // As in llama.cpp, a factor without a type is a linear one.
        let linear = match scaling {
            None | Some("linear") => self.linear_factor()?,
            Some("none" | "longrope") => 1.0,
            Some(other) => fail!(
                Code::UnsupportedArchitecture,
                "rope.scaling.type is {other}; we run none, linear and longrope"
            ),
        };
        let scaled =
            |factors: &[f32]| factors.iter().map(|factor| factor * linear).collect::<Vec<_>>();
        if let Some([short_factor, long_factor]) = &tensors.longrope {
            let computed =
                || longrope_attention_factor(f64::from(max) / f64::from(original), original);
            let attention_factor = self.f32("rope.scaling.attn_factor")?.unwrap_or_else(computed);
            return Ok(RopeScaling::LongRope {
                short_factor: scaled(short_factor),
                long_factor: scaled(long_factor),
                attention_factor,
            });
        }
        if let Some(factors) = &tensors.factors {
            return Ok(RopeScaling::LongRope {
                short_factor: scaled(factors),
                long_factor: scaled(factors),
                attention_factor: 1.0,
            });
        }
        match scaling {
            Some("longrope") => fail!(
                Code::MissingTensor,
                "rope_factors_long.weight and rope_factors_short.weight are missing"
            ),
            _ if linear == 1.0 => Ok(RopeScaling::Plain),
            _ => Ok(RopeScaling::Linear { factor: linear }),
        }
    }

    /// What linear scaling divides by, under its name or the one that older converters gave it; 0
    /// stands for none.
    fn linear_factor(&self) -> Result<f32> {
        let old = self.f32("rope.scale_linear")?;
        let factor = self.f32("rope.scaling.factor")?.or(old).unwrap_or(1.0);
        Ok(if factor == 0.0 { 1.0 } else { factor })
    }

    fn token(&self, which: &str) -> Option<u32> {
        self.metadata
            .unsigned(&format!("tokenizer.ggml.{which}_token_id"))
            .and_then(|id| u32::try_from(id).ok())
    }

    fn stop_tokens(&self) -> Vec<u32> {
        let mut ids: Vec<u32> =
            ["eos", "eot", "eom"].into_iter().filter_map(|which| self.token(which)).collect();
        let types = self.metadata.integers("tokenizer.ggml.token_type").unwrap_or_default();
        for (id, token) in
            self.metadata.texts("tokenizer.ggml.tokens").unwrap_or_default().iter().enumerate()
        {
            // 3 is a control token, 4 one that the user defined: plain text that reads the same
            // must not end anything.
            let special = matches!(types.get(id), Some(3 | 4));
            if special && END_TOKENS.contains(&token.as_str()) && !ids.contains(&(id as u32)) {
                ids.push(id as u32);
            }
        }
        ids
    }
}
