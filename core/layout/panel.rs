//! Some rows of a matrix on their way into the packed layout: what a reader fills and a backend or
//! a file takes.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::{BLOCK, GROUP, Kind, QUAD, Scales, planes};

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
    /// Halves `[quads, groups, 4]` or bytes `[quads, groups, 2 or 1, 4]`, empty for kinds without
    /// any.
    pub scales: Vec<u8>,
    /// Halves, `[quads, groups, 4]` or `[quads, blocks, factors, 4]`, empty for kinds without
    /// either.
    pub mins: Vec<u8>,
}

/// One row's group: 32 codes and what they are multiplied with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// Codes from 0 on; two's complement for `Q8`.
    pub codes: [u8; GROUP],
    /// What a step is worth.
    pub scale: f16,
    /// What code 0 is worth, in kinds with minima; zero otherwise.
    pub min: f16,
}

/// One row's block of a K kind: groups of codes and what they are multiplied with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    /// Codes from 0 on.
    pub codes: [[u8; GROUP]; BLOCK],
    /// Each group's scale and minimum, or the scales of its halves, in two's complement, or what
    /// either half has of both in its nibbles, or its scale and nothing.
    pub scales: [[u8; 2]; BLOCK],
    /// What a step of scales is worth, and one of minima, where there are any.
    pub factors: [f16; 2],
}

impl Panel {
    /// Zeroed rows.
    pub fn new(kind: Kind, rows: usize, cols: usize) -> Panel {
        let unit = kind.unit();
        assert!(cols.is_multiple_of(unit), "columns of {kind:?} come by {unit}");
        let bytes = planes(kind, rows, cols);
        Panel {
            kind,
            rows,
            cols,
            codes: vec![0; bytes.codes as usize],
            scales: vec![0; bytes.scales as usize],
            mins: vec![0; bytes.mins as usize],
        }
    }

    /// Stores a group of a quantised kind that has no blocks.
    pub fn set_group(&mut self, row: usize, group: usize, from: &Group) {
        self.set_codes(row, group, &from.codes);
        let slot = self.slot(row, group);
        set_half(&mut self.scales, slot, from.scale);
        if self.kind.has_mins() {
            set_half(&mut self.mins, slot, from.min);
        }
    }

    /// Reads such a group back.
    pub fn group(&self, row: usize, group: usize) -> Group {
        let slot = self.slot(row, group);
        let min = if self.kind.has_mins() { half(&self.mins, slot) } else { f16::ZERO };
        Group { codes: self.codes_of(row, group), scale: half(&self.scales, slot), min }
    }

    /// Stores a block of a K kind.
    pub fn set_block(&mut self, row: usize, block: usize, from: &Block) {
        for (i, (codes, scales)) in from.codes.iter().zip(from.scales).enumerate() {
            let group = block * BLOCK + i;
            self.set_codes(row, group, codes);
            let bytes = self.bytes_of(row, group);
            bytes.zip(scales).for_each(|(at, scale)| self.scales[at] = scale);
        }
        for (i, &factor) in from.factors.iter().take(self.kind.factors()).enumerate() {
            let slot = self.factor_slot(row, block, i);
            set_half(&mut self.mins, slot, factor);
        }
    }

    /// Reads such a block back.
    pub fn block(&self, row: usize, block: usize) -> Block {
        let groups: [usize; BLOCK] = std::array::from_fn(|i| block * BLOCK + i);
        let scales = groups.map(|group| {
            let mut scales = [0; 2];
            let bytes = self.bytes_of(row, group);
            scales.iter_mut().zip(bytes).for_each(|(scale, at)| *scale = self.scales[at]);
            scales
        });
        let mut factors = [f16::ZERO; 2];
        for (i, factor) in factors.iter_mut().take(self.kind.factors()).enumerate() {
            *factor = half(&self.mins, self.factor_slot(row, block, i));
        }
        Block { codes: groups.map(|group| self.codes_of(row, group)), scales, factors }
    }

