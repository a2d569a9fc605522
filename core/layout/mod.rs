//! How weights lie in memory: the same bytes on disk, on the GPU and under the CPU's kernels.
//!
//! A matrix `[rows, cols]` (cols a multiple of 32, rows padded with zeros to a multiple of 4) is a
//! sequence of *quads* of four rows; a quad is a sequence of 16-byte *lines*. A line holds the same
//! few columns of the quad's four rows, one u32 for each row, so that a `v128` or a `vec4<u32>`
//! load brings four rows side by side and one scale vector serves them all.
//!
//! | kind | columns a line | the u32 of row r in line l of group g |
//! |---|---|---|
//! | 2 bits: `Q2K` | 16 | byte j: bits 2m and 2m + 1 are column `32g + 16l + 4m + j`, l < 2, m < 4 |
//! | 3 bits: `Q3`, `Q3K` | 16, 32 | the lower two bits as above; in line 2, byte j: bit m is the third bit of column `32g + 4m + j`, m < 8 |
//! | 4 bits: `Q4`, `Q4Min`, `Q4K`, `IQ4NL`, `IQ4XS`, `FP4` | 8 | byte j: low nibble column `32g + 4l + j`, high nibble column `32g + 16 + 4l + j`, l < 4 |
//! | 5 bits: `Q5`, `Q5Min`, `Q5K` | 8, 32 | the lower four bits as above; in line 4, byte j: the fifth bit of the former column is bit l, of the latter bit 4 + l |
//! | 6 bits: `Q6K` | 8, 16 | the lower four bits as above; in line 4, byte j: bits 2l and 2l + 1 are the upper two of the former column, in line 5 of the latter |
//! | `Q8` | 4 | byte j (two's complement): column `32g + 4l + j`, l < 8 |
//! | `F16` | 2 | half j: column `32g + 2l + j`, l < 16 |
//! | `F32` | 1 | column `32g + l`, l < 32 |
//!
//! What codes are multiplied with lies in planes of its own, with a number for each row of the
//! quad. Most kinds have f16 scales, `[quads, groups, 4]`, and those with minima f16 minima
//! likewise. K kinds, of GGUF's K-quants, have two bytes a row and group, `[quads, groups, 2, 4]`,
//! or one, and f16 factors for each *block* of eight groups.
//!
//! | kind | value of a weight with code q | bytes a row and group | factors a row and block |
//! |---|---|---|---|
//! | `Q3`, `Q4`, `Q5` | `scale * (q - 4)`, `scale * (q - 8)`, `scale * (q - 16)` | | |
//! | `Q4Min`, `Q5Min` | `scale * q + min` | | |
//! | `Q8` | `scale * q` | | |
//! | `Q4K`, `Q5K` | `(d * scale) * q - dmin * min` | scale, min | d, dmin |
//! | `Q3K`, `Q6K` | `(d * scale) * (q - 4)`, `(d * scale) * (q - 32)` | signed scales of columns 0..16 and 16..32 | d |
//! | `Q2K` | `(d * scale) * q - dmin * min` | of either half of the columns the scale in the low nibble, the minimum in the high one | d, dmin |
//! | `IQ4NL`, `FP4` | `scale * table[q]` | | |
//! | `IQ4XS` | `(d * scale) * table[q]` | signed scale | d |

mod bits;
pub mod blocks;
pub mod element_type;
pub mod panel;
pub mod quant;
pub mod steps;

use serde::{Deserialize, Serialize};

/// Columns that share a scale.
pub const GROUP: usize = 32;
/// Rows that are interleaved.
pub const QUAD: usize = 4;

/// Columns of half a group.
pub const HALF: usize = GROUP / 2;
/// Groups of a block, which share factors in the K kinds.
pub const BLOCK: usize = 8;

