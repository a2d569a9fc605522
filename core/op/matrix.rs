//! Weight matrices, and the buffers that hold them.

use super::{Access, Buf, Operand};
use crate::error::{Code, Result, fail};
use crate::layout::{Band, GROUP, Kind, Planes, QUAD, planes};

/// A weight matrix, `[rows, cols]` (output, input), in the packed layout of [`crate::layout`].
///
/// It lies in one or several parts, each a range of rows that begins at a multiple of four, because
/// a device may bind only 128 MiB at once, and because rows may be held in several kinds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Matrix {
    /// Output width.
    pub rows: u32,
    /// Input width, a multiple of 32.
    pub cols: u32,
    /// The rows, in order, without gaps.
    pub parts: Vec<Part>,
}

impl Matrix {
    /// Bytes of its planes.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.planes(self.cols).bytes()).sum()
    }

    /// The kinds of its rows.
    pub fn bands(&self) -> Vec<Band> {
        let band = |part: &Part| Band { kind: part.kind, rows: part.rows as usize };
        Band::joined(self.parts.iter().map(band))
    }

    /// Whether its parts follow each other and come to the whole.
    pub(super) fn check(&self) -> Result<()> {
        if self.cols == 0 || !self.cols.is_multiple_of(GROUP as u32) {
            fail!(Code::Internal, "a matrix of {} columns, no multiple of {GROUP}", self.cols);
        }
        let mut rows = 0u32;
        for part in &self.parts {
            if part.first_row != rows || !rows.is_multiple_of(QUAD as u32) || part.rows == 0 {
                fail!(
                    Code::Internal,
                    "a part of {} rows at row {} after {rows} rows",
                    part.rows,
                    part.first_row
                );
            }
            rows = rows.saturating_add(part.rows);
            if part.scales.is_some() != part.kind.has_scales()
                || part.mins.is_some() != part.kind.has_mins()
            {
                fail!(Code::Internal, "a matrix of {:?} with other planes", part.kind);
            }
        }
        if rows != self.rows {
            fail!(Code::Internal, "parts of {rows} rows, of a matrix of {}", self.rows);
        }
        Ok(())
    }

    pub(super) fn operands(&self) -> impl Iterator<Item = Operand> + '_ {
        self.parts.iter().flat_map(|part| {
            let size = part.planes(self.cols);
            let planes = [
                ("codes", Some(part.codes), size.codes),
                ("scales", part.scales, size.scales),
                ("minima", part.mins, size.mins),
            ];
            planes.into_iter().filter_map(|(name, buf, bytes)| {
                Some(Operand { name, buf: buf?, access: Access::Read, bytes })
            })
        })
    }

    pub(super) fn buffers(&mut self) -> impl Iterator<Item = &mut Buf> {
        self.parts.iter_mut().flat_map(|part| {
            [Some(&mut part.codes), part.scales.as_mut(), part.mins.as_mut()].into_iter().flatten()
        })
    }
}

/// Some rows of a [`Matrix`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Part {
    /// How the elements are held.
    pub kind: Kind,
    /// Where in the matrix the part begins, a multiple of 4.
    pub first_row: u32,
    /// How many rows it has. Its buffers are padded to a multiple of 4 rows.
    pub rows: u32,
    /// The elements: nibbles, bytes, halves or floats, four rows interleaved.
    pub codes: Buf,
    /// Scales of the groups, for kinds with codes.
    pub scales: Option<Buf>,
    /// f16 minima of the groups or factors of the blocks, for kinds that have some.
    pub mins: Option<Buf>,
}

impl Part {
    /// Sizes of its planes, of rows of `cols` columns.
    pub fn planes(&self, cols: u32) -> Planes {
        planes(self.kind, self.rows as usize, cols as usize)
    }
}
