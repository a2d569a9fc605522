//! A model rounded from front to back: each matrix on the inputs that what was rounded before it
//! gives.

use super::inputs::{DAMPING, Factor, Inputs, in_parallel};
use super::round::round;
use super::states::{Of, States};
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

/// What the inputs of a window's first token are multiplied with: it counts as the square of that
/// many. Attention rests on it where there is nothing else to look at, so what is wrong with its
/// keys is wrong for all others.
const FIRST: f32 = 4.0;
/// How the model is held that is not rounded.
const EXACT: Bits = Bits::Sixteen;
/// Rows that a thread rounds at once: each reads the whole factor.
const ROWS: usize = 64;
/// How the head's inputs are damped where it is the embedding, too: an error there counts whatever
/// direction it has, as much on the whole as in the products.
const DAMPING_TIED: f64 = 1.0;

/// What a text says of the weights, as far as the model is rounded.
pub(super) struct Calibrated {
    cpu: Cpu,
    room: Room,
    states: States,
    layer: Option<Twins>,
}

/// The layer that is being rounded, and the same as it was.
struct Twins {
    index: u32,
    rounded: SingleLayer,
    exact: SingleLayer,
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
        let states = States::new(windows, config.hidden_size as usize);
        Ok(Calibrated { cpu, room, states, layer: None })
    }

    /// Embeds the text as the model does that is not rounded.
    async fn embed<S: Source>(
        &mut self,
        checkpoint: &Checkpoint<S>,
        (name, shape): (&str, [usize; 2]),
    ) -> Result<()> {
        let states = &mut self.states;
        checkpoint
            .each_panel(name, shape, EXACT.into(), &mut |first_row, panel, _| {
                states.look_up(Of::Exact, first_row, &panel);
                Ok(())
            })
            .await
    }

    /// Takes a window through a program. What that leaves in a buffer is read.
    async fn run(
        &mut self,
        program: &<Cpu as Backend>::Program,
        (of, window): (Of, usize),
        (out, into): (Buf, &mut [f32]),
    ) -> Result<()> {
        let states = self.states.window(of, window);
        self.cpu.write(self.room.states(), 0, bytemuck::cast_slice(states))?;
        self.cpu.run(program)?;
        self.cpu.read(out, 0, bytemuck::cast_slice_mut(into)).await
    }

    /// Takes all windows to where these ops leave them.
    async fn advance(&mut self, ops: &[Op], of: Of) -> Result<()> {
        let program = self.cpu.prepare(ops)?;
        let out = self.room.states();
        let mut left = self.states.rows(self.states.hidden_size);
        for window in 0..self.states.count {
            self.run(&program, (of, window), (out, &mut left)).await?;
            self.states.window(of, window).copy_from_slice(&left);
        }
        Ok(())
    }

    /// What ops of the rounded model leave in a buffer, and the same ones of the exact model.
    async fn inputs(
        &mut self,
        [rounded, exact]: [&[Op]; 2],
        (out, width): (Buf, usize),
        mut done: impl FnMut(),
    ) -> Result<Inputs> {
        let programs = (self.cpu.prepare(rounded)?, self.cpu.prepare(exact)?);
        let (mut left, mut wanted) = (self.states.rows(width), self.states.rows(width));
        let mut inputs = Inputs::new(width);
        for window in 0..self.states.count {
            self.run(&programs.0, (Of::Rounded, window), (out, &mut left)).await?;
            self.run(&programs.1, (Of::Exact, window), (out, &mut wanted)).await?;
            for all in [&mut left, &mut wanted] {
                all[..width].iter_mut().for_each(|x| *x *= FIRST);
            }
            inputs.add(&left);
            inputs.add_drift(&left, &wanted);
            done();
        }
        Ok(inputs)
    }

    /// The head's inputs, as layers give them that are not rounded.
    async fn head_before<S: Source>(
        &mut self,
        checkpoint: &Checkpoint<S>,
        embedding: (&str, [usize; 2]),
        meter: &mut Meter<'_>,
    ) -> Result<Inputs> {
        self.embed(checkpoint, embedding).await?;
        let layers = checkpoint.config.num_hidden_layers;
        let share = meter.left / 2 / u64::from(layers.max(1));
        for index in 0..layers {
            let how = (EXACT.into(), Fill::Loaded);
            let layer =
                SingleLayer::load(checkpoint, &mut self.cpu, &self.room, index, how).await?;
            for half in layer.halves() {
                self.advance(half, Of::Exact).await?;
            }
            layer.free(&mut self.cpu);
            meter.count(share);
        }
        let (ops, normed) = self.room.final_norm(checkpoint, &mut self.cpu).await?;
        let program = self.cpu.prepare(&ops)?;
        let mut left = self.states.rows(self.states.hidden_size);
        let mut inputs = Inputs::new(self.states.hidden_size);
        for window in 0..self.states.count {
            self.run(&program, (Of::Exact, window), (normed, &mut left)).await?;
            inputs.add(&left);
        }
        Ok(inputs)
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
        let twins = self.layer_of(checkpoint, role, format).await?;
        let matrix = twins.rounded.matrix(role)?;
        let ((ops, inputs), (exact, _)) = (twins.rounded.before(role)?, twins.exact.before(role)?);
        let share = meter.left / 2 / self.states.count as u64;
        let done = || meter.count(share);
        let inputs = self.inputs([ops, exact], (inputs, shape[1]), done).await?;
        let kind = checkpoint.kind_of(name, shape, format)?;
        let factor = inputs.factor(DAMPING, kind.span())?;
        let cpu = &mut self.cpu;
        let to = (kind, &mut *meter);
        round_matrix(checkpoint, (name, shape), &factor, to, &mut |first_row, panel, origin| {
            write_panel(cpu, &matrix, first_row, &panel)?;
            sink(first_row, panel, origin)
        })
        .await?;
        self.pass(role, &twins).await?;
        self.layer = Some(twins);
        Ok(())
    }

    /// The layer that a matrix with this role is in, when that is next, with its number.
    async fn layer_of<S: Source>(
        &mut self,
        checkpoint: &Checkpoint<S>,
        role: Role,
        format: WeightFormat,
    ) -> Result<Twins> {
        let before = match self.layer.take() {
            Some(twins) if role != Role::Qkv => return Ok(twins),
            before => before,
        };
        let index = before.as_ref().map_or(0, |before| before.index + 1);
        if let Some(Twins { rounded, exact, .. }) = before {
            rounded.free(&mut self.cpu);
            exact.free(&mut self.cpu);
        }
        let (cpu, room) = (&mut self.cpu, &self.room);
        let later = (format, Fill::Later);
        let rounded = SingleLayer::load(checkpoint, cpu, room, index, later).await?;
        let loaded = (EXACT.into(), Fill::Loaded);
        let exact = SingleLayer::load(checkpoint, cpu, room, index, loaded).await?;
        Ok(Twins { index, rounded, exact })
    }

    /// Takes the text through the half of a layer whose last matrix this is.
    async fn pass(&mut self, role: Role, twins: &Twins) -> Result<()> {
        let half = match role {
            Role::Output => 0,
            Role::Down => 1,
            _ => return Ok(()),
        };
        self.advance(twins.rounded.halves()[half], Of::Rounded).await?;
        self.advance(twins.exact.halves()[half], Of::Exact).await
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
            Some(Role::Embedding) => {
                self.embed(checkpoint, (name, shape)).await?;
                left.panels(kind, shape, &mut |row, panel| {
                    self.states.look_up(Of::Rounded, row, &panel);
                    hand_on(row, panel)
                })
            }
            None | Some(Role::Head) => left.panels(kind, shape, &mut hand_on),
            Some(role) => {
                let twins = self.layer_of(checkpoint, role, format).await?;
                let (cpu, matrix) = (&mut self.cpu, twins.rounded.matrix(role)?);
                left.panels(kind, shape, &mut |row, panel| {
                    write_panel(cpu, &matrix, row, &panel)?;
                    hand_on(row, panel)
                })?;
                self.pass(role, &twins).await?;
                self.layer = Some(twins);
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
                self.embed(checkpoint, (name, shape)).await?;
                let to = (kind, &mut meter);
                round_matrix(checkpoint, (name, shape), &factor, to, &mut |row, panel, origin| {
                    self.states.look_up(Of::Rounded, row, &panel);
                    sink(row, panel, origin)
                })
                .await?;
            }
            Some(Role::Embedding) => {
                self.embed(checkpoint, (name, shape)).await?;
                checkpoint
                    .each_panel(name, shape, format, &mut |row, panel, origin| {
                        self.states.look_up(Of::Rounded, row, &panel);
                        meter.count(origin.bytes);
                        sink(row, panel, origin)
                    })
                    .await?;
            }
            Some(Role::Head) => {
                let share = meter.left / 2 / self.states.count as u64;
                let (ops, normed) = self.room.final_norm(checkpoint, &mut self.cpu).await?;
                let normed = (normed, self.states.hidden_size);
                let inputs = self.inputs([&ops, &ops], normed, || meter.count(share)).await?;
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
        *panel = round(&factor.adapted(&weights), factor, kind);
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
