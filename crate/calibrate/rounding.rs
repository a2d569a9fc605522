//! A model rounded from front to back: each matrix on the inputs that what was rounded before it
//! gives.

use super::inputs::{DAMPING, Factor, Inputs, in_parallel};
use super::round::round;
use crate::backend::Backend;
use crate::cpu::{Cpu, CpuOptions};
use crate::error::{Code, Result, fail};
use crate::layout::Kind;
use crate::layout::panel::Panel;
use crate::layout::quant::{NOT_FINITE, QuantError};
use crate::model::single::{Fill, Room, SingleLayer};
use crate::op::{Buf, Op};
use crate::weights::checkpoint::Checkpoint;
use crate::weights::config::Config;
use crate::weights::format::{Bits, WeightFormat};
use crate::weights::left::Left;
use crate::weights::load::write_panel;
use crate::weights::panels::{PanelOrigin, Sink};
use crate::weights::source::Source;
use crate::weights::spec::{self, Role};
use crate::weights::write::Rounding;

/// Rows that a thread rounds at once: each reads the whole factor.
const ROWS: usize = 64;
/// How the head's inputs are damped where it is the embedding, too: an error there counts whatever
/// direction it has, as much on the whole as in the products.
const DAMPING_TIED: f64 = 1.0;

/// What a text says of the weights, as far as the model is rounded.
pub(super) struct Calibrated {
    cpu: Cpu,
    room: Room,
    windows: Windows,
    /// The layer that is being rounded, and its number.
    layer: Option<(u32, SingleLayer)>,
}

/// Windows of a text, and what became of them.
struct Windows {
    /// All of one length, one after the other.
    ids: Vec<u32>,
    count: usize,
    hidden_size: usize,
    /// `[ids, hidden_size]`: what the half of a layer that is next takes.
    states: Vec<f32>,
}

/// How much of a matrix is done.
pub(super) struct Meter<'a> {
    pub left: u64,
    pub progress: &'a mut dyn FnMut(u64),
}

impl Meter<'_> {
    pub fn count(&mut self, bytes: u64) {
        let bytes = bytes.min(self.left);
        self.left -= bytes;
        (self.progress)(bytes);
    }
}

impl Calibrated {
    /// On windows of one length.
    ///
    /// # Errors
    /// `out-of-memory`.
    pub fn new(config: &Config, windows: &[Vec<u32>]) -> Result<Calibrated> {
        let mut cpu = Cpu::new(CpuOptions::default())?;
        let room = Room::new(&mut cpu, config, windows.first().map_or(1, Vec::len))?;
        let (ids, hidden_size) = (windows.concat(), config.hidden_size as usize);
        let states = vec![0.0; ids.len() * hidden_size];
        let windows = Windows { ids, count: windows.len(), hidden_size, states };
        Ok(Calibrated { cpu, room, windows, layer: None })
    }

    /// Embeds the text by a matrix that is held so, while it streams by.
    async fn embed<S: Source>(
        &mut self,
        checkpoint: &Checkpoint<S>,
        (name, shape): (&str, [usize; 2]),
        format: WeightFormat,
    ) -> Result<()> {
        let windows = &mut self.windows;
        checkpoint
            .each_panel(name, shape, format, &mut |first_row, panel, _| {
                windows.look_up(first_row, &panel);
                Ok(())
            })
            .await
    }

    /// Takes all windows through these ops. `sink` gets what they leave in a buffer.
    async fn run(
        &mut self,
        ops: &[Op],
        (out, width): (Buf, usize),
        mut sink: impl FnMut(&mut [f32], &[f32]),
    ) -> Result<()> {
        let program = self.cpu.prepare(ops)?;
        let states = &mut self.windows.states;
        let size = states.len() / self.windows.count;
        let mut left = vec![0.0f32; size / self.windows.hidden_size * width];
        for window in states.chunks_exact_mut(size) {
            self.cpu.write(self.room.states(), 0, bytemuck::cast_slice(window))?;
            self.cpu.run(&program)?;
            self.cpu.read(out, 0, bytemuck::cast_slice_mut(&mut left)).await?;
            sink(window, &left);
        }
        Ok(())
    }

    /// Takes all windows to where these ops leave them.
    async fn advance(&mut self, ops: &[Op]) -> Result<()> {
        let out = (self.room.states(), self.windows.hidden_size);
        self.run(ops, out, |window, left| window.copy_from_slice(left)).await
    }

    /// What these ops leave in a buffer.
    async fn inputs(
        &mut self,
        ops: &[Op],
        (out, width): (Buf, usize),
        mut done: impl FnMut(),
    ) -> Result<Inputs> {
        let mut inputs = Inputs::new(width);
        self.run(ops, (out, width), |_, left| {
            inputs.add(left);
            done();
        })
        .await?;
        Ok(inputs)
    }

