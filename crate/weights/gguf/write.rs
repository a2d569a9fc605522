//! Writing GGUF headers: metadata and where the tensors lie. The tensors' bytes follow, each from a
//! multiple of [`ALIGNMENT`].

use super::{DEFAULT_ALIGNMENT, MAGIC};

/// Where the header ends and every tensor begins: at a multiple of this many bytes.
pub const ALIGNMENT: u64 = DEFAULT_ALIGNMENT;

/// The version that everybody reads.
pub const VERSION: u32 = 3;

/// A metadata value.
#[derive(Clone, Debug)]
pub enum Meta {
    /// Two bytes.
    U16(u16),
    /// Four bytes.
    U32(u32),
    /// Four bytes, signed.
    I32(i32),
    /// Single precision.
    F32(f32),
    /// True or false.
    Bool(bool),
    /// UTF-8.
    Text(&'static str),
    /// A list of strings.
    Texts(Vec<String>),
    /// A list of numbers.
    I32s(Vec<i32>),
}

/// A tensor to come.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its dimensions in GGUF's order, columns first.
    pub dims: &'a [u64],
    /// The number of its type.
    pub stored: u32,
    /// How long it is.
    pub bytes: u64,
}

/// The header of a file, padded to where the first tensor begins. The tensors lie in this order.
pub fn header<'a>(
    version: u32,
    meta: &[(&str, Meta)],
    tensors: impl ExactSizeIterator<Item = Tensor<'a>>,
) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend(version.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((meta.len() as u64).to_le_bytes());
    for (key, value) in meta {
        text(&mut out, key);
        self::value(&mut out, value);
    }
    let mut offset = 0;
    for tensor in tensors {
        text(&mut out, tensor.name);
        out.extend((tensor.dims.len() as u32).to_le_bytes());
        out.extend(tensor.dims.iter().flat_map(|n| n.to_le_bytes()));
        out.extend(tensor.stored.to_le_bytes());
        out.extend(u64::to_le_bytes(offset));
        offset += tensor.bytes.next_multiple_of(ALIGNMENT);
    }
    out.resize(out.len().next_multiple_of(ALIGNMENT as usize), 0);
    out
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn value(out: &mut Vec<u8>, value: &Meta) {
    const ARRAY: u32 = 9;
    const I32: u32 = 5;
    const TEXT: u32 = 8;
    let mut number = |id: u32, bytes: &[u8]| {
        out.extend(id.to_le_bytes());
        out.extend(bytes);
    };
    match value {
        Meta::U16(value) => number(2, &value.to_le_bytes()),
        Meta::U32(value) => number(4, &value.to_le_bytes()),
        Meta::I32(value) => number(I32, &value.to_le_bytes()),
        Meta::F32(value) => number(6, &value.to_le_bytes()),
        Meta::Bool(value) => number(7, &[u8::from(*value)]),
        Meta::Text(value) => {
            number(TEXT, &[]);
            text(out, value);
        }
        Meta::Texts(list) => {
            number(ARRAY, &TEXT.to_le_bytes());
            out.extend((list.len() as u64).to_le_bytes());
            list.iter().for_each(|value| text(out, value));
        }
        Meta::I32s(list) => {
            number(ARRAY, &I32.to_le_bytes());
            out.extend((list.len() as u64).to_le_bytes());
            out.extend(list.iter().flat_map(|value| value.to_le_bytes()));
        }
    }
}
