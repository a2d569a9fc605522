//! Rows of a matrix as floats, code by code: few are ever asked for.

use half::f16;

use super::Weights;
use crate::layout::panel::{LINE, code};
use crate::layout::{BLOCK, GROUP, Kind, QUAD, Scales};

impl Weights<'_> {
    /// The values of a row.
    pub fn unpack(&self, row: usize, out: &mut [f32]) {
        let (lane, first) = (row % QUAD, row / QUAD * self.groups());
        for (group, out) in out.chunks_exact_mut(GROUP).enumerate() {
            let bytes = self.kind.codes_per_group();
            let codes = &self.codes[(first + group) * bytes..][..bytes];
            if !self.kind.has_scales() {
                floats(self.kind, codes, lane, out);
                continue;
            }
            let factors = self.factors(first + group, lane);
            for (column, out) in out.iter_mut().enumerate() {
                let (scale, min) = factors[column / (GROUP / 2)];
                let code = code(self.kind, &codes[4 * lane..], column);
                *out = scale * self.kind.steps(code) + min;
            }
        }
    }

    /// What the codes of a group's two halves are multiplied with, and what is added then.
    fn factors(&self, group: usize, lane: usize) -> [(f32, f32); 2] {
        let half = |plane: &[u16], at: usize| f16::from_bits(plane[at * QUAD + lane]).to_f32();
        // A quad's row has a byte of the first four and one of the others, where there are some.
        let first = group * self.kind.scales_per_group() / 2;
        let byte = |at: usize| self.scales[first + at * 2 + lane / 2].to_le_bytes()[lane % 2];
        match self.kind.scales() {
            Scales::None => [(1.0, 0.0); 2],
            Scales::Half => [(half(self.scales, group), 0.0); 2],
            Scales::HalfMin => [(half(self.scales, group), half(self.mins, group)); 2],
            Scales::BlockMin => {
                let [d, dmin] = [0, 1].map(|at| half(self.mins, group / BLOCK * 2 + at));
                [(d * f32::from(byte(0)), -dmin * f32::from(byte(1))); 2]
            }
            Scales::BlockHalvesMin => {
                let [d, dmin] = [0, 1].map(|at| half(self.mins, group / BLOCK * 2 + at));
                [0, 1].map(|at| (d * f32::from(byte(at) & 15), -dmin * f32::from(byte(at) >> 4)))
            }
            Scales::Block => [(half(self.mins, group / BLOCK) * f32::from(byte(0) as i8), 0.0); 2],
            Scales::BlockHalves => {
                let d = half(self.mins, group / BLOCK);
                [0, 1].map(|at| (d * f32::from(byte(at) as i8), 0.0))
            }
        }
    }
}

/// A row's group of a kind that has no codes.
fn floats(kind: Kind, lines: &[u8], lane: usize, out: &mut [f32]) {
    for (line, four) in lines.chunks_exact(LINE).enumerate() {
        let [a, b, c, d]: [u8; 4] = std::array::from_fn(|j| four[4 * lane + j]);
        if kind == Kind::F16 {
            out[2 * line] = f16::from_le_bytes([a, b]).to_f32();
            out[2 * line + 1] = f16::from_le_bytes([c, d]).to_f32();
        } else {
            out[line] = f32::from_le_bytes([a, b, c, d]);
        }
    }
}
