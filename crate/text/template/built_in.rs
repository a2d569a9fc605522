//! Templates for files that bring none.

use crate::text::Tokenizer;

/// A template for files that bring none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// Phi-4-mini: `<|user|>…<|end|><|assistant|>`.
    Phi4,
    /// Phi-3-mini and Phi-3.5-mini: as Phi-4-mini's, with line feeds.
    Phi3,
}

const PHI4: &str = concat!(
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}",
    "{% if message['role'] == 'system' and message['tools'] %}",
    "{{ '<|tool|>' + message['tools'] + '<|/tool|>' }}{% endif %}{{ '<|end|>' }}{% endfor %}",
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}",
);
const PHI3: &str = concat!(
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + \
        '<|end|>\n' }}{% endfor %}",
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
);

impl BuiltIn {
    /// Its Jinja.
    pub(super) fn source(self) -> &'static str {
        match self {
            BuiltIn::Phi4 => PHI4,
            BuiltIn::Phi3 => PHI3,
        }
    }

    /// The template that a vocabulary's control tokens speak for, if any.
    pub fn for_tokenizer(tokenizer: &Tokenizer) -> Option<BuiltIn> {
        let has = |names: &[&str]| names.iter().all(|name| tokenizer.id(name).is_some());
        if !has(&["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]) {
            None
        } else if has(&["<|tool_call|>"]) {
            Some(BuiltIn::Phi4)
        } else {
            Some(BuiltIn::Phi3)
        }
    }
}