/// What the codes of GGUF's non-linear types stand for.
pub const NON_LINEAR: [i8; 16] =
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// What those of floats of a sign, two bits of exponent and one of mantissa stand for: halves.
pub const HALVES: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// How the elements of a matrix are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// 8-bit symmetric groups, 8.5 bits a weight.
    Q8,
    /// 4-bit symmetric groups, 4.5 bits a weight.
    Q4,
    /// 4-bit groups with an offset, 5 bits a weight.
    Q4Min,
    /// 3-bit symmetric groups, 3.5 bits a weight.
    Q3,
    /// 5-bit symmetric groups, 5.5 bits a weight.
    Q5,
    /// 5-bit groups with an offset, 6 bits a weight.
    Q5Min,
    /// 4-bit groups with an offset, whose scales are codes, too: 4.625 bits a weight.
    Q4K,
    /// The same with 5 bits: 5.625 bits a weight.
    Q5K,
    /// 6-bit symmetric groups of 16, whose scales are codes, too: 6.5625 bits a weight.
    Q6K,
    /// The same with 3 bits: 3.5625 bits a weight.
    Q3K,
    /// 2-bit groups of 16 with an offset, whose scales are codes, too: 2.625 bits a weight.
    Q2K,
    /// Groups of places in [`NON_LINEAR`], 4.5 bits a weight.
    IQ4NL,
    /// The same, whose scales are codes, too: 4.3125 bits a weight.
    IQ4XS,
    /// Groups of 4-bit floats, places in [`HALVES`], 4.5 bits a weight.
    FP4,
}

/// What a group's codes are multiplied with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scales {
    /// Nothing: the elements are floats.
    None,
    /// An f16 scale.
    Half,
    /// An f16 scale, and an f16 minimum that is added.
    HalfMin,
    /// A signed scale in a byte, of what a block's factor stands for.
    Block,
    /// A scale and a minimum in a byte each, of what a block's two factors stand for.
    BlockMin,
    /// Scales of either half in a byte each, of what a block's factor stands for.
    BlockHalves,
    /// A scale and a minimum of either half in a byte together, of what a block's two factors stand
    /// for.
    BlockHalvesMin,
}

impl Kind {
    /// All of them, for tables of tests.
    pub const ALL: [Kind; 16] = [
        Kind::F32,
        Kind::F16,
        Kind::Q8,
        Kind::Q4,
        Kind::Q4Min,
        Kind::Q3,
        Kind::Q5,
        Kind::Q5Min,
        Kind::Q4K,
        Kind::Q5K,
        Kind::Q6K,
        Kind::Q3K,
        Kind::Q2K,
        Kind::IQ4NL,
        Kind::IQ4XS,
        Kind::FP4,
    ];

