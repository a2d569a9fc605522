//! A model's tensors on their way out of its files: read in panels of bounded size, fused, put in
//! order and packed on the way.

use super::checkpoint::{Checkpoint, PackedBand, Place};
use super::format::WeightFormat;
use super::mix::Mix;
use super::source::Source;
use super::spec;
use super::store::MatrixEntry;
use super::tensor::Tensor;
use crate::error::{Code, Result, fail};
use crate::layout::blocks::{pack_row, values};
use crate::layout::element_type::ElementType;
use crate::layout::panel::Panel;
use crate::layout::quant::{NOT_FINITE, QuantError, SCALE_NOT_FINITE};
use crate::layout::{Band, GROUP, Kind, QUAD, planes};

/// Stored bytes that a panel is made from.
const PANEL_BYTES: usize = 4 << 20;
/// Stored bytes that are read at once: they are there beside the panel that they go into.
const READ_BYTES: usize = 1 << 20;

/// Where panels go: the first row, the panel, and what it came from.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(usize, Panel, PanelOrigin) -> Result<()>;

/// What a panel came from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PanelOrigin {
    /// Bytes that were read for it.
    pub bytes: u64,
    /// What it lost on the way.
    pub quant_error: QuantError,
}

/// The rows of one panel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Which of the stored tensors, or bands, that the matrix consists of they lie in, and where
    /// there.
    pub piece: usize,
    pub first_row: usize,
    /// Where they are in the matrix.
    pub row: usize,
    pub rows: usize,
}

impl<S: Source> Checkpoint<S> {
    /// The kinds in which a canonical matrix will be held: projections that are fused here and come
    /// in several types keep one each.
    ///
    /// # Errors
    /// `missing-tensor` and `wrong-shape`.
    pub fn bands(
        &self,
        name: &str,
        shape: [usize; 2],
        format: impl Into<WeightFormat>,
    ) -> Result<Vec<Band>> {
        let place = self.place(name, &shape)?;
        let kinds = self.kinds(name, &place, format.into());
        Ok(Band::joined(
            place.rows().into_iter().zip(kinds).map(|(rows, kind)| Band { kind, rows }),
        ))
    }

    /// The kind of a canonical matrix that is held in one: any that comes unquantised.
    ///
    /// # Errors
    /// As [`Self::bands`], and `internal` for a matrix of several kinds.
    pub fn kind_of(
        &self,
        name: &str,
        shape: [usize; 2],
        format: impl Into<WeightFormat>,
    ) -> Result<Kind> {
        match self.bands(name, shape, format)?[..] {
            [Band { kind, .. }] => Ok(kind),
            _ => fail!(Code::Internal, "{name} is held in several kinds"),
        }
    }

    /// The kinds in which the stored tensors, or bands, that lie there will be held.
    pub(crate) fn kinds(&self, name: &str, place: &Place<'_>, format: WeightFormat) -> Vec<Kind> {
        let floats = match format.average {
            None => format.floats_of(name),
            Some(average) => Mix::by_role(&self.config, average).kind(name),
        };
        kinds(place, format, floats)
    }

    /// A matrix that comes quantised, if one does.
    pub fn quantised(&self) -> Option<String> {
        let is_quantised = |(name, shape): &(String, [usize; 2])| match self.place(name, shape) {
            Ok(Place::Packed(bands)) => bands.iter().any(|band| band.entry.kind.has_scales()),
            Ok(Place::Pieces(pieces)) => {
                pieces.iter().any(|(tensor, _)| tensor.stored.quantised_kind().is_some())
            }
            Err(_) => false,
        };
        self.config.matrices().into_iter().find(is_quantised).map(|(name, _)| name)
    }

    /// Bytes that loading the whole model reads.
    pub fn weight_bytes(&self) -> u64 {
        spec::tensors(&self.config)
            .filter_map(|tensor| self.place(&tensor.name, tensor.shape.dims()).ok())
            .map(|place| place.bytes())
            .sum()
    }

