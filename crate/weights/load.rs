//! Weights on their way into buffers: read in panels of bounded size, fused, put in order and
//! packed on the way.

use std::sync::Arc;

use half::f16;

use super::blocks::{pack_row, values};
use super::checkpoint::{Checkpoint, Place};
use super::quant::{NOT_FINITE, QuantError, SCALE_NOT_FINITE};
use super::source::Source;
use super::spec::{self, Role, Shape};
use super::tensor::Tensor;
use crate::backend::Backend;
use crate::error::{Code, Result, fail};
use crate::layout::panel::Panel;
use crate::layout::{GROUP, Kind, Planes, QUAD, planes};
use crate::op::{Buf, Matrix, Part};

/// Stored bytes that are read at once.
const PANEL_BYTES: usize = 4 << 20;

/// What [`Checkpoint::bias`] is multiplied with.
pub(crate) const ONE: [f32; GROUP] = {
    let mut one = [0.0; GROUP];
    one[0] = 1.0;
    one
};

/// How many bits a weight that comes unquantised is held in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Bits {
    /// Symmetric groups of 4 bits: 4.5 bits a weight.
    #[default]
    Four,
    /// As `Four`, but 8 in the projections of queries, keys and values, and an offset in the down
    /// projections, which bear rounding worst: about 5 bits a weight.
    Five,
    /// Groups of 8 bits: 8.5 bits a weight.
    Eight,
    /// Half precision.
    Sixteen,
    /// As they are.
    ThirtyTwo,
}

impl Bits {
    /// All of them.
    pub const ALL: [Bits; 5] =
        [Bits::Four, Bits::Five, Bits::Eight, Bits::Sixteen, Bits::ThirtyTwo];

    /// `4`, `5`, `8`, `16` or `32`.
    pub fn parse(text: &str) -> Option<Bits> {
        Bits::ALL.into_iter().find(|bits| text.parse() == Ok(bits.number()))
    }

    /// What users call it.
    pub fn number(self) -> u32 {
        match self {
            Bits::Four => 4,
            Bits::Five => 5,
            Bits::Eight => 8,
            Bits::Sixteen => 16,
            Bits::ThirtyTwo => 32,
        }
    }
}

/// How weights are to be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WeightFormat {
    /// The kind of those that come unquantised.
    pub floats: Kind,
    /// The same for the fused projections of queries, keys and values.
    pub qkv: Kind,
    /// The same for the projections down from the MLP's inner width.
    pub down: Kind,
    /// The kind of those that come quantised or converted, or `None` to hold each as
    /// [`super::blocks`] says.
    pub quantised: Option<Kind>,
}

impl WeightFormat {
    /// Everything as f32, whatever it was: for checking other kinds against.
    pub const EXACT: WeightFormat = WeightFormat {
        floats: Kind::F32,
        qkv: Kind::F32,
        down: Kind::F32,
        quantised: Some(Kind::F32),
    };

    /// Part of the names under which models, and halves of downloads, are stored: what it was in
    /// the first version is in people's browsers.
    pub(crate) fn stored_name(self) -> String {
        format!("{self:?}").replacen("WeightFormat", "Hold", 1)
    }

    /// The kind of a canonical matrix that comes unquantised.
    fn floats_of(self, name: &str) -> Kind {
        match spec::role(name) {
            Some(Role::Qkv) => self.qkv,
            Some(Role::Down) => self.down,
            _ => self.floats,
        }
    }
}

impl From<Kind> for WeightFormat {
    /// Unquantised weights as `kind`, quantised ones as they come.
    fn from(kind: Kind) -> WeightFormat {
        WeightFormat { floats: kind, qkv: kind, down: kind, quantised: None }
    }
}

impl From<Bits> for WeightFormat {
    fn from(bits: Bits) -> WeightFormat {
        match bits {
            Bits::Four => Kind::Q4.into(),
            Bits::Five => WeightFormat { qkv: Kind::Q8, down: Kind::Q4Min, ..Kind::Q4.into() },
            Bits::Eight => Kind::Q8.into(),
            Bits::Sixteen => Kind::F16.into(),
            Bits::ThirtyTwo => Kind::F32.into(),
        }
    }
}

/// Where panels go: the first row, the panel, and what it came from.
pub(super) type Sink<'a> = &'a mut dyn FnMut(usize, Panel, Origin) -> Result<()>;

