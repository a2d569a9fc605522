//! [`Config`] from and to Hugging Face's `config.json`.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::{
    Architecture, AttentionBias, Biases, Config, RopeScaling, Window, longrope_attention_factor,
};
use crate::error::{Code, Result, fail};

impl Config {
    /// Reads a `config.json`, with RoPE in either spelling: `rope_scaling` or `rope_parameters`.
    /// What a field means and what stands for one that is missing is as in transformers.
    ///
    /// # Errors
    /// `unsupported-architecture` for a computation that is not ours, `bad-config` with the field's
    /// name for numbers that do not fit.
    pub fn parse(json: &Value) -> Result<Config> {
        let Some(map) = json.as_object() else {
            fail!(Code::BadConfig, "not an object, and so no configuration");
        };
        let fields = Fields(map);
        let architecture = architecture(&fields)?;
        refuse_other_computations(architecture, &fields)?;
        let attention_bias = fields.bool("attention_bias")?.unwrap_or(false);
        let (sliding_window, max_window_layers) = window(architecture, &fields)?;
        let rope_fields = Fields(rope_object(&fields)?);

        let num_attention_heads = fields.need("num_attention_heads")?;
        let hidden_size = fields.need("hidden_size")?;
        let head_dim = match fields.u32("head_dim")?.or(architecture.traits().default_head_dim) {
            Some(head_dim) => head_dim,
            None if num_attention_heads == 0 || hidden_size % num_attention_heads != 0 => {
                fail!(
                    Code::BadConfig,
                    "hidden_size is {hidden_size}; num_attention_heads, {num_attention_heads}, \
                        does not divide it"
                );
            }
            None => hidden_size / num_attention_heads,
        };
        let partial = match rope_fields.f64("partial_rotary_factor")? {
            Some(partial) => partial,
            None => fields.f64("partial_rotary_factor")?.unwrap_or(1.0),
        };
        if !(0.0..=1.0).contains(&partial) {
            fail!(
                Code::BadConfig,
                "partial_rotary_factor is {partial}; it must be between 0 and 1"
            );
        }
        let theta = match rope_fields.f64("rope_theta")? {
            Some(theta) => theta,
            None => fields.f64("rope_theta")?.unwrap_or(10_000.0),
        };
        let (max, original) = lengths(architecture, &fields, &rope_fields)?;
        Config {
            architecture,
            hidden_size,
            intermediate_size: fields.need("intermediate_size")?,
            num_hidden_layers: fields.need("num_hidden_layers")?,
            num_attention_heads,
            num_key_value_heads: fields.u32("num_key_value_heads")?.unwrap_or(num_attention_heads),
            head_dim,
            vocab_size: fields.need("vocab_size")?,
            rms_norm_eps: fields.f64("rms_norm_eps")?.unwrap_or(architecture.traits().default_eps)
                as f32,
            rope_theta: theta as f32,
            rotary_dim: (f64::from(head_dim) * partial) as u32,
            rope: rope(&rope_fields, max, original)?,
            max_position_embeddings: max,
            original_max_position_embeddings: original,
            sliding_window,
            max_window_layers,
            tie_word_embeddings: fields.bool("tie_word_embeddings")?.unwrap_or(false),
            attention_bias: architecture
                .traits()
                .biases
                .of(AttentionBias { qkv: attention_bias, o: attention_bias }),
            bos_token_id: fields.typed("bos_token_id", "a token id", token_id)?.flatten(),
            eos_token_ids: token_ids(map.get("eos_token_id"))?,
        }
        .checked()
    }

