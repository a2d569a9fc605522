//! Element types of files, of which the layout is made.

use super::Kind;

/// Element types of files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// The upper half of an f32.
    BF16,
    /// GGUF: 32 symmetric 4-bit codes.
    Q4_0,
    /// GGUF: 32 4-bit codes with a minimum.
    Q4_1,
    /// GGUF: 32 symmetric 5-bit codes.
    Q5_0,
    /// GGUF: 32 5-bit codes with a minimum.
    Q5_1,
    /// GGUF: 32 symmetric 8-bit codes.
    Q8_0,
    /// GGUF: 16 groups of 16 2-bit codes with 4-bit scales and minima.
    Q2K,
    /// GGUF: 16 groups of 16 symmetric 3-bit codes with 6-bit scales.
    Q3K,
    /// GGUF: 8 groups of 32 4-bit codes with 6-bit scales and minima.
    Q4K,
    /// GGUF: 8 groups of 32 5-bit codes with 6-bit scales and minima.
    Q5K,
    /// GGUF: 16 groups of 16 symmetric 6-bit codes with 8-bit scales.
    Q6K,
    /// GGUF: 32 4-bit places in a table.
    IQ4NL,
    /// GGUF: 8 groups of 32 4-bit places in a table, with 6-bit scales.
    IQ4XS,
    /// GGUF: 8 groups of 32 codes of -1, 0 and 1, five in a byte.
    TQ1_0,
    /// GGUF: the same, four in a byte.
    TQ2_0,
    /// GGUF: 32 4-bit floats with a power of two.
    MXFP4,
    /// Bytes: the packed codes of our own converted form.
    U8,
    /// Something that we don't read, by its own name.
    Other(String),
}

impl ElementType {
    /// The name by which files call it.
    pub fn name(&self) -> &str {
        match self {
            ElementType::F32 => "F32",
            ElementType::F16 => "F16",
            ElementType::BF16 => "BF16",
            ElementType::Q4_0 => "Q4_0",
            ElementType::Q4_1 => "Q4_1",
            ElementType::Q5_0 => "Q5_0",
            ElementType::Q5_1 => "Q5_1",
            ElementType::Q8_0 => "Q8_0",
            ElementType::Q2K => "Q2_K",
            ElementType::Q3K => "Q3_K",
            ElementType::Q4K => "Q4_K",
            ElementType::Q5K => "Q5_K",
            ElementType::Q6K => "Q6_K",
            ElementType::IQ4NL => "IQ4_NL",
            ElementType::IQ4XS => "IQ4_XS",
            ElementType::TQ1_0 => "TQ1_0",
            ElementType::TQ2_0 => "TQ2_0",
            ElementType::MXFP4 => "MXFP4",
            ElementType::U8 => "U8",
            ElementType::Other(name) => name,
        }
    }

    /// Elements and bytes of a block, the smallest piece that stands for itself. `None` for types
    /// that we don't read.
    pub fn block(&self) -> Option<(usize, usize)> {
        match self {
            ElementType::F32 => Some((1, 4)),
            ElementType::F16 | ElementType::BF16 => Some((1, 2)),
            ElementType::Q4_0 => Some((32, 18)),
            ElementType::Q4_1 => Some((32, 20)),
            ElementType::Q5_0 => Some((32, 22)),
            ElementType::Q5_1 => Some((32, 24)),
            ElementType::Q8_0 => Some((32, 34)),
            ElementType::Q2K => Some((256, 84)),
            ElementType::Q3K => Some((256, 110)),
            ElementType::Q4K => Some((256, 144)),
            ElementType::Q5K => Some((256, 176)),
            ElementType::Q6K => Some((256, 210)),
            ElementType::IQ4NL => Some((32, 18)),
            ElementType::IQ4XS => Some((256, 136)),
            ElementType::TQ1_0 => Some((256, 54)),
            ElementType::TQ2_0 => Some((256, 66)),
            ElementType::MXFP4 => Some((32, 17)),
            ElementType::U8 => Some((1, 1)),
            ElementType::Other(_) => None,
        }
    }

    /// Bytes of some elements; `None` when they are no whole blocks, when the type is unknown, or
    /// above 2^64.
    pub fn bytes(&self, elements: u64) -> Option<u64> {
        let (of, bytes) = self.block()?;
        if elements.is_multiple_of(of as u64) {
            (elements / of as u64).checked_mul(bytes as u64)
        } else {
            None
        }
    }

    /// The kind that holds a quantised type as it is. `None` for the others.
    pub fn quantised_kind(&self) -> Option<Kind> {
        match self {
            ElementType::Q4_0 => Some(Kind::Q4),
            ElementType::Q4_1 => Some(Kind::Q4Min),
            ElementType::Q5_0 => Some(Kind::Q5),
            ElementType::Q5_1 => Some(Kind::Q5Min),
            ElementType::Q8_0 => Some(Kind::Q8),
            ElementType::Q2K | ElementType::TQ1_0 | ElementType::TQ2_0 => Some(Kind::Q2K),
            ElementType::Q3K => Some(Kind::Q3K),
            ElementType::Q4K => Some(Kind::Q4K),
            ElementType::Q5K => Some(Kind::Q5K),
            ElementType::Q6K => Some(Kind::Q6K),
            ElementType::IQ4NL => Some(Kind::IQ4NL),
            ElementType::IQ4XS => Some(Kind::IQ4XS),
            ElementType::MXFP4 => Some(Kind::FP4),
            ElementType::F32
            | ElementType::F16
            | ElementType::BF16
            | ElementType::U8
            | ElementType::Other(_) => None,
        }
    }

    /// Whether weights of this type come unquantised.
    pub fn is_float(&self) -> bool {
        matches!(self, ElementType::F32 | ElementType::F16 | ElementType::BF16)
    }
}
