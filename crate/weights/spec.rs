//! What a model is made of: one table of its tensors, in the order in which it uses them, by which
//! they are found, checked, converted, counted and loaded.

use super::config::Config;

/// What a tensor is to the computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Rows for token ids.
    Embedding,
    /// The norm before attention.
    InputNorm,
    /// The projections of queries, keys and values, one after the other.
    Qkv,
    /// What is added to these.
    QkvBias,
    /// The norm of each query head.
    QueryNorm,
    /// The norm of each key head.
    KeyNorm,
    /// The projection of what attention found.
    Output,
    /// What is added to that.
    OutputBias,
    /// The norm before the MLP.
    PostNorm,
    /// The MLP's gate, then its projection up.
    GateUp,
    /// Its projection down.
    Down,
    /// The norm after all layers.
    FinalNorm,
    /// Rows for logits.
    Head,
}

impl Role {
    /// Whether the tensor is added to a product.
    pub fn is_bias(self) -> bool {
        matches!(self, Role::QkvBias | Role::OutputBias)
    }
}

/// A tensor's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `[output, input]`.
    Matrix([usize; 2]),
    /// `[length]`.
    Vector(usize),
}

impl Shape {
    /// Its sizes.
    pub fn dims(&self) -> &[usize] {
        match self {
            Shape::Matrix(dims) => dims,
            Shape::Vector(length) => std::slice::from_ref(length),
        }
    }
}

/// A tensor that a model has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// What it is to the computation.
    pub role: Role,
    /// Its canonical name: Hugging Face's, with projections fused.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
}

/// How a checkpoint names its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// Hugging Face's, which are the canonical ones but for projections that are not fused.
    HuggingFace,
    /// GGUF's.
    Gguf,
}

/// A tensor's name in each form, without what the names of a layer begin and all names end with.
#[derive(Clone, Copy)]
pub(super) struct Names {
    huggingface: &'static str,
    gguf: &'static str,
}

/// A tensor's row.
pub(super) struct Row {
    role: Role,
    pub names: Names,
    pub ending: &'static str,
    /// The tensors of which it consists where a file has them apart.
    pub parts: &'static [Part],
    shape: fn(&Config) -> Shape,
    /// Whether a model has it.
    is_there: fn(&Config) -> bool,
}

/// Some rows of a fused tensor.
pub(super) struct Part {
    pub names: Names,
    pub rows: fn(&Config) -> u32,
    /// Whether its heads are rotated.
    pub rotates: bool,
}

const QKV: &[Part] = &[
    Part::new("self_attn.q_proj", "attn_q", |c| c.heads().q_width()).rotated(),
    Part::new("self_attn.k_proj", "attn_k", |c| c.heads().kv_width()).rotated(),
    Part::new("self_attn.v_proj", "attn_v", |c| c.heads().kv_width()),
];
const GATE_UP: &[Part] = &[
    Part::new("mlp.gate_proj", "ffn_gate", |c| c.intermediate_size),
    Part::new("mlp.up_proj", "ffn_up", |c| c.intermediate_size),
];

const BEFORE_LAYERS: &[Row] =
    &[Row::new(Role::Embedding, "model.embed_tokens", "token_embd", |c| {
        matrix(c.vocab_size, c.hidden_size)
    })];
const LAYER: &[Row] = &[
    Row::new(Role::InputNorm, "input_layernorm", "attn_norm", |c| vector(c.hidden_size)),
    Row::new(Role::Qkv, "self_attn.qkv_proj", "attn_qkv", |c| {
        matrix(c.heads().qkv_width(), c.hidden_size)
    })
    .of(QKV),
    Row::new(Role::QkvBias, "self_attn.qkv_proj", "attn_qkv", |c| vector(c.heads().qkv_width()))
        .of(QKV)
        .bias(|c| c.attention_bias.qkv),
    Row::new(Role::QueryNorm, "self_attn.q_norm", "attn_q_norm", |c| vector(c.head_dim))
        .only(Config::head_norms),
    Row::new(Role::KeyNorm, "self_attn.k_norm", "attn_k_norm", |c| vector(c.head_dim))
        .only(Config::head_norms),
    Row::new(Role::Output, "self_attn.o_proj", "attn_output", |c| {
        matrix(c.hidden_size, c.heads().q_width())
    }),
    Row::new(Role::OutputBias, "self_attn.o_proj", "attn_output", |c| vector(c.hidden_size))
        .bias(|c| c.attention_bias.o),
    Row::new(Role::PostNorm, "post_attention_layernorm", "ffn_norm", |c| vector(c.hidden_size)),
    // Where GGUF files have gate and up fused, they call them up.
    Row::new(Role::GateUp, "mlp.gate_up_proj", "ffn_up", |c| {
        matrix(2 * c.intermediate_size, c.hidden_size)
    })
    .of(GATE_UP),
    Row::new(Role::Down, "mlp.down_proj", "ffn_down", |c| {
        matrix(c.hidden_size, c.intermediate_size)
    }),
];
const AFTER_LAYERS: &[Row] = &[
    Row::new(Role::FinalNorm, "model.norm", "output_norm", |c| vector(c.hidden_size)),
    Row::new(Role::Head, "lm_head", "output", |c| matrix(c.vocab_size, c.hidden_size))
        .only(|c| !c.tie_word_embeddings),
];