    fn set_codes(&mut self, row: usize, group: usize, codes: &[u8; GROUP]) {
        let lines = self.line(row, group, 0);
        let (bits, all) = (self.kind.code_bits(), &mut self.codes[lines..]);
        if bits == 8 {
            for (line, codes) in codes.chunks_exact(4).enumerate() {
                all[line * LINE..][..4].copy_from_slice(codes);
            }
            return;
        }
        let nibbles = bits & 4;
        if nibbles != 0 {
            let (low, high) = codes.split_at(GROUP / 2);
            for (line, (low, high)) in low.chunks_exact(4).zip(high.chunks_exact(4)).enumerate() {
                let both: [u8; 4] = std::array::from_fn(|i| low[i] & 15 | high[i] << 4);
                all[line * LINE..][..4].copy_from_slice(&both);
            }
        }
        if bits & 2 != 0 {
            for (half, codes) in codes.chunks_exact(GROUP / 2).enumerate() {
                let mut bytes = [0u8; 4];
                for (column, &code) in codes.iter().enumerate() {
                    bytes[column % 4] |= (code >> nibbles & 3) << (column / 4 * 2);
                }
                all[(nibbles + half) * LINE..][..4].copy_from_slice(&bytes);
            }
        }
        if bits & 1 != 0 {
            let mut bytes = [0u8; 4];
            for (column, &code) in codes.iter().enumerate() {
                bytes[column % 4] |= (code >> (bits - 1) & 1) << (column / 4);
            }
            all[(bits - 1) * LINE..][..4].copy_from_slice(&bytes);
        }
    }

    fn codes_of(&self, row: usize, group: usize) -> [u8; GROUP] {
        let lines = &self.codes[self.line(row, group, 0)..];
        std::array::from_fn(|column| code(self.kind, lines, column))
    }

    /// Stores a whole row of an unquantised kind; f16 rounds to nearest.
    pub fn set_row(&mut self, row: usize, values: &[f32]) {
        assert_eq!(values.len(), self.cols);
        for (group, values) in values.chunks_exact(GROUP).enumerate() {
            let block = self.line(row, group, 0);
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
                _ => {
                    unreachable!("quantised rows are set group by group")
                }
            }
        }
    }

    /// The values of a row, whatever its kind: what every kernel must agree with.
    pub fn row(&self, row: usize) -> Vec<f32> {
        let groups = self.cols / GROUP;
        match self.kind.scales() {
            Scales::None => (0..self.cols).map(|column| self.float(row, column)).collect(),
            Scales::Half | Scales::HalfMin => {
                (0..groups).flat_map(|at| self.group(row, at).values(self.kind)).collect()
            }
            _ => (0..groups / BLOCK).flat_map(|at| self.block(row, at).values(self.kind)).collect(),
        }
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
        let of_plane = |plane: &[u8]| (0..plane.len() / 2).find(|&i| !half(plane, i).is_finite());
        if self.kind.has_blocks() {
            let of_quad = groups / BLOCK * self.kind.factors() * QUAD;
            return of_plane(&self.mins).map(|at| row_of(at, of_quad));
        }
        of_plane(&self.scales).or_else(|| of_plane(&self.mins)).map(|at| row_of(at, groups * QUAD))
    }

    fn float(&self, row: usize, column: usize) -> f32 {
        let (group, column) = (column / GROUP, column % GROUP);
        if self.kind == Kind::F32 {
            let at = &self.codes[self.line(row, group, column)..];
            f32::from_le_bytes([at[0], at[1], at[2], at[3]])
        } else {
            half(&self.codes[self.line(row, group, column / 2)..], column % 2).to_f32()
        }
    }

    /// A group's place in planes that have one half a row.
    fn slot(&self, row: usize, group: usize) -> usize {
        (row / QUAD * (self.cols / GROUP) + group) * QUAD + row % QUAD
    }

    /// Where a group's bytes lie in planes that have one a row, or two: the second is a quad
    /// further on.
    fn bytes_of(&self, row: usize, group: usize) -> impl Iterator<Item = usize> + use<> {
        let bytes = self.kind.scales_per_group();
        let first = (row / QUAD * (self.cols / GROUP) + group) * bytes;
        (first + row % QUAD..first + bytes).step_by(QUAD)
    }

    fn factor_slot(&self, row: usize, block: usize, factor: usize) -> usize {
        let blocks = self.cols / GROUP / BLOCK;
        ((row / QUAD * blocks + block) * self.kind.factors() + factor) * QUAD + row % QUAD
    }

    /// Where a row's bytes in a line of a group begin.
    fn line(&self, row: usize, group: usize, line: usize) -> usize {
        let group = (row / QUAD * (self.cols / GROUP) + group) * self.kind.codes_per_group();
        group + line * LINE + row % QUAD * 4
    }
}

impl Group {
    /// What its codes stand for.
    pub fn values(&self, kind: Kind) -> [f32; GROUP] {
        let (scale, min) = (self.scale.to_f32(), self.min.to_f32());
        self.codes.map(|code| {
            let value = scale * kind.steps(code);
            if kind.has_mins() { value + min } else { value }
        })
    }
}