    /// The head's inputs, as the layers before it left them.
    async fn head<S: Source>(
        &mut self,
        checkpoint: &Checkpoint<S>,
        done: impl FnMut(),
    ) -> Result<Inputs> {
        let (ops, normed) = self.room.final_norm(checkpoint, &mut self.cpu).await?;
        self.inputs(&ops, (normed, self.windows.hidden_size), done).await
    }

    /// The head's inputs, as layers give them that are not rounded.
    async fn head_before<S: Source>(
        &mut self,
        checkpoint: &Checkpoint<S>,
        embedding: (&str, [usize; 2]),
        meter: &mut Meter<'_>,
    ) -> Result<Inputs> {
        let (exact, layers) = (Bits::Sixteen.into(), checkpoint.config.num_hidden_layers);
        self.embed(checkpoint, embedding, exact).await?;
        let share = meter.left / 2 / u64::from(layers.max(1));
        for index in 0..layers {
            let how = (exact, Fill::Loaded);
            let layer =
                SingleLayer::load(checkpoint, &mut self.cpu, &self.room, index, how).await?;
            for half in layer.halves() {
                self.advance(half).await?;
            }
            layer.free(&mut self.cpu);
            meter.count(share);
        }
        self.head(checkpoint, || {}).await
    }

    /// Rounds a matrix of a layer. Every other one is the last of its half.
    async fn round_in_layer<S: Source>(
        &mut self,
        checkpoint: &Checkpoint<S>,
        (name, role, shape): (&str, Role, [usize; 2]),
        format: WeightFormat,
        meter: &mut Meter<'_>,
        sink: Sink<'_>,
    ) -> Result<()> {
        let (index, layer) = self.layer_of(checkpoint, role, format).await?;
        let (matrix, (ops, inputs)) = (layer.matrix(role)?, layer.before(role)?);
        let share = meter.left / 2 / self.windows.count as u64;
        let inputs = self.inputs(ops, (inputs, shape[1]), || meter.count(share)).await?;
        let kind = checkpoint.kind_of(name, shape, format)?;
        let factor = inputs.factor(DAMPING, kind.span())?;
        let cpu = &mut self.cpu;
        let to = (kind, &mut *meter);
        round_matrix(checkpoint, (name, shape), &factor, to, &mut |first_row, panel, origin| {
            write_panel(cpu, &matrix, first_row, &panel)?;
            sink(first_row, panel, origin)
        })
        .await?;
        self.pass(role, &layer).await?;
        self.layer = Some((index, layer));
        Ok(())
    }

    /// The layer that a matrix with this role is in, when that is next, with its number.
    async fn layer_of<S: Source>(
        &mut self,
        checkpoint: &Checkpoint<S>,
        role: Role,
        format: WeightFormat,
    ) -> Result<(u32, SingleLayer)> {
        Ok(match self.layer.take() {
            Some((index, layer)) if role != Role::Qkv => (index, layer),
            before => {
                let index = before.as_ref().map_or(0, |(index, _)| index + 1);
                if let Some((_, layer)) = before {
                    layer.free(&mut self.cpu);
                }
                let (cpu, how) = (&mut self.cpu, (format, Fill::Later));
                (index, SingleLayer::load(checkpoint, cpu, &self.room, index, how).await?)
            }
        })
    }

    /// Takes the text through the half of a layer whose last matrix this is.
    async fn pass(&mut self, role: Role, layer: &SingleLayer) -> Result<()> {
        let [attention, mlp] = layer.halves();
        match role {
            Role::Output => self.advance(attention).await,
            Role::Down => self.advance(mlp).await,
            _ => Ok(()),
        }
    }

    /// Takes a matrix as an earlier run has rounded it.
    async fn take_left<S: Source>(
        &mut self,
        checkpoint: &Checkpoint<S>,
        (name, shape): (&str, [usize; 2]),
        (format, mut left): (WeightFormat, Left),
        sink: Sink<'_>,
    ) -> Result<()> {
        let kind = checkpoint.kind_of(name, shape, format)?;
        let mut quant_error = left.error();
        let mut hand_on = |row: usize, panel: Panel| {
            let quant_error = std::mem::take(&mut quant_error);
            sink(row, panel, PanelOrigin { bytes: 0, quant_error })
        };
        match spec::role(name) {
            Some(Role::Embedding) => left.panels(kind, shape, &mut |row, panel| {
                self.windows.look_up(row, &panel);
                hand_on(row, panel)
            }),
            None | Some(Role::Head) => left.panels(kind, shape, &mut hand_on),
            Some(role) => {
                let (index, layer) = self.layer_of(checkpoint, role, format).await?;
                let (cpu, matrix) = (&mut self.cpu, layer.matrix(role)?);
                left.panels(kind, shape, &mut |row, panel| {
                    write_panel(cpu, &matrix, row, &panel)?;
                    hand_on(row, panel)
                })?;
                self.pass(role, &layer).await?;
                self.layer = Some((index, layer));
                Ok(())
            }
        }
    }
}

