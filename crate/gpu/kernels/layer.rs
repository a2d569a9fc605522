//! What a layer does besides attention: rows of a table, norms, products of few tokens and of many.

use bytemuck::bytes_of;

use super::{Dispatch, MAX_SIDE, Tuning};
use crate::gpu::params::{Embed, Gated, Matmul, Matvec, Norm, Swiglu};
use crate::gpu::shaders::{Block, Input, Shader, TILE_TOKENS};
use crate::gpu::work::Work;
use crate::layout::{GROUP, QUAD};
use crate::op::{self, Buf, Matrix, Part};

pub(super) fn embed(tuning: &Tuning, op: &op::Embed) -> Vec<Dispatch> {
    let op::Embed { table, ids, out, rows } = op;
    let of_part = |part: &Part| Dispatch {
        shader: Shader::Embed(part.kind),
        constants: vec![("WG", tuning.workgroup), ("GROUPS", groups_of_columns(table))],
        params: bytes_of(&Embed { first_row: part.first_row, part_rows: part.rows }).to_vec(),
        buffers: planes(part).chain([(4, *ids), (5, *out)]).collect(),
        groups: [(table.cols / 4).div_ceil(tuning.workgroup), *rows, 1],
        work: Work::lookup(table, part, *rows),
    };
    table.parts.iter().map(of_part).collect()
}

pub(super) fn norm(tuning: &Tuning, op: &op::Norm) -> Vec<Dispatch> {
    let op::Norm { x, weight, out, first_row, rows, width, eps_bits } = *op;
    vec![Dispatch {
        shader: Shader::Norm(tuning.reduce),
        constants: vec![("WG", tuning.workgroup)],
        params: bytes_of(&Norm { first_row, width4: width / 4, eps: f32::from_bits(eps_bits) })
            .to_vec(),
        buffers: vec![(1, x), (2, weight), (3, out)],
        groups: [rows, 1, 1],
        work: Work::floats(format!("{rows} × {width}"), (2 * rows + 1) * width),
    }]
}

pub(super) fn swiglu(tuning: &Tuning, op: &op::Swiglu) -> Vec<Dispatch> {
    let op::Swiglu { gate_up, out, width, rows } = *op;
    vec![Dispatch {
        shader: Shader::Swiglu,
        constants: vec![("WG", tuning.workgroup)],
        params: bytes_of(&Swiglu { width }).to_vec(),
        buffers: vec![(1, gate_up), (2, out)],
        groups: [width.div_ceil(tuning.workgroup), rows, 1],
        work: Work::floats(format!("{rows} × {width}"), 3 * rows * width),
    }]
}

/// Of few tokens, each part's rows by themselves; of many, in tiles.
pub(super) fn matmul(tuning: &Tuning, op: &op::Matmul) -> Vec<Dispatch> {
    if op.rows <= tuning.few_tokens {
        return few_matmul(tuning, op, &op.into());
    }
    op.w.parts.iter().map(|part| tiled(tuning, op, part)).collect()
}

/// The product of few tokens, which a norm may go before.
pub(super) fn few_matmul(tuning: &Tuning, op: &op::Matmul, input: &Few) -> Vec<Dispatch> {
    op.w.parts.iter().map(|part| matvec(tuning, op, part, input)).collect()
}

/// The input of a kernel for few tokens.
pub(super) struct Few {
    x: Buf,
    /// Where they begin.
    x_row: u32,
    /// Weights and epsilon of the norm that goes before.
    norm: Option<(Buf, f32)>,
    /// Tokens.
    rows: u32,
}

impl Few {
    /// Bindings 4 to 6.
    fn bindings(&self, part: &Part, out: Buf) -> Vec<(u32, Buf)> {
        let gamma = self.norm.map(|(gamma, _)| (5, gamma));
        planes(part).chain([(4, self.x)]).chain(gamma).chain([(6, out)]).collect()
    }

    /// How many floats it is, with the norm's weights.
    fn floats(&self, w: &Matrix) -> u32 {
        w.cols * (self.rows + u32::from(self.norm.is_some()))
    }

    fn form(&self) -> Input {
        if self.norm.is_some() { Input::Normed } else { Input::Plain }
    }

    fn eps(&self) -> f32 {
        self.norm.map_or(0.0, |(_, eps)| eps)
    }
}

