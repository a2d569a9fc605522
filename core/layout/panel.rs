//! Some rows of a matrix on their way into the packed layout: what a reader fills and a backend or
//! a file takes.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::{GROUP, Kind, QUAD, planes};

/// Bytes of a line: a u32 for each row of a quad.
pub const LINE: usize = 4 * QUAD;

/// Packed rows. Rows that were not set are zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// How the elements are held.
    pub kind: Kind,
    /// Rows, without padding.
    pub rows: usize,
    /// Columns, a multiple of 32.
    pub cols: usize,
    /// `[quads, groups, lines, 4]` u32, little-endian.
    pub codes: Vec<u8>,
    /// `[quads, groups, 4]`, empty for kinds without scales.
    pub scales: Vec<f16>,
    /// `[quads, groups, 4]`, empty for kinds without minima.
    pub mins: Vec<f16>,
}

/// One row's group: 32 codes and what they are multiplied with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// Codes 0..16 for the 4-bit kinds; two's complement for `Q8`.
    pub codes: [u8; GROUP],
    /// What a step is worth.
    pub scale: f16,
    /// What code 0 is worth, in `Q4Min`; zero otherwise.
    pub min: f16,
}

impl Panel {
    /// Zeroed rows.
    pub fn new(kind: Kind, rows: usize, cols: usize) -> Panel {
        assert!(cols.is_multiple_of(GROUP), "columns come in groups of {GROUP}");
        let bytes = planes(kind, rows, cols);
        Panel {
            kind,
            rows,
            cols,
            codes: vec![0; bytes.codes as usize],
            scales: vec![f16::ZERO; bytes.scales as usize / 2],
            mins: vec![f16::ZERO; bytes.mins as usize / 2],
        }
    }

    /// Stores a group of a quantised kind.
    pub fn set_group(&mut self, row: usize, group: usize, from: &Group) {
        let slot = self.slot(row, group);
        let block = self.place(row, group, 0).0;
        if self.kind == Kind::Q8 {
            for (line, codes) in from.codes.chunks_exact(4).enumerate() {
                self.codes[block + line * LINE..][..4].copy_from_slice(codes);
            }
        } else {
            let (low, high) = from.codes.split_at(GROUP / 2);
            for (line, (low, high)) in low.chunks_exact(4).zip(high.chunks_exact(4)).enumerate() {
                let both: [u8; 4] = std::array::from_fn(|i| low[i] | high[i] << 4);
                self.codes[block + line * LINE..][..4].copy_from_slice(&both);
            }
        }
        self.scales[slot] = from.scale;
        if self.kind.has_mins() {
            self.mins[slot] = from.min;
        }
    }

    /// Reads a group of a quantised kind back.
    pub fn group(&self, row: usize, group: usize) -> Group {
        let slot = self.slot(row, group);
        let mask = if self.kind == Kind::Q8 { 0xff } else { 0x0f };
        let codes = std::array::from_fn(|column| {
            let (byte, shift) = self.place(row, group, column);
            (self.codes[byte] >> shift) & mask
        });
        Group {
            codes,
            scale: self.scales[slot],
            min: if self.kind.has_mins() { self.mins[slot] } else { f16::ZERO },
        }
    }

    /// Stores a whole row of an unquantised kind; f16 rounds to nearest.
    pub fn set_row(&mut self, row: usize, values: &[f32]) {
        assert_eq!(values.len(), self.cols);
        for (group, values) in values.chunks_exact(GROUP).enumerate() {
            let block = self.place(row, group, 0).0;
            match self.kind {
                Kind::F32 => {
                    for (line, value) in values.iter().enumerate() {
                        self.codes[block + line * LINE..][..4]
                            .copy_from_slice(&value.to_le_bytes());
                    }
                }
                Kind::F16 => {
                    let mut halves = [f16::ZERO; GROUP];
                    halves.convert_from_f32_slice(values);
                    for (line, pair) in halves.chunks_exact(2).enumerate() {
                        self.codes[block + line * LINE..][..4]
                            .copy_from_slice(bytemuck::cast_slice(pair));
                    }
                }
                Kind::Q8 | Kind::Q4 | Kind::Q4Min => {
                    unreachable!("quantised rows are set group by group")
                }
            }
        }
    }

