//! Weights on their way into buffers of a backend.

use std::sync::Arc;

use super::checkpoint::Checkpoint;
use super::format::WeightFormat;
use super::panels::PanelOrigin;
use super::source::Source;
use super::spec::{self, Shape};
use crate::backend::Backend;
use crate::error::{Code, Result, fail};
use crate::layout::panel::Panel;
use crate::layout::{Band, GROUP, Kind, Planes, QUAD, planes};
use crate::op::{Buf, Matrix, Part};

/// What [`Checkpoint::bias`] is multiplied with.
pub(crate) const ONE: [f32; GROUP] = {
    let mut one = [0.0; GROUP];
    one[0] = 1.0;
    one
};

impl<S: Source> Checkpoint<S> {
    /// Bytes that the weights take once they are loaded: the same for a model, whatever form it is
    /// read from.
    pub fn held_bytes(&self, format: WeightFormat) -> u64 {
        let held = |tensor: spec::TensorSpec| match tensor.shape {
            Shape::Vector(length) => 4 * length as u64,
            Shape::Matrix([rows, cols]) => self
                .bands(&tensor.name, [rows, cols], format)
                .map_or(0, |bands| bands.iter().map(|band| band.planes(cols).bytes()).sum()),
        };
        spec::tensors(&self.config).map(held).sum()
    }

    /// Loads a canonical matrix into buffers of a backend. `progress` hears how many bytes were
    /// read since it last heard.
    ///
    /// # Errors
    /// As [`Self::panels`], and `out-of-memory`. Buffers that were had until then are given back.
    pub async fn matrix<B: Backend>(
        &self,
        backend: &mut B,
        name: &str,
        shape: [usize; 2],
        format: impl Into<WeightFormat>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Arc<Matrix>> {
        let format = format.into();
        let matrix = allocate(backend, name, &self.bands(name, shape, format)?, shape[1])?;
        let mut write = |first_row: usize, panel: Panel, origin: PanelOrigin| {
            write_panel(backend, &matrix, first_row, &panel)?;
            progress(origin.bytes);
            Ok(())
        };
        match self.each_panel(name, shape, format, &mut write).await {
            Ok(()) => Ok(Arc::new(matrix)),
            Err(error) => {
                free(backend, &matrix);
                Err(error)
            }
        }
    }

    /// Loads a canonical vector as a matrix `[len, 32]` whose first column it is. Times [`ONE`],
    /// that is the vector: a product that adds is how a bias is added.
    ///
    /// # Errors
    /// As [`Self::vector`], and `out-of-memory`.
    pub async fn bias<B: Backend>(
        &self,
        backend: &mut B,
        name: &str,
        len: usize,
    ) -> Result<Arc<Matrix>> {
        let mut panel = Panel::new(Kind::F32, len, GROUP);
        for (row, value) in self.vector(name, len).await?.into_iter().enumerate() {
            panel.set_row(row, &ONE.map(|one| one * value));
        }
        let matrix = allocate(backend, name, &[Band { kind: Kind::F32, rows: len }], GROUP)?;
        match write_panel(backend, &matrix, 0, &panel) {
            Ok(()) => Ok(Arc::new(matrix)),
            Err(error) => {
                free(backend, &matrix);
                Err(error)
            }
        }
    }
}

/// Gives a matrix's buffers back.
pub fn free<B: Backend>(backend: &mut B, matrix: &Matrix) {
    for part in &matrix.parts {
        [Some(part.codes), part.scales, part.mins]
            .into_iter()
            .flatten()
            .for_each(|buf| backend.free(buf));
    }
}

/// Buffers for a matrix, of zeros.
pub(crate) fn allocate<B: Backend>(
    backend: &mut B,
    name: &str,
    bands: &[Band],
    cols: usize,
) -> Result<Matrix> {
    let mut matrix = Matrix { rows: 0, cols: cols as u32, parts: Vec::new() };
    for band in bands {
        if let Err(error) = allocate_band(backend, name, *band, &mut matrix) {
            free(backend, &matrix);
            return Err(error);
        }
    }
    Ok(matrix)
}

/// Adds a band to a matrix.
fn allocate_band<B: Backend>(
    backend: &mut B,
    name: &str,
    Band { kind, rows }: Band,
    matrix: &mut Matrix,
) -> Result<()> {
    let (most, cols) = (backend.limits().max_buffer, matrix.cols as usize);
    // Codes are the largest plane of every kind.
    let quads = (most / planes(kind, QUAD, cols).codes).min(rows.div_ceil(QUAD) as u64) as usize;
    if quads == 0 {
        fail!(
            Code::OutOfMemory,
            "{name}: four rows of {cols} do not fit into a buffer; the device allows {most} bytes"
        );
    }
    for first_row in (0..rows).step_by(quads * QUAD) {
        let rows = (quads * QUAD).min(rows - first_row);
        let [codes, scales, mins] = allocate_part(backend, name, planes(kind, rows, cols))?;
        let (codes, rows) = (codes.expect("every kind has codes"), rows as u32);
        matrix.parts.push(Part { kind, first_row: matrix.rows, rows, codes, scales, mins });
        matrix.rows += rows;
    }
    Ok(())
}

/// Buffers for the planes that there are.
fn allocate_part<B: Backend>(
    backend: &mut B,
    name: &str,
    sizes: Planes,
) -> Result<[Option<Buf>; 3]> {
    let mut bufs = [None; 3];
    for (index, bytes) in [sizes.codes, sizes.scales, sizes.mins]
        .into_iter()
        .enumerate()
        .filter(|(_, bytes)| *bytes > 0)
    {
        match backend.alloc(name, bytes) {
            Ok(buf) => bufs[index] = Some(buf),
            Err(error) => {
                bufs.into_iter().flatten().for_each(|buf| backend.free(buf));
                return Err(error);
            }
        }
    }
    Ok(bufs)
}

/// Writes a panel that begins at a quad into the parts that it touches.
pub(crate) fn write_panel<B: Backend>(
    backend: &mut B,
    matrix: &Matrix,
    first_row: usize,
    panel: &Panel,
) -> Result<()> {
    let end = first_row + panel.rows;
    for part in &matrix.parts {
        let (part_first, part_end) =
            (part.first_row as usize, (part.first_row + part.rows) as usize);
        let (from, to) = (first_row.max(part_first), end.min(part_end));
        if from >= to {
            continue;
        }
        let within = |row: usize| planes(panel.kind, row, panel.cols);
        let (begin, upto, at) =
            (within(from - first_row), within(to - first_row), within(from - part_first));
        backend.write(
            part.codes,
            at.codes,
            &panel.codes[begin.codes as usize..upto.codes as usize],
        )?;
        if let Some(buf) = part.scales {
            let scales = &panel.scales[begin.scales as usize..upto.scales as usize];
            backend.write(buf, at.scales, scales)?;
        }
        if let Some(buf) = part.mins {
            let mins = &panel.mins[begin.mins as usize..upto.mins as usize];
            backend.write(buf, at.mins, mins)?;
        }
    }
    Ok(())
}