/// What a panel came from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Origin {
    /// Bytes that were read for it.
    pub bytes: u64,
    /// What it lost on the way.
    pub quant_error: QuantError,
}

/// The rows of one panel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Which of the stored tensors that the matrix consists of they lie in, and where there.
    pub piece: usize,
    pub first_row: usize,
    /// Where they are in the matrix.
    pub row: usize,
    pub rows: usize,
}

impl<S: Source> Checkpoint<S> {
    /// The kind in which a canonical matrix will be held. Fused projections of several types take
    /// the widest.
    ///
    /// # Errors
    /// `missing-tensor` and `wrong-shape`.
    pub fn kind_of(
        &self,
        name: &str,
        shape: [usize; 2],
        format: impl Into<WeightFormat>,
    ) -> Result<Kind> {
        Ok(kind(name, &self.place(name, &shape)?, format.into()))
    }

    /// Bytes that loading the whole model reads.
    pub fn weight_bytes(&self) -> u64 {
        let tensors = spec::tensors(&self.config);
        tensors
            .iter()
            .filter_map(|tensor| self.place(&tensor.name, tensor.shape.dims()).ok())
            .map(|place| place.bytes())
            .sum()
    }

    /// Bytes that the weights take once they are loaded: the same for a model, whatever form it is
    /// read from.
    pub fn held_bytes(&self, format: WeightFormat) -> u64 {
        let held = |tensor: &spec::TensorSpec| match tensor.shape {
            Shape::Vector(length) => 4 * length as u64,
            Shape::Matrix([rows, cols]) => self
                .kind_of(&tensor.name, [rows, cols], format)
                .map_or(0, |kind| planes(kind, rows, cols).bytes()),
        };
        spec::tensors(&self.config).iter().map(held).sum()
    }

    /// How many weights the model has, those that are tied counted once.
    pub fn parameters(&self) -> u64 {
        spec::tensors(&self.config)
            .iter()
            .map(|tensor| tensor.shape.dims().iter().map(|&n| n as u64).product::<u64>())
            .sum()
    }