    /// A `config.json` that parses to the same.
    pub fn to_json(&self) -> Value {
        let mut json = json!({
            "architectures": [self.architecture.class()],
            "model_type": self.architecture.model_type(),
            "hidden_act": "silu",
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads,
            "num_key_value_heads": self.num_key_value_heads,
            "head_dim": self.head_dim,
            "vocab_size": self.vocab_size,
            "rms_norm_eps": number(self.rms_norm_eps),
            "rope_theta": number(self.rope_theta),
            "partial_rotary_factor": self.partial_rotary_factor(),
            "max_position_embeddings": self.max_position_embeddings,
            "original_max_position_embeddings": self.original_max_position_embeddings,
            "sliding_window": self.sliding_window,
            "tie_word_embeddings": self.tie_word_embeddings,
            // Where a checkpoint has no bias of one of the two, it is zero: there is one word for
            // both.
            "attention_bias": self.attention_bias != AttentionBias::default(),
            "bos_token_id": self.bos_token_id,
            "eos_token_id": self.eos_token_ids,
        });
        if self.architecture.traits().window == Window::Switched {
            json["use_sliding_window"] = self.sliding_window.is_some().into();
            json["max_window_layers"] = self.max_window_layers.into();
        }
        json["rope_scaling"] = match &self.rope {
            RopeScaling::Plain => Value::Null,
            RopeScaling::LongRope { short_factor, long_factor, attention_factor } => json!({
                "rope_type": "longrope",
                "type": "longrope",
                "short_factor": short_factor.iter().map(|&one| number(one)).collect::<Vec<_>>(),
                "long_factor": long_factor.iter().map(|&one| number(one)).collect::<Vec<_>>(),
                "attention_factor": number(*attention_factor),
            }),
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor } => json!({
                "rope_type": "llama3",
                "factor": number(*factor),
                "low_freq_factor": number(*low_freq_factor),
                "high_freq_factor": number(*high_freq_factor),
                "original_max_position_embeddings": self.original_max_position_embeddings,
            }),
            RopeScaling::Linear { factor } => {
                json!({ "rope_type": "linear", "type": "linear", "factor": number(*factor) })
            }
        };
        json
    }

    /// The fraction that truncates back to `rotary_dim`.
    fn partial_rotary_factor(&self) -> f64 {
        let (rotary, head) = (f64::from(self.rotary_dim), f64::from(self.head_dim));
        let fraction = rotary / head;
        if fraction * head < rotary { fraction.next_up() } else { fraction }
    }
}

/// The shortest decimal that is this f32, as JSON: 1e-5 and not 9.999999747378752e-6.
fn number(value: f32) -> Value {
    json!(value.to_string().parse::<f64>().unwrap_or(f64::from(value)))
}

/// Token ids that are one number, a list, or nothing, for which negative numbers stand too.
///
/// # Errors
/// `bad-config` for anything else.
pub fn token_ids(value: Option<&Value>) -> Result<Vec<u32>> {
    let ids = match value {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(token_id).collect(),
        Some(single) => token_id(single).map(|id| vec![id]),
    };
    let Some(ids) = ids else {
        fail!(Code::BadConfig, "eos_token_id must be a token id or a list of them");
    };
    Ok(ids.into_iter().flatten().collect())
}

/// A token id, or that there is none: -1. `None` for anything else.
fn token_id(value: &Value) -> Option<Option<u32>> {
    match value.as_i64() {
        Some(negative) if negative < 0 => Some(None),
        _ => value.as_u64().and_then(|id| u32::try_from(id).ok()).map(Some),
    }
}

/// The computation, by both names that a configuration has for it: transformers goes by
/// `model_type`, others by `architectures`.
fn architecture(fields: &Fields) -> Result<Architecture> {
    let known = Architecture::ALL;
    let classes = fields.typed("architectures", "a list of texts", |list| {
        list.as_array()?.iter().map(Value::as_str).collect::<Option<Vec<_>>>()
    })?;
    let class = classes.and_then(|classes| classes.first().copied());
    let model_type = fields.str("model_type")?;
    // The first conversions of Llama wrote LLaMAForCausalLM.
    let by_class =
        class.map(|name| known.into_iter().find(|one| one.class().eq_ignore_ascii_case(name)));
    let by_type = model_type.map(|name| known.into_iter().find(|one| one.model_type() == name));
    match (by_class, by_type) {
        (Some(Some(found)), None) | (None, Some(Some(found))) => Ok(found),
        (Some(Some(found)), Some(same)) if same == Some(found) => Ok(found),
        (Some(Some(found)), Some(_)) => {
            let (class, other) = (found.class(), model_type.unwrap_or_default());
            fail!(
                Code::BadConfig,
                "model_type is {other}, which is no {class}, as architectures has it; take \
                    config.json from where the model comes from"
            )
        }
        (None, None) => fail!(Code::BadConfig, "there is neither architectures nor model_type"),
        _ => {
            let name = class.or(model_type).unwrap_or_default();
            let known = Architecture::listed(Architecture::class);
            fail!(Code::UnsupportedArchitecture, "the architecture is {name}; we run {known}")
        }
    }
}

/// Fields that would make the computation another one than ours.
fn refuse_other_computations(architecture: Architecture, fields: &Fields) -> Result<()> {
    if architecture.traits().biases == Biases::Never && fields.bool("attention_bias")? == Some(true)
    {
        let name = architecture.model_type();
        fail!(
            Code::UnsupportedArchitecture,
            "attention_bias is true; we run models of {name} without biases"
        );
    }
    if fields.bool("mlp_bias")? == Some(true) {
        fail!(
            Code::UnsupportedArchitecture,
            "mlp_bias is true; we run models without biases in their MLPs"
        );
    }
    let act = fields.str("hidden_act")?.unwrap_or("silu");
    // Both are names of one function.
    if !["silu", "swish"].contains(&act) {
        fail!(Code::UnsupportedArchitecture, "hidden_act is {act}; we run silu");
    }
    if fields.object("quantization_config")?.is_some() {
        fail!(
            Code::UnsupportedTensor,
            "quantization_config: the weights are packed in a way that we don't read; use the \
                unquantised model or a GGUF"
        );
    }
    Ok(())
}