    /// The values of a row, whatever its kind: what every kernel must agree with.
    pub fn row(&self, row: usize) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.cols);
        for group in 0..self.cols / GROUP {
            if self.kind.has_scales() {
                let found = self.group(row, group);
                let (scale, min) = (found.scale.to_f32(), found.min.to_f32());
                values.extend(found.codes.iter().map(|&code| match self.kind {
                    Kind::Q8 => scale * f32::from(code as i8),
                    Kind::Q4 => scale * (f32::from(code) - 8.0),
                    _ => scale * f32::from(code) + min,
                }));
            } else {
                values.extend((0..GROUP).map(|column| self.float(row, group, column)));
            }
        }
        values
    }

    /// A row that has a weight, a scale or a minimum which is NaN or infinite.
    pub fn row_not_finite(&self) -> Option<usize> {
        let groups = self.cols / GROUP;
        let row_of = |at: usize, to_a_quad: usize| at / to_a_quad * QUAD + at % QUAD;
        let word = |word: &[u8]| match self.kind {
            Kind::F32 => !f32::from_le_bytes([word[0], word[1], word[2], word[3]]).is_finite(),
            _ => [0, 2]
                .into_iter()
                .any(|half| !f16::from_le_bytes([word[half], word[half + 1]]).is_finite()),
        };
        if !self.kind.has_scales() {
            let at = self.codes.chunks_exact(4).position(word)?;
            return Some(row_of(at, groups * self.kind.codes_per_group() / 4));
        }
        let of_plane = |plane: &[f16]| plane.iter().position(|half| !half.is_finite());
        of_plane(&self.scales).or_else(|| of_plane(&self.mins)).map(|at| row_of(at, groups * QUAD))
    }

    fn float(&self, row: usize, group: usize, column: usize) -> f32 {
        let (byte, _) = self.place(row, group, column);
        let at = &self.codes[byte..];
        if self.kind == Kind::F32 {
            f32::from_le_bytes([at[0], at[1], at[2], at[3]])
        } else {
            f16::from_le_bytes([at[0], at[1]]).to_f32()
        }
    }

    fn slot(&self, row: usize, group: usize) -> usize {
        (row / QUAD * (self.cols / GROUP) + group) * QUAD + row % QUAD
    }

    /// The byte that holds a column of a group, and how far its bits are shifted in it.
    fn place(&self, row: usize, group: usize, column: usize) -> (usize, u32) {
        let (line, byte, shift) = match self.kind {
            Kind::F32 => (column, 0, 0),
            Kind::F16 => (column / 2, column % 2 * 2, 0),
            Kind::Q8 => (column / 4, column % 4, 0),
            Kind::Q4 | Kind::Q4Min => {
                (column % 16 / 4, column % 4, if column < 16 { 0 } else { 4 })
            }
        };
        let block = (row / QUAD * (self.cols / GROUP) + group) * self.kind.codes_per_group();
        (block + line * LINE + row % QUAD * 4 + byte, shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_gives_back_what_was_put_in() {
        for kind in Kind::ALL {
            let (rows, cols) = (6, 64);
            let mut panel = Panel::new(kind, rows, cols);
            let mut expected = vec![vec![0.0f32; cols]; rows];
            for (row, values) in expected.iter_mut().enumerate() {
                if !kind.has_scales() {
                    values
                        .iter_mut()
                        .enumerate()
                        .for_each(|(i, v)| *v = (row * 100 + i) as f32 * 0.25 - 7.0);
                    panel.set_row(row, values);
                    continue;
                }
                for group in 0..2 {
                    let scale = f16::from_f32(0.5 + row as f32);
                    let min = if kind.has_mins() {
                        f16::from_f32(-2.0 - group as f32)
                    } else {
                        f16::ZERO
                    };
                    let codes = std::array::from_fn(|i| ((i * 7 + row * 3 + group) % 16) as u8);
                    panel.set_group(row, group, &Group { codes, scale, min });
                    for (i, &code) in codes.iter().enumerate() {
                        let zero = if kind == Kind::Q4 { 8.0 } else { 0.0 };
                        values[group * 32 + i] =
                            scale.to_f32() * (f32::from(code) - zero) + min.to_f32();
                    }
                    assert_eq!(panel.group(row, group), Group { codes, scale, min });
                }
            }
            for (row, values) in expected.iter().enumerate() {
                assert_eq!(&panel.row(row), values, "{kind:?} row {row}");
            }
        }
    }
}
