//! What a GGUF file says of itself, by key.

use std::collections::BTreeMap;

/// A metadata value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Any unsigned width.
    Unsigned(u64),
    /// Any signed width.
    Signed(i64),
    /// Any float width.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// UTF-8.
    Text(String),
    /// A list of strings.
    Texts(Vec<String>),
    /// A list of numbers or booleans, still as they lie in the file.
    Numbers(Numbers),
}

/// A list of numbers of one type.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    pub(super) number: Number,
    pub(super) bytes: Vec<u8>,
}

/// What a key must hold where it is there: whoever reads it takes another value for none.
#[derive(Clone, Copy)]
enum Wanted {
    Text,
    Texts,
    Whole,
    /// A token's id; a negative number stands for none.
    Id,
    Flag,
    Floats,
    Integers,
}

const WANTED: [(&str, Wanted); 22] = [
    ("general.architecture", Wanted::Text),
    ("general.alignment", Wanted::Whole),
    ("split.no", Wanted::Whole),
    ("split.count", Wanted::Whole),
    ("split.tensors.count", Wanted::Whole),
    ("tokenizer.chat_template", Wanted::Text),
    ("tokenizer.chat_template.tool_use", Wanted::Text),
    ("tokenizer.ggml.model", Wanted::Text),
    ("tokenizer.ggml.pre", Wanted::Text),
    ("tokenizer.ggml.tokens", Wanted::Texts),
    ("tokenizer.ggml.merges", Wanted::Texts),
    ("tokenizer.ggml.scores", Wanted::Floats),
    ("tokenizer.ggml.token_type", Wanted::Integers),
    ("tokenizer.ggml.bos_token_id", Wanted::Id),
    ("tokenizer.ggml.eos_token_id", Wanted::Id),
    ("tokenizer.ggml.eot_token_id", Wanted::Id),
    ("tokenizer.ggml.eom_token_id", Wanted::Id),
    ("tokenizer.ggml.unknown_token_id", Wanted::Id),
    ("tokenizer.ggml.padding_token_id", Wanted::Id),
    ("tokenizer.ggml.add_bos_token", Wanted::Flag),
    ("tokenizer.ggml.add_eos_token", Wanted::Flag),
    ("tokenizer.ggml.add_space_prefix", Wanted::Flag),
];

/// The fixed-width types of GGUF metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    U64,
    I64,
    F64,
}

/// A GGUF file's metadata by key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata(pub BTreeMap<String, Value>);

impl Wanted {
    fn fits(self, metadata: &Metadata, key: &str) -> bool {
        match self {
            Wanted::Text => metadata.text(key).is_some(),
            Wanted::Texts => metadata.texts(key).is_some(),
            Wanted::Whole => metadata.unsigned(key).is_some(),
            Wanted::Id => {
                matches!(metadata.0.get(key), Some(Value::Unsigned(_) | Value::Signed(_)))
            }
            Wanted::Flag => metadata.bool(key).is_some(),
            // Where nobody needs scores, some files fill them with integers.
            Wanted::Floats => metadata.floats(key).is_some() || metadata.integers(key).is_some(),
            Wanted::Integers => metadata.integers(key).is_some(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Wanted::Text => "a text",
            Wanted::Texts => "a list of texts",
            Wanted::Whole => "a whole number",
            Wanted::Id => "a token's id",
            Wanted::Flag => "true or false",
            Wanted::Floats => "a list of numbers",
            Wanted::Integers => "a list of whole numbers",
        }
    }
}

impl Metadata {
    /// The first key that holds something else than it must, and what it must hold.
    pub(super) fn misfit(&self) -> Option<(&'static str, &'static str)> {
        let misfit = WANTED
            .iter()
            .find(|(key, wanted)| self.0.contains_key(*key) && !wanted.fits(self, key));
        misfit.map(|(key, wanted)| (*key, wanted.name()))
    }

    /// A string.
    pub fn text(&self, key: &str) -> Option<&str> {
        if let Some(Value::Text(text)) = self.0.get(key) { Some(text) } else { None }
    }

    /// A list of strings, such as `tokenizer.ggml.tokens`.
    pub fn texts(&self, key: &str) -> Option<&[String]> {
        if let Some(Value::Texts(texts)) = self.0.get(key) { Some(texts) } else { None }
    }

    /// A number that is whole and not negative.
    pub fn unsigned(&self, key: &str) -> Option<u64> {
        match self.0.get(key)? {
            Value::Unsigned(value) => Some(*value),
            Value::Signed(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// Any number.
    pub fn float(&self, key: &str) -> Option<f64> {
        match self.0.get(key)? {
            Value::Float(value) => Some(*value),
            Value::Unsigned(value) => Some(*value as f64),
            Value::Signed(value) => Some(*value as f64),
            _ => None,
        }
    }

    /// True or false.
    pub fn bool(&self, key: &str) -> Option<bool> {
        if let Some(Value::Bool(value)) = self.0.get(key) { Some(*value) } else { None }
    }

    /// A list of floats, such as `tokenizer.ggml.scores`.
    pub fn floats(&self, key: &str) -> Option<Vec<f32>> {
        let Some(Value::Numbers(list)) = self.0.get(key) else { return None };
        list.values()
            .map(|value| if let Value::Float(value) = value { Some(value as f32) } else { None })
            .collect()
    }

    /// A list of integers, such as `tokenizer.ggml.token_type`.
    pub fn integers(&self, key: &str) -> Option<Vec<i64>> {
        let Some(Value::Numbers(list)) = self.0.get(key) else { return None };
        let whole = |value| match value {
            Value::Unsigned(value) => i64::try_from(value).ok(),
            Value::Signed(value) => Some(value),
            _ => None,
        };
        list.values().map(whole).collect()
    }
}

impl Numbers {
    fn values(&self) -> impl Iterator<Item = Value> {
        self.bytes.chunks_exact(self.number.width()).map(|bytes| self.number.value(bytes))
    }
}

impl Number {
    pub(super) fn from_id(id: u32) -> Option<Number> {
        Some(match id {
            0 => Number::U8,
            1 => Number::I8,
            2 => Number::U16,
            3 => Number::I16,
            4 => Number::U32,
            5 => Number::I32,
            6 => Number::F32,
            7 => Number::Bool,
            10 => Number::U64,
            11 => Number::I64,
            12 => Number::F64,
            _ => return None,
        })
    }

    pub(super) fn width(self) -> usize {
        match self {
            Number::U8 | Number::I8 | Number::Bool => 1,
            Number::U16 | Number::I16 => 2,
            Number::U32 | Number::I32 | Number::F32 => 4,
            Number::U64 | Number::I64 | Number::F64 => 8,
        }
    }

    /// The value of `width` little-endian bytes.
    pub(super) fn value(self, bytes: &[u8]) -> Value {
        let mut wide = [0; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        let bits = u64::from_le_bytes(wide);
        match self {
            Number::U8 | Number::U16 | Number::U32 | Number::U64 => Value::Unsigned(bits),
            Number::I8 => Value::Signed(i64::from(bits as i8)),
            Number::I16 => Value::Signed(i64::from(bits as i16)),
            Number::I32 => Value::Signed(i64::from(bits as i32)),
            Number::I64 => Value::Signed(bits as i64),
            Number::F32 => Value::Float(f64::from(f32::from_bits(bits as u32))),
            Number::F64 => Value::Float(f64::from_bits(bits)),
            Number::Bool => Value::Bool(bits != 0),
        }
    }
}
