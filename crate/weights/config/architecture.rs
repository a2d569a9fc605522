//! What sets one architecture apart from the others: a row of a table each.

use super::AttentionBias;

/// The computations that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// `Phi3ForCausalLM`: Phi-3-mini, Phi-3.5-mini, Phi-4-mini.
    Phi3,
    /// `LlamaForCausalLM`: the same computation, with projections that its files hold apart.
    Llama,
    /// `Qwen2ForCausalLM`: Qwen2, Qwen2.5.
    Qwen2,
    /// `Qwen3ForCausalLM`: Qwen3 without experts.
    Qwen3,
}

/// When attention's projections have biases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::weights) enum Biases {
    /// Never: a file that says so means something else.
    Never,
    /// When `attention_bias` says so, or a GGUF has them.
    Configured,
    /// Those of queries, keys and values always, those of the output never.
    OfQkv,
}

/// When attention sees only so many positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::weights) enum Window {
    /// Never, whatever `sliding_window` says.
    Never,
    /// When there is a `sliding_window`.
    Configured,
    /// With `use_sliding_window`, from layer `max_window_layers` on, or where `layer_types` says
    /// so. GGUF files know nothing of it.
    Switched,
}

/// An architecture's row.
#[derive(Debug)]
pub(in crate::weights) struct Traits {
    /// The class's name, as in `architectures`.
    pub class: &'static str,
    /// The short name, as in `model_type` and in GGUF's `general.architecture`.
    pub model_type: &'static str,
    pub biases: Biases,
    pub window: Window,
    /// Whether queries and keys are normed, head by head, before they are rotated.
    pub head_norms: bool,
    /// Whether its files hold queries, keys and values in one tensor, and gate and up in another.
    pub fused: bool,
    /// Whether GGUF files have the rows of each query and key head interleaved, first and second
    /// halves by turns.
    pub interleaved: bool,
    /// `max_position_embeddings` of a configuration without one.
    pub default_context: u32,
    /// `original_max_position_embeddings` of a configuration without one; `None` for the context's
    /// length.
    pub default_original: Option<u32>,
    /// `head_dim` of a configuration without one; `None` for what `hidden_size` gives each head.
    pub default_head_dim: Option<u32>,
    /// `rms_norm_eps` of a configuration without one.
    pub default_eps: f64,
}

static PHI3: Traits = Traits {
    class: "Phi3ForCausalLM",
    model_type: "phi3",
    biases: Biases::Never,
    window: Window::Configured,
    head_norms: false,
    fused: true,
    interleaved: false,
    default_context: 4096,
    default_original: Some(4096),
    default_head_dim: None,
    default_eps: 1e-5,
};

static LLAMA: Traits = Traits {
    class: "LlamaForCausalLM",
    model_type: "llama",
    biases: Biases::Configured,
    window: Window::Never,
    head_norms: false,
    fused: false,
    interleaved: true,
    default_context: 2048,
    default_original: None,
    default_head_dim: None,
    default_eps: 1e-6,
};

static QWEN2: Traits = Traits {
    class: "Qwen2ForCausalLM",
    model_type: "qwen2",
    biases: Biases::OfQkv,
    window: Window::Switched,
    head_norms: false,
    fused: false,
    interleaved: false,
    default_context: 32_768,
    default_original: None,
    default_head_dim: None,
    default_eps: 1e-6,
};

static QWEN3: Traits = Traits {
    class: "Qwen3ForCausalLM",
    model_type: "qwen3",
    biases: Biases::Configured,
    window: Window::Switched,
    head_norms: true,
    fused: false,
    interleaved: false,
    default_context: 32_768,
    default_original: None,
    default_head_dim: Some(128),
    default_eps: 1e-6,
};

impl Architecture {
    /// All of them.
    pub const ALL: [Architecture; 4] =
        [Architecture::Phi3, Architecture::Llama, Architecture::Qwen2, Architecture::Qwen3];

    pub(in crate::weights) fn traits(self) -> &'static Traits {
        match self {
            Architecture::Phi3 => &PHI3,
            Architecture::Llama => &LLAMA,
            Architecture::Qwen2 => &QWEN2,
            Architecture::Qwen3 => &QWEN3,
        }
    }

    /// The class's name, as in `architectures`.
    pub fn class(self) -> &'static str {
        self.traits().class
    }

    /// The short name, as in `model_type` and in GGUF's `general.architecture`.
    pub fn model_type(self) -> &'static str {
        self.traits().model_type
    }

    /// All of them by a name that they have, as a sentence ends with it: `phi3 and llama`.
    pub(in crate::weights) fn listed(name: fn(Architecture) -> &'static str) -> String {
        let names = Architecture::ALL.map(name);
        match &names[..] {
            [others @ .., last] => format!("{} and {last}", others.join(", ")),
            [] => String::new(),
        }
    }
}

impl Biases {
    /// What there must be of them, where a configuration or a GGUF's tensors say `told`.
    pub fn of(self, told: AttentionBias) -> AttentionBias {
        match self {
            Biases::Never => AttentionBias::default(),
            Biases::Configured => told,
            Biases::OfQkv => AttentionBias { qkv: true, o: false },
        }
    }
}