    /// A canonical vector, `[len]`.
    ///
    /// # Errors
    /// `missing-tensor`, `wrong-shape`, and those of reading.
    pub async fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        let Place::Pieces(pieces) = self.place(name, &[len])? else {
            unreachable!("vectors are never packed");
        };
        let mut all = Vec::with_capacity(len);
        for (tensor, interleaved) in pieces {
            let mut bytes = vec![0; tensor.bytes as usize];
            self.store.read(&tensor.file, tensor.offset, &mut bytes).await?;
            let stored = values(&tensor.stored, &bytes)?;
            let head_dim = self.config.head_dim as usize;
            all.extend(
                (0..stored.len()).map(|row| {
                    stored[if interleaved { interleaved_row(row, head_dim) } else { row }]
                }),
            );
        }
        if all.iter().any(|value| !value.is_finite()) {
            fail!(Code::Malformed, "{name} in {}: {NOT_FINITE}", self.store.name());
        }
        Ok(all)
    }

    /// Streams a canonical matrix, `[output, input]`, in order, in panels of whole quads (the last
    /// may be shorter), each made from about 4 MiB of the file.
    ///
    /// # Errors
    /// `missing-tensor`, `wrong-shape`, those of reading, and the sink's own.
    pub async fn panels(
        &self,
        name: &str,
        shape: [usize; 2],
        format: impl Into<WeightFormat>,
        sink: &mut dyn FnMut(usize, Panel) -> Result<()>,
    ) -> Result<()> {
        self.each_panel(name, shape, format.into(), &mut |first_row, panel, _| {
            sink(first_row, panel)
        })
        .await
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
        let kind = self.kind_of(name, shape, format)?;
        let matrix = allocate(backend, name, shape, kind)?;
        let mut write = |first_row: usize, panel: Panel, origin: Origin| {
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
        let matrix = allocate(backend, name, [len, GROUP], Kind::F32)?;
        match write_panel(backend, &matrix, 0, &panel) {
            Ok(()) => Ok(Arc::new(matrix)),
            Err(error) => {
                free(backend, &matrix);
                Err(error)
            }
        }
    }

    /// As [`Self::panels`], with what each panel came from.
    pub(super) async fn each_panel(
        &self,
        name: &str,
        shape: [usize; 2],
        format: WeightFormat,
        sink: Sink<'_>,
    ) -> Result<()> {
        let place = self.place(name, &shape)?;
        let kind = kind(name, &place, format);
        for step in self.steps(&place, shape) {
            let (panel, origin) = self.panel(&place, shape, kind, step).await?;
            sink(step.row, panel, origin)?;
        }
        Ok(())
    }

    /// The panels that a matrix is read in.
    pub(crate) fn steps(&self, place: &Place<'_>, [rows, cols]: [usize; 2]) -> Vec<Step> {
        let mut steps = Vec::new();
        match place {
            Place::Packed { entry, .. } => {
                let at_once =
                    rows_at_once(cols / GROUP * entry.kind.codes_per_group() / QUAD, QUAD);
                steps.extend((0..rows).step_by(at_once).map(|row| Step {
                    piece: 0,
                    first_row: row,
                    row,
                    rows: at_once.min(rows - row),
                }));
            }
            Place::Pieces(pieces) => {
                let mut before = 0;
                for (piece, &(tensor, interleaved)) in pieces.iter().enumerate() {
                    let rows = tensor.shape[0] as usize;
                    let at_once = rows_at_once(
                        (tensor.bytes / tensor.shape[0]) as usize,
                        if interleaved { self.config.head_dim as usize } else { QUAD },
                    );
                    steps.extend((0..rows).step_by(at_once).map(|first_row| Step {
                        piece,
                        first_row,
                        row: before + first_row,
                        rows: at_once.min(rows - first_row),
                    }));
                    before += rows;
                }
            }
        }
        steps
    }

    /// Reads one of them, as `kind`.
    pub(crate) async fn panel(
        &self,
        place: &Place<'_>,
        shape: [usize; 2],
        kind: Kind,
        step: Step,
    ) -> Result<(Panel, Origin)> {
        match place {
            Place::Packed { entry, codes, scales, mins } => {
                let (panel, mut origin) = self
                    .packed_panel(shape[1], entry.kind, [Some(codes), *scales, *mins], step)
                    .await?;
                Ok((
                    if entry.kind == kind {
                        panel
                    } else {
                        repack(&panel, kind, &mut origin.quant_error)?
                    },
                    origin,
                ))
            }
            Place::Pieces(pieces) => {
                let (tensor, interleaved) = pieces[step.piece];
                self.piece_panel(tensor, interleaved, kind, step).await
            }
        }
    }

    async fn piece_panel(
        &self,
        tensor: &Tensor,
        interleaved: bool,
        kind: Kind,
        step: Step,
    ) -> Result<(Panel, Origin)> {
        let row_bytes = (tensor.bytes / tensor.shape[0]) as usize;
        let head_dim = self.config.head_dim as usize;
        let mut bytes = vec![0; step.rows * row_bytes];
        self.store
            .read(
                &tensor.file,
                tensor.offset + step.first_row as u64 * row_bytes as u64,
                &mut bytes,
            )
            .await?;
        let (mut panel, mut error) =
            (Panel::new(kind, step.rows, tensor.shape[1] as usize), QuantError::default());
        for row in 0..step.rows {
            let stored_row = if interleaved { interleaved_row(row, head_dim) } else { row };
            let stored = &bytes[stored_row * row_bytes..][..row_bytes];
            error += pack_row(&tensor.stored, stored, &mut panel, row).map_err(|error| {
                error.at(format_args!("{} row {}", tensor.name, step.first_row + stored_row))
            })?;
        }
        Ok((panel, Origin { bytes: bytes.len() as u64, quant_error: error }))
    }

    async fn packed_panel(
        &self,
        cols: usize,
        kind: Kind,
        tensors: [Option<&Tensor>; 3],
        step: Step,
    ) -> Result<(Panel, Origin)> {
        let mut panel = Panel::new(kind, step.rows, cols);
        let before = planes(kind, step.row, cols);
        let ranges = [
            (&mut panel.codes[..], before.codes),
            (bytemuck::cast_slice_mut::<f16, u8>(&mut panel.scales), before.scales),
            (bytemuck::cast_slice_mut::<f16, u8>(&mut panel.mins), before.mins),
        ];
        let mut read = 0;
        for ((into, offset), tensor) in ranges.into_iter().zip(tensors) {
            if let Some(tensor) = tensor {
                self.store.read(&tensor.file, tensor.offset + offset, into).await?;
                read += into.len() as u64;
            }
        }
        if let (Some(row), Some(Tensor { name, .. })) = (panel.row_not_finite(), tensors[0]) {
            let what = if kind.has_scales() { SCALE_NOT_FINITE } else { NOT_FINITE };
            fail!(Code::Malformed, "{name} row {}: {what}", step.row + row);
        }
        Ok((panel, Origin { bytes: read, quant_error: QuantError::default() }))
    }
}