/// The object that describes RoPE, empty when there is none. As in transformers, the old name wins,
/// unless it says nothing.
fn rope_object<'a>(fields: &Fields<'a>) -> Result<&'a Map<String, Value>> {
    static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    let old = fields.object("rope_scaling")?.filter(|old| !old.is_empty());
    Ok(old.or(fields.object("rope_parameters")?).unwrap_or(&NOTHING))
}

/// The context's length, and the length before it was extended.
fn lengths(architecture: Architecture, fields: &Fields, rope: &Fields) -> Result<(u32, u32)> {
    let original = match fields.u32("original_max_position_embeddings")? {
        Some(original) => Some(original),
        None => rope.u32("original_max_position_embeddings")?,
    };
    let max = match (fields.u32("max_position_embeddings")?, original, rope.f64("factor")?) {
        (Some(max), _, _) => max,
        (None, Some(original), Some(factor)) => (f64::from(original) * factor) as u32,
        (None, _, _) => architecture.traits().default_context,
    };
    Ok((max, original.or(architecture.traits().default_original).unwrap_or(max)))
}

/// How many positions a query sees where that is limited, and the first layer where it is.
fn window(architecture: Architecture, fields: &Fields) -> Result<(Option<u32>, u32)> {
    match architecture.traits().window {
        Window::Never => Ok((None, 0)),
        Window::Configured => Ok((fields.u32("sliding_window")?, 0)),
        Window::Switched if fields.bool("use_sliding_window")? != Some(true) => Ok((None, 0)),
        Window::Switched => {
            let layers = fields.need("num_hidden_layers")?;
            let first = match full_layers(fields)? {
                Some(full) => full,
                None => fields.u32("max_window_layers")?.unwrap_or(28),
            };
            // transformers has 4096 for one that is missing, and none for null.
            let window = if fields.0.contains_key("sliding_window") {
                fields.u32("sliding_window")?
            } else {
                Some(4096)
            };
            Ok(match window {
                Some(window) if first < layers => (Some(window), first),
                _ => (None, 0),
            })
        }
    }
}

/// How many layers come before those with a window, by `layer_types`.
fn full_layers(fields: &Fields) -> Result<Option<u32>> {
    let types = fields.typed("layer_types", "a list of texts", |list| {
        list.as_array()?.iter().map(Value::as_str).collect::<Option<Vec<_>>>()
    })?;
    let Some(types) = types else { return Ok(None) };
    let full = types.iter().take_while(|of| **of == "full_attention").count();
    if let Some(other) = types[full..].iter().find(|of| **of != "sliding_attention") {
        fail!(
            Code::UnsupportedArchitecture,
            "layer_types has {other} after layer {full}; we run full_attention, and \
                sliding_attention after it"
        );
    }
    Ok(Some(full as u32))
}

fn rope(fields: &Fields, max: u32, original: u32) -> Result<RopeScaling> {
    let rope_type = fields.str("rope_type")?.or(fields.str("type")?).unwrap_or("default");
    match rope_type {
        "default" => Ok(RopeScaling::Plain),
        "longrope" | "su" => {
            // Other, older scalings of the same name multiply with numbers of their own.
            if fields.0.contains_key("short_mscale") || fields.0.contains_key("long_mscale") {
                fail!(
                    Code::UnsupportedArchitecture,
                    "short_mscale and long_mscale are a kind of RoPE that we don't run"
                );
            }
            let factor = fields.f64("factor")?.unwrap_or(f64::from(max) / f64::from(original));
            let attention = match fields.f64("attention_factor")? {
                Some(attention) => attention as f32,
                None => longrope_attention_factor(factor, original),
            };
            Ok(RopeScaling::LongRope {
                short_factor: fields.floats("short_factor")?,
                long_factor: fields.floats("long_factor")?,
                attention_factor: attention,
            })
        }
        "llama3" => Ok(RopeScaling::Llama3 {
            factor: fields.need_f32("factor")?,
            low_freq_factor: fields.need_f32("low_freq_factor")?,
            high_freq_factor: fields.need_f32("high_freq_factor")?,
        }),
        "linear" => Ok(RopeScaling::Linear { factor: fields.need_f32("factor")? }),
        other => fail!(
            Code::UnsupportedArchitecture,
            "rope_type is {other}; we run default, longrope, llama3 and linear"
        ),
    }
}