    /// Bits of an element, scales left out.
    pub const fn code_bits(self) -> usize {
        match self {
            Kind::F32 => 32,
            Kind::F16 => 16,
            Kind::Q8 => 8,
            Kind::Q6K => 6,
            Kind::Q5 | Kind::Q5Min | Kind::Q5K => 5,
            Kind::Q4 | Kind::Q4Min | Kind::Q4K | Kind::IQ4NL | Kind::IQ4XS | Kind::FP4 => 4,
            Kind::Q3 | Kind::Q3K => 3,
            Kind::Q2K => 2,
        }
    }
    /// What codes are multiplied with.
    pub const fn scales(self) -> Scales {
        match self {
            Kind::F32 | Kind::F16 => Scales::None,
            Kind::Q8 | Kind::Q3 | Kind::Q4 | Kind::Q5 | Kind::IQ4NL | Kind::FP4 => Scales::Half,
            Kind::Q4Min | Kind::Q5Min => Scales::HalfMin,
            Kind::Q4K | Kind::Q5K => Scales::BlockMin,
            Kind::Q6K | Kind::Q3K => Scales::BlockHalves,
            Kind::Q2K => Scales::BlockHalvesMin,
            Kind::IQ4XS => Scales::Block,
        }
    }
    /// Bytes of one quad's codes for one group of 32 columns.
    pub const fn codes_per_group(self) -> usize {
        QUAD * GROUP * self.code_bits() / 8
    }
    /// Bytes of one quad's scales for one group.
    pub const fn scales_per_group(self) -> usize {
        match self.scales() {
            Scales::None => 0,
            Scales::Block => QUAD,
            // A half for each row, which two bytes take as well.
            _ => 2 * QUAD,
        }
    }
    /// What codes are places in, if they are.
    pub const fn table(self) -> Option<&'static [i8; 16]> {
        match self {
            Kind::IQ4NL | Kind::IQ4XS => Some(&NON_LINEAR),
            Kind::FP4 => Some(&HALVES),
            _ => None,
        }
    }
    /// Whether codes stand for signed bytes.
    pub const fn is_signed(self) -> bool {
        matches!(self, Kind::Q8) || self.table().is_some()
    }
    /// The whole number that a code stands for: so many steps of its group's scale.
    pub fn steps(self, code: u8) -> f32 {
        match (self, self.table()) {
            (_, Some(table)) => f32::from(table[usize::from(code)]),
            (Kind::Q8, _) => f32::from(code as i8),
            _ => f32::from(code) - f32::from(self.zero()),
        }
    }
    /// The code that stands for zero where no minimum is added.
    pub const fn zero(self) -> u8 {
        match self {
            Kind::Q4 => 8,
            Kind::Q5 => 16,
            Kind::Q6K => 32,
            Kind::Q3 | Kind::Q3K => 4,
            _ => 0,
        }
    }
    /// Whether the halves of a group have scales of their own.
    pub const fn has_halves(self) -> bool {
        matches!(self.scales(), Scales::BlockHalves | Scales::BlockHalvesMin)
    }
    /// Columns that share a scale.
    pub const fn span(self) -> usize {
        if self.has_halves() { HALF } else { GROUP }
    }
    /// Whether groups have a scale.
    pub fn has_scales(self) -> bool {
        self.scales() != Scales::None
    }
    /// Whether there is a third plane: groups' minima or blocks' factors.
    pub fn has_mins(self) -> bool {
        !matches!(self.scales(), Scales::None | Scales::Half)
    }
    /// Whether blocks of [`BLOCK`] groups share factors: rows have whole blocks then.
    pub const fn has_blocks(self) -> bool {
        self.factors() > 0
    }
    /// Factors that a row has for each block of groups.
    pub const fn factors(self) -> usize {
        match self.scales() {
            Scales::BlockMin | Scales::BlockHalvesMin => 2,
            Scales::BlockHalves | Scales::Block => 1,
            Scales::None | Scales::Half | Scales::HalfMin => 0,
        }
    }
    /// Columns of which a row has a multiple.
    pub const fn unit(self) -> usize {
        if self.factors() > 0 { BLOCK * GROUP } else { GROUP }
    }
    /// Bits a weight, scales included.
    pub fn bits(self) -> f64 {
        let sizes = planes(self, QUAD, BLOCK * GROUP);
        8.0 * sizes.bytes() as f64 / (QUAD * BLOCK * GROUP) as f64
    }
}

/// Neighbouring rows of a matrix that are held in one kind. All bands but a matrix's last have a
/// multiple of [`QUAD`] rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Band {
    /// How the elements are held.
    pub kind: Kind,
    /// How many rows.
    pub rows: usize,
}

impl Band {
    /// The same rows, those of one kind that follow each other as one band.
    pub fn joined(bands: impl IntoIterator<Item = Band>) -> Vec<Band> {
        let mut joined: Vec<Band> = Vec::new();
        for band in bands {
            match joined.last_mut() {
                Some(last) if last.kind == band.kind => last.rows += band.rows,
                _ => joined.push(band),
            }
        }
        joined
    }

    /// Sizes of its planes, of rows of `cols` columns.
    pub fn planes(self, cols: usize) -> Planes {
        planes(self.kind, self.rows, cols)
    }
}

/// Byte sizes of the planes of a `[rows, cols]` matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planes {
    /// The elements.
    pub codes: u64,
    /// The scales, or 0.
    pub scales: u64,
    /// The minima of groups or the factors of blocks, or 0.
    pub mins: u64,
}

impl Planes {
    /// Of all of them.
    pub fn bytes(self) -> u64 {
        self.codes + self.scales + self.mins
    }
}

/// Sizes of the planes of `rows` rows (padded to a quad) of `cols` columns.
pub fn planes(kind: Kind, rows: usize, cols: usize) -> Planes {
    let groups = (rows.div_ceil(QUAD) * (cols / GROUP)) as u64;
    let halves = 2 * QUAD as u64;
    let mins = match kind.factors() {
        0 if kind.scales() == Scales::HalfMin => groups * halves,
        factors => groups / BLOCK as u64 * factors as u64 * halves,
    };
    Planes {
        codes: groups * kind.codes_per_group() as u64,
        scales: groups * kind.scales_per_group() as u64,
        mins,
    }
}
