//! How weights lie in memory: the same bytes on disk, on the GPU and under the CPU's kernels.
//!
//! A matrix `[rows, cols]` (cols a multiple of 32, rows padded with zeros to a multiple of 4) is a
//! sequence of *quads* of four rows; a quad is a sequence of 16-byte *lines*. A line holds the same
//! few columns of the quad's four rows, one u32 for each row, so that a `v128` or a `vec4<u32>`
//! load brings four rows side by side and one scale vector serves them all.
//!
//! | kind | columns a line | the u32 of row r in line l of group g |
//! |---|---|---|
//! | `Q4`, `Q4Min` | 8 | byte j: low nibble column `32g + 4l + j`, high nibble column `32g + 16 + 4l + j`, l < 4 |
//! | `Q8` | 4 | byte j (two's complement): column `32g + 4l + j`, l < 8 |
//! | `F16` | 2 | half j: column `32g + 2l + j`, l < 16 |
//! | `F32` | 1 | column `32g + l`, l < 32 |
//!
//! Scales (and minima) are planes of their own: f16, `[quads, groups, 4]`, one for each row of the
//! quad. The value of a weight with code q is `scale * (q - 8)` in `Q4`, `scale * q + min` in
//! `Q4Min` and `scale * q` in `Q8`.

pub mod blocks;
pub mod element_type;
pub mod panel;
pub mod quant;

use serde::{Deserialize, Serialize};

/// Columns that share a scale.
pub const GROUP: usize = 32;
/// Rows that are interleaved.
pub const QUAD: usize = 4;

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
}

impl Kind {
    /// All of them, for tables of tests.
    pub const ALL: [Kind; 5] = [Kind::F32, Kind::F16, Kind::Q8, Kind::Q4, Kind::Q4Min];

    /// Bytes of one quad's codes for one group of 32 columns.
    pub fn codes_per_group(self) -> usize {
        match self {
            Kind::F32 => 512,
            Kind::F16 => 256,
            Kind::Q8 => 128,
            Kind::Q4 | Kind::Q4Min => 64,
        }
    }
    /// Whether groups have a scale.
    pub fn has_scales(self) -> bool {
        matches!(self, Kind::Q8 | Kind::Q4 | Kind::Q4Min)
    }
    /// Whether groups have a minimum.
    pub fn has_mins(self) -> bool {
        self == Kind::Q4Min
    }
    /// Bits a weight, scales included.
    pub fn bits(self) -> f64 {
        match self {
            Kind::F32 => 32.0,
            Kind::F16 => 16.0,
            Kind::Q8 => 8.5,
            Kind::Q4 => 4.5,
            Kind::Q4Min => 5.0,
        }
    }
}

/// Byte sizes of the planes of a `[rows, cols]` matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planes {
    /// The elements.
    pub codes: u64,
    /// The scales, or 0.
    pub scales: u64,
    /// The minima, or 0.
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
    let plane = |present: bool| if present { groups * 2 * QUAD as u64 } else { 0 };
    Planes {
        codes: groups * kind.codes_per_group() as u64,
        scales: plane(kind.has_scales()),
        mins: plane(kind.has_mins()),
    }
}