impl<S: Source> Rounding<S> for Calibrated {
    async fn panels(
        &mut self,
        checkpoint: &Checkpoint<S>,
        (name, shape): (&str, [usize; 2]),
        (format, left): (WeightFormat, Option<Left>),
        progress: &mut dyn FnMut(u64),
        sink: Sink<'_>,
    ) -> Result<()> {
        let kind = checkpoint.kind_of(name, shape, format)?;
        let mut meter = Meter { left: checkpoint.place(name, &shape)?.bytes(), progress };
        if let Some(left) = left {
            self.take_left(checkpoint, (name, shape), (format, left), sink).await?;
            meter.count(meter.left);
            return Ok(());
        }
        let tied = checkpoint.config.tie_word_embeddings;
        match spec::role(name) {
            Some(Role::Embedding) if tied => {
                let inputs = self.head_before(checkpoint, (name, shape), &mut meter).await?;
                let factor = inputs.factor(DAMPING_TIED, kind.span())?;
                let to = (kind, &mut meter);
                round_matrix(checkpoint, (name, shape), &factor, to, &mut |row, panel, origin| {
                    self.windows.look_up(row, &panel);
                    sink(row, panel, origin)
                })
                .await?;
            }
            Some(Role::Embedding) => {
                checkpoint
                    .each_panel(name, shape, format, &mut |row, panel, origin| {
                        self.windows.look_up(row, &panel);
                        meter.count(origin.bytes);
                        sink(row, panel, origin)
                    })
                    .await?;
            }
            Some(Role::Head) => {
                let share = meter.left / 2 / self.windows.count as u64;
                let inputs = self.head(checkpoint, || meter.count(share)).await?;
                let factor = inputs.factor(DAMPING, kind.span())?;
                let to = (kind, &mut meter);
                round_matrix(checkpoint, (name, shape), &factor, to, sink).await?;
            }
            Some(role) => {
                let matrix = (name, role, shape);
                self.round_in_layer(checkpoint, matrix, format, &mut meter, sink).await?;
            }
            None => fail!(Code::Internal, "{name} is no tensor of the table"),
        }
        meter.count(meter.left);
        Ok(())
    }
}

impl Windows {
    /// Takes from some rows of the embedding those of the text.
    fn look_up(&mut self, first_row: usize, panel: &Panel) {
        let states = self.states.chunks_exact_mut(self.hidden_size);
        for (state, &id) in states.zip(&self.ids) {
            if let Some(row) = (id as usize).checked_sub(first_row).filter(|&row| row < panel.rows)
            {
                state.copy_from_slice(&panel.row(row));
            }
        }
    }
}

/// Rounds a matrix, panel by panel as it streams by.
pub(super) async fn round_matrix<S: Source>(
    checkpoint: &Checkpoint<S>,
    (name, shape): (&str, [usize; 2]),
    factor: &Factor,
    (kind, meter): (Kind, &mut Meter<'_>),
    sink: Sink<'_>,
) -> Result<()> {
    checkpoint
        .each_panel(name, shape, WeightFormat::EXACT, &mut |first_row, exact, origin| {
            if let Some(row) = exact.row_not_finite() {
                fail!(Code::Malformed, "{name} row {}: {NOT_FINITE}", first_row + row);
            }
            let (panel, quant_error) = round_panel(&exact, factor, kind);
            meter.count(origin.bytes / 2);
            sink(first_row, panel, PanelOrigin { quant_error, ..origin })
        })
        .await
}

fn round_panel(exact: &Panel, factor: &Factor, kind: Kind) -> (Panel, QuantError) {
    let empty = || (Panel::new(kind, 0, exact.cols), QuantError::default());
    let mut rounded: Vec<_> = (0..exact.rows.div_ceil(ROWS)).map(|_| empty()).collect();
    in_parallel(rounded.iter_mut().enumerate(), |(block, (panel, error))| {
        let rows = block * ROWS..exact.rows.min((block + 1) * ROWS);
        let weights: Vec<f32> = rows.flat_map(|row| exact.row(row)).collect();
        *panel = round(&weights, factor, kind);
        for (row, values) in weights.chunks_exact(exact.cols).enumerate() {
            error.add(values, &panel.row(row));
        }
    });
    // Blocks of rows are whole quads, whose planes follow each other.
    let (mut all, mut sum) = empty();
    all.rows = exact.rows;
    for (panel, error) in rounded {
        all.codes.extend(panel.codes);
        all.scales.extend(panel.scales);
        all.mins.extend(panel.mins);
        sum += error;
    }
    (all, sum)
}