impl Place<'_> {
    fn bytes(&self) -> u64 {
        match self {
            Place::Pieces(pieces) => pieces.iter().map(|(tensor, _)| tensor.bytes).sum(),
            Place::Packed { codes, scales, mins, .. } => {
                [Some(*codes), *scales, *mins].iter().flatten().map(|tensor| tensor.bytes).sum()
            }
        }
    }
}

pub(crate) fn kind(name: &str, place: &Place<'_>, format: WeightFormat) -> Kind {
    match place {
        Place::Packed { entry, .. } => format.quantised.unwrap_or(entry.kind),
        Place::Pieces(pieces) => {
            let each = pieces.iter().map(|(tensor, _)| match tensor.stored.quantised_kind() {
                Some(natural) => format.quantised.unwrap_or(natural),
                None => format.floats_of(name),
            });
            each.max_by(|one, other| one.bits().total_cmp(&other.bits()))
                .unwrap_or_else(|| format.floats_of(name))
        }
    }
}

/// Rows for one panel: about [`PANEL_BYTES`], in whole units.
fn rows_at_once(row_bytes: usize, unit: usize) -> usize {
    (PANEL_BYTES / row_bytes.max(1) / unit).max(1) * unit
}

/// Where row `row` of rotate-half order lies among heads whose halves are interleaved: i of the
/// first half at 2i, of the second at 2i + 1.
fn interleaved_row(row: usize, head_dim: usize) -> usize {
    let (head, i, half) =
        (row / head_dim, row % head_dim % (head_dim / 2), row % head_dim / (head_dim / 2));
    head * head_dim + 2 * i + half
}

/// The same rows in another kind. `error` counts what they lose.
fn repack(panel: &Panel, kind: Kind, error: &mut QuantError) -> Result<Panel> {
    let mut other = Panel::new(kind, panel.rows, panel.cols);
    for row in 0..panel.rows {
        let values = panel.row(row);
        let bytes: &[u8] = bytemuck::cast_slice(&values);
        *error += pack_row(&super::tensor::Stored::F32, bytes, &mut other, row)?;
    }
    Ok(other)
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

pub(super) fn allocate<B: Backend>(
    backend: &mut B,
    name: &str,
    [rows, cols]: [usize; 2],
    kind: Kind,
) -> Result<Matrix> {
    let most = backend.limits().max_buffer;
    // Codes are the largest plane of every kind.
    let quads = (most / planes(kind, QUAD, cols).codes).min(rows.div_ceil(QUAD) as u64) as usize;
    if quads == 0 {
        fail!(
            Code::OutOfMemory,
            "{name}: four rows of {cols} do not fit into a buffer; the device allows {most} bytes"
        );
    }
    let mut matrix = Matrix { kind, rows: rows as u32, cols: cols as u32, parts: Vec::new() };
    for first_row in (0..rows).step_by(quads * QUAD) {
        let part_rows = (quads * QUAD).min(rows - first_row);
        match allocate_part(backend, name, planes(kind, part_rows, cols)) {
            Ok([codes, scales, mins]) => {
                let codes = codes.expect("every kind has codes");
                matrix.parts.push(Part {
                    first_row: first_row as u32,
                    rows: part_rows as u32,
                    codes,
                    scales,
                    mins,
                });
            }
            Err(error) => {
                free(backend, &matrix);
                return Err(error);
            }
        }
    }
    Ok(matrix)
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
fn write_panel<B: Backend>(
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
        let (scales, mins): (&[u8], &[u8]) =
            (bytemuck::cast_slice(&panel.scales), bytemuck::cast_slice(&panel.mins));
        if let Some(buf) = part.scales {
            backend.write(buf, at.scales, &scales[begin.scales as usize..upto.scales as usize])?;
        }
        if let Some(buf) = part.mins {
            backend.write(buf, at.mins, &mins[begin.mins as usize..upto.mins as usize])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_keeps_its_name() {
        assert_eq!(
            WeightFormat::from(Bits::Five).stored_name(),
            "Hold { floats: Q4, qkv: Q8, down: Q4Min, quantised: None }"
        );
    }
}