    /// How many weights the model has, those that are tied counted once.
    pub fn parameters(&self) -> u64 {
        spec::tensors(&self.config)
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
    /// may be shorter), each made from at most about 4 MiB of the file.
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

    /// As [`Self::panels`], with what each panel came from.
    pub(crate) async fn each_panel(
        &self,
        name: &str,
        shape: [usize; 2],
        format: WeightFormat,
        sink: Sink<'_>,
    ) -> Result<()> {
        let place = self.place(name, &shape)?;
        let kinds = self.kinds(name, &place, format);
        for step in self.steps(&place) {
            let (panel, origin) = self.panel(&place, kinds[step.piece], step).await?;
            sink(step.row, panel, origin)?;
        }
        Ok(())
    }

    /// The panels that a matrix is read in.
    pub(crate) fn steps(&self, place: &Place<'_>) -> Vec<Step> {
        let (mut steps, mut before) = (Vec::new(), 0);
        for (piece, rows) in place.rows().into_iter().enumerate() {
            let at_once = match place {
                Place::Packed(bands) => {
                    let MatrixEntry { kind, cols, .. } = bands[piece].entry;
                    rows_at_once(READ_BYTES, cols / GROUP * kind.codes_per_group() / QUAD, QUAD)
                }
                Place::Pieces(pieces) => {
                    let (tensor, interleaved) = pieces[piece];
                    rows_at_once(
                        PANEL_BYTES,
                        (tensor.bytes / tensor.shape[0]) as usize,
                        if interleaved { self.config.head_dim as usize } else { QUAD },
                    )
                }
            };
            steps.extend((0..rows).step_by(at_once).map(|first_row| Step {
                piece,
                first_row,
                row: before + first_row,
                rows: at_once.min(rows - first_row),
            }));
            before += rows;
        }
        steps
    }

    /// Reads one of them, as `kind`.
    pub(crate) async fn panel(
        &self,
        place: &Place<'_>,
        kind: Kind,
        step: Step,
    ) -> Result<(Panel, PanelOrigin)> {
        match place {
            Place::Packed(bands) => {
                let (panel, mut origin) = self.packed_panel(bands[step.piece], step).await?;
                Ok((
                    if panel.kind == kind {
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
    ) -> Result<(Panel, PanelOrigin)> {
        let row_bytes = (tensor.bytes / tensor.shape[0]) as usize;
        let head_dim = self.config.head_dim as usize;
        let (mut panel, mut error) =
            (Panel::new(kind, step.rows, tensor.shape[1] as usize), QuantError::default());
        let at_once = rows_at_once(READ_BYTES, row_bytes, if interleaved { head_dim } else { 1 });
        let mut bytes = Vec::new();
        for first in (0..step.rows).step_by(at_once) {
            let (rows, stored_first) = (at_once.min(step.rows - first), step.first_row + first);
            bytes.resize(rows * row_bytes, 0);
            let offset = tensor.offset + stored_first as u64 * row_bytes as u64;
            self.store.read(&tensor.file, offset, &mut bytes).await?;
            for row in 0..rows {
                let stored_row = if interleaved { interleaved_row(row, head_dim) } else { row };
                let stored = &bytes[stored_row * row_bytes..][..row_bytes];
                error +=
                    pack_row(&tensor.stored, stored, &mut panel, first + row).map_err(|error| {
                        error.at(format_args!("{} row {}", tensor.name, stored_first + stored_row))
                    })?;
            }
        }
        let bytes = step.rows as u64 * row_bytes as u64;
        Ok((panel, PanelOrigin { bytes, quant_error: error }))
    }

    async fn packed_panel(
        &self,
        PackedBand { entry: MatrixEntry { kind, cols, .. }, codes, scales, mins }: PackedBand<'_>,
        step: Step,
    ) -> Result<(Panel, PanelOrigin)> {
        let mut panel = Panel::new(kind, step.rows, cols);
        let before = planes(kind, step.first_row, cols);
        let ranges = [
            (&mut panel.codes[..], before.codes),
            (&mut panel.scales[..], before.scales),
            (&mut panel.mins[..], before.mins),
        ];
        let mut read = 0;
        for ((into, offset), tensor) in ranges.into_iter().zip([Some(codes), scales, mins]) {
            if let Some(tensor) = tensor {
                self.store.read(&tensor.file, tensor.offset + offset, into).await?;
                read += into.len() as u64;
            }
        }
        if let Some(row) = panel.row_not_finite() {
            let what = if kind.has_scales() { SCALE_NOT_FINITE } else { NOT_FINITE };
            fail!(Code::Malformed, "{} row {}: {what}", codes.name, step.first_row + row);
        }
        Ok((panel, PanelOrigin { bytes: read, quant_error: QuantError::default() }))
    }
}

impl Place<'_> {
    /// Bytes that reading it reads.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Place::Pieces(pieces) => pieces.iter().map(|(tensor, _)| tensor.bytes).sum(),
            Place::Packed(bands) => bands
                .iter()
                .flat_map(|band| [Some(band.codes), band.scales, band.mins])
                .flatten()
                .map(|tensor| tensor.bytes)
                .sum(),
        }
    }

    /// Rows of each of the stored tensors, or bands. A configuration has a multiple of [`QUAD`] of
    /// what follows each other.
    fn rows(&self) -> Vec<usize> {
        match self {
            Place::Pieces(pieces) => {
                pieces.iter().map(|(tensor, _)| tensor.shape[0] as usize).collect()
            }
            Place::Packed(bands) => bands.iter().map(|band| band.entry.rows).collect(),
        }
    }
}

/// The same, where such that come unquantised get `floats`.
fn kinds(place: &Place<'_>, format: WeightFormat, floats: Kind) -> Vec<Kind> {
    let pieces = match place {
        Place::Pieces(pieces) => pieces,
        Place::Packed(bands) => {
            let kind = |band: &PackedBand<'_>| format.quantised.unwrap_or(band.entry.kind);
            return bands.iter().map(kind).collect();
        }
    };
    let kind = |stored| format.quantised_of(stored).unwrap_or(floats);
    let mut kinds: Vec<Kind> = pieces.iter().map(|(tensor, _)| kind(&tensor.stored)).collect();
    if format.as_first {
        // It had one for all of a matrix.
        let widest = kinds.iter().copied().max_by(|one, other| one.bits().total_cmp(&other.bits()));
        kinds.fill(widest.unwrap_or(format.floats));
    }
    kinds
}

/// Rows of about so many bytes, in whole units.
fn rows_at_once(bytes: usize, row_bytes: usize, unit: usize) -> usize {
    (bytes / row_bytes.max(1) / unit).max(1) * unit
}

/// Where row `row` of rotate-half order lies among heads whose halves are interleaved: i of the
/// first half at 2i, of the second at 2i + 1.
fn interleaved_row(row: usize, head_dim: usize) -> usize {
    let (head, i, half) =
        (row / head_dim, row % head_dim % (head_dim / 2), row % head_dim / (head_dim / 2));
    head * head_dim + 2 * i + half
}

/// A panel's rows in another kind. `error` counts what they lose.
fn repack(panel: &Panel, kind: Kind, error: &mut QuantError) -> Result<Panel> {
    let mut other = Panel::new(kind, panel.rows, panel.cols);
    for row in 0..panel.rows {
        let values = panel.row(row);
        let bytes: &[u8] = bytemuck::cast_slice(&values);
        *error += pack_row(&ElementType::F32, bytes, &mut other, row)?;
    }
    Ok(other)
}