impl From<&op::Matmul> for Few {
    fn from(op: &op::Matmul) -> Few {
        Few { x: op.x, x_row: 0, norm: None, rows: op.rows }
    }
}

impl From<&op::Norm> for Few {
    fn from(op: &op::Norm) -> Few {
        Few {
            x: op.x,
            x_row: op.first_row,
            norm: Some((op.weight, f32::from_bits(op.eps_bits))),
            rows: op.rows,
        }
    }
}

fn matvec(tuning: &Tuning, op: &op::Matmul, part: &Part, input: &Few) -> Dispatch {
    let op::Matmul { w, out, add, .. } = op;
    let params = Matvec {
        rows: w.rows,
        first_row: part.first_row,
        part_rows: part.rows,
        add: (*add).into(),
        x_row: input.x_row,
        eps: input.eps(),
    };
    let block = tuning.block(input.rows);
    Dispatch {
        shader: Shader::Matvec(
            part.kind,
            tuning.products(part.kind, input.rows),
            tuning.reduce,
            input.form(),
            block,
        ),
        constants: vec![("WG", tuning.workgroup), ("GROUPS", groups_of_columns(w))],
        params: bytes_of(&params).to_vec(),
        buffers: input.bindings(part, *out),
        groups: grid_of_quads(part.rows, block),
        work: Work::product(
            w,
            part,
            input.rows,
            input.floats(w) + input.rows * outputs(part, *add),
        ),
    }
}

/// The product with gate and up, and what makes these one.
pub(super) fn gated(
    tuning: &Tuning,
    op: &op::Matmul,
    part: &Part,
    input: &Few,
    out: Buf,
) -> Dispatch {
    let (w, block) = (&op.w, tuning.block(input.rows));
    let params = Gated { width: w.rows / 2, x_row: input.x_row, eps: input.eps() };
    Dispatch {
        shader: Shader::Gated(
            part.kind,
            tuning.products(part.kind, input.rows),
            tuning.reduce,
            input.form(),
            block,
        ),
        constants: vec![("WG", tuning.workgroup), ("GROUPS", groups_of_columns(w))],
        params: bytes_of(&params).to_vec(),
        buffers: input.bindings(part, out),
        groups: grid_of_quads(w.rows / 2, block),
        work: Work::product(w, part, input.rows, input.floats(w) + input.rows * w.rows / 2),
    }
}

/// Floats of a token's output that a product writes, and reads where it adds to them.
fn outputs(part: &Part, add: bool) -> u32 {
    part.rows * (1 + u32::from(add))
}

/// A workgroup for each block of quads of rows, in a grid of two sides where one is not enough.
fn grid_of_quads(rows: u32, block: Block) -> [u32; 3] {
    let blocks = rows.div_ceil(QUAD as u32 * block.quads);
    [blocks.min(MAX_SIDE), blocks.div_ceil(MAX_SIDE), 1]
}

fn tiled(tuning: &Tuning, op: &op::Matmul, part: &Part) -> Dispatch {
    let op::Matmul { w, x, out, rows, add } = op;
    let rows = *rows;
    let params = Matmul {
        rows: w.rows,
        first_row: part.first_row,
        part_rows: part.rows,
        tokens: rows,
        add: (*add).into(),
    };
    let (quads, teams) = tuning.tile;
    Dispatch {
        shader: Shader::Matmul(part.kind, tuning.products(part.kind, rows)),
        constants: vec![("QUADS", quads), ("TEAMS", teams), ("GROUPS", groups_of_columns(w))],
        params: bytes_of(&params).to_vec(),
        buffers: planes(part).chain([(4, *x), (5, *out)]).collect(),
        groups: [part.rows.div_ceil(quads * QUAD as u32), rows.div_ceil(TILE_TOKENS * teams), 1],
        work: Work::product(w, part, rows, rows * (w.cols + outputs(part, *add))),
    }
}

fn groups_of_columns(matrix: &Matrix) -> u32 {
    matrix.cols / GROUP as u32
}

/// Bindings 1 to 3: the planes of a matrix.
fn planes(part: &Part) -> impl Iterator<Item = (u32, Buf)> {
    let planes = [(1, Some(part.codes)), (2, part.scales), (3, part.mins)];
    planes.into_iter().filter_map(|(at, buf)| buf.map(|buf| (at, buf)))
}