/// Canonical name of the embedding, `[vocab_size, hidden_size]`.
pub const EMBED_TOKENS: &str = "model.embed_tokens.weight";
/// Canonical name of the head, `[vocab_size, hidden_size]`: the embedding itself where they are
/// tied.
pub const LM_HEAD: &str = "lm_head.weight";
/// What the canonical names of a layer's tensors begin with, before its number.
pub(super) const LAYERS: &str = "model.layers.";

fn matrix(rows: u32, cols: u32) -> Shape {
    Shape::Matrix([rows as usize, cols as usize])
}

fn vector(length: u32) -> Shape {
    Shape::Vector(length as usize)
}

impl Row {
    const fn new(
        role: Role,
        huggingface: &'static str,
        gguf: &'static str,
        shape: fn(&Config) -> Shape,
    ) -> Row {
        Row {
            role,
            names: Names { huggingface, gguf },
            ending: "weight",
            parts: &[],
            shape,
            is_there: |_| true,
        }
    }

    const fn of(self, parts: &'static [Part]) -> Row {
        Row { parts, ..self }
    }

    const fn only(self, is_there: fn(&Config) -> bool) -> Row {
        Row { is_there, ..self }
    }

    const fn bias(self, is_there: fn(&Config) -> bool) -> Row {
        Row { ending: "bias", is_there, ..self }
    }
}

impl Part {
    const fn new(huggingface: &'static str, gguf: &'static str, rows: fn(&Config) -> u32) -> Part {
        Part { names: Names { huggingface, gguf }, rows, rotates: false }
    }

    const fn rotated(self) -> Part {
        Part { rotates: true, ..self }
    }
}

impl Names {
    /// The whole name of a tensor, of a layer's or not.
    pub fn stored(self, naming: Naming, layer: Option<&str>, ending: &str) -> String {
        let (name, layers) = match naming {
            Naming::HuggingFace => (self.huggingface, LAYERS),
            Naming::Gguf => (self.gguf, "blk."),
        };
        match layer {
            Some(layer) => format!("{layers}{layer}.{name}.{ending}"),
            None => format!("{name}.{ending}"),
        }
    }
}

/// What a model uses before its layers.
pub fn before_layers(config: &Config) -> Vec<TensorSpec> {
    of_table(BEFORE_LAYERS, config, None)
}

/// What a layer uses.
pub fn layer(config: &Config, layer: u32) -> Vec<TensorSpec> {
    of_table(LAYER, config, Some(layer))
}

/// What a model uses after its layers. No head when tied.
pub fn after_layers(config: &Config) -> Vec<TensorSpec> {
    of_table(AFTER_LAYERS, config, None)
}

/// All that a model has, one after the other: damaged files have any number of layers.
pub fn tensors(config: &Config) -> impl Iterator<Item = TensorSpec> {
    let layers = (0..config.num_hidden_layers).flat_map(|number| layer(config, number));
    before_layers(config).into_iter().chain(layers).chain(after_layers(config))
}

fn of_table(table: &[Row], config: &Config, layer: Option<u32>) -> Vec<TensorSpec> {
    let layer = layer.map(|number| number.to_string());
    let named = |row: &Row| row.names.stored(Naming::HuggingFace, layer.as_deref(), row.ending);
    let there = table.iter().filter(|row| (row.is_there)(config));
    there
        .map(|row| TensorSpec { role: row.role, name: named(row), shape: (row.shape)(config) })
        .collect()
}

impl Config {
    /// The canonical matrices that the model has, in the order in which it uses them.
    pub fn matrices(&self) -> Vec<(String, [usize; 2])> {
        let matrix = |tensor: TensorSpec| match tensor.shape {
            Shape::Matrix(shape) => Some((tensor.name, shape)),
            Shape::Vector(_) => None,
        };
        tensors(self).filter_map(matrix).collect()
    }

    /// The canonical vectors, norms and biases, that the model has, with their lengths.
    pub fn vectors(&self) -> Vec<(String, usize)> {
        let vector = |tensor: TensorSpec| match tensor.shape {
            Shape::Vector(length) => Some((tensor.name, length)),
            Shape::Matrix(_) => None,
        };
        tensors(self).filter_map(vector).collect()
    }
}

/// The row of a canonical name, and its layer.
pub(super) fn find(name: &str) -> Option<(&'static Row, Option<&str>)> {
    let (tables, layer, rest) =
        match name.strip_prefix(LAYERS).and_then(|rest| rest.split_once('.')) {
            Some((layer, rest)) => ([LAYER, &[]], Some(layer), rest),
            None => ([BEFORE_LAYERS, AFTER_LAYERS], None, name),
        };
    let (tensor, ending) = rest.rsplit_once('.')?;
    let row = tables
        .into_iter()
        .flatten()
        .find(|row| row.names.huggingface == tensor && row.ending == ending)?;
    Some((row, layer))
}

/// What the tensor of a canonical name is.
pub(crate) fn role(name: &str) -> Option<Role> {
    find(name).map(|(row, _)| row.role)
}