impl Block {
    /// What its codes stand for.
    pub fn values(&self, kind: Kind) -> Vec<f32> {
        let [d, dmin] = self.factors.map(f16::to_f32);
        let of_group = |(codes, &[one, other]): (&[u8; GROUP], &[u8; 2])| {
            std::array::from_fn::<f32, GROUP, _>(|i| {
                let steps = kind.steps(codes[i]);
                let own = if i < GROUP / 2 { one } else { other };
                match kind.scales() {
                    Scales::BlockMin => d * f32::from(one) * steps - dmin * f32::from(other),
                    Scales::BlockHalvesMin => {
                        d * f32::from(own & 15) * steps - dmin * f32::from(own >> 4)
                    }
                    Scales::Block => d * f32::from(one as i8) * steps,
                    _ => d * f32::from(own as i8) * steps,
                }
            })
        };
        self.codes.iter().zip(&self.scales).flat_map(of_group).collect()
    }
}

/// A code of a row's group, whose lines begin at the row's first byte. There are as many as a code
/// has bits: nibbles take four, pairs two, single bits one.
pub fn code(kind: Kind, lines: &[u8], column: usize) -> u8 {
    let (line, byte, half) = (column % 16 / 4, column % 4, column / 16);
    let (bits, at) = (kind.code_bits(), |line: usize| lines[line * LINE + byte]);
    if bits == 8 {
        return at(column / 4);
    }
    let (nibbles, mut code) = (bits & 4, 0);
    if nibbles != 0 {
        code |= at(line) >> (4 * half) & 15;
    }
    if bits & 2 != 0 {
        code |= (at(nibbles + half) >> (2 * line) & 3) << nibbles;
    }
    if bits & 1 != 0 {
        code |= (at(bits - 1) >> (line + 4 * half) & 1) << (bits - 1);
    }
    code
}

fn half(plane: &[u8], at: usize) -> f16 {
    f16::from_le_bytes([plane[2 * at], plane[2 * at + 1]])
}

fn set_half(plane: &mut [u8], at: usize, half: f16) {
    plane[2 * at..][..2].copy_from_slice(&half.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_gives_back_what_was_put_in() {
        let mut noise = 1u32;
        let mut next = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 16) as u8
        };
        for kind in Kind::ALL {
            let (rows, cols) = (6, 2 * BLOCK * GROUP);
            let mut panel = Panel::new(kind, rows, cols);
            let mask = ((1u32 << kind.code_bits().min(8)) - 1) as u8;
            let mut groups = Vec::new();
            let mut blocks = Vec::new();
            for row in 0..rows {
                if !kind.has_scales() {
                    let values: Vec<f32> =
                        (0..cols).map(|i| (row * 100 + i) as f32 * 0.25 - 7.0).collect();
                    panel.set_row(row, &values);
                    assert_eq!(panel.row(row), values, "{kind:?} row {row}");
                } else if kind.has_blocks() {
                    for at in 0..2 {
                        let codes = [(); BLOCK].map(|_| [(); GROUP].map(|_| next() & mask));
                        let has_two = kind.scales() != Scales::Block;
                        let scales =
                            [(); BLOCK].map(|_| [next(), if has_two { next() } else { 0 }]);
                        let second = if kind.factors() == 1 { 0.0 } else { 0.25 };
                        let factors = [0.5 + row as f32, second].map(f16::from_f32);
                        let block = Block { codes, scales, factors };
                        panel.set_block(row, at, &block);
                        blocks.push((row, at, block));
                    }
                } else {
                    for at in 0..cols / GROUP {
                        let min = if kind.has_mins() { -2.0 - at as f32 } else { 0.0 };
                        let (scale, min) = (f16::from_f32(0.5 + row as f32), f16::from_f32(min));
                        let group = Group { codes: [(); GROUP].map(|_| next() & mask), scale, min };
                        panel.set_group(row, at, &group);
                        groups.push((row, at, group));
                    }
                }
            }
            for (row, at, group) in groups {
                assert_eq!(panel.group(row, at), group, "{kind:?} row {row} group {at}");
                let values = &panel.row(row)[at * GROUP..][..GROUP];
                assert_eq!(values, group.values(kind), "{kind:?} row {row} group {at}");
            }
            for (row, at, block) in blocks {
                assert_eq!(panel.block(row, at), block, "{kind:?} row {row} block {at}");
            }
        }
    }
}
