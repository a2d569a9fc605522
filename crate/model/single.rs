//! One layer at a time, of whatever size the model is: for who takes many tokens through a layer
//! before the next is read.

use std::sync::Arc;

use super::forward::{Recorder, Scratch};
use super::kv::{self, LayerCache, Placed};
use super::layer::{Layer, Weight, Weights};
use super::rope::RopeFrequencies;
use super::transformer::vector;
use crate::backend::Backend;
use crate::error::{Code, Result, fail};
use crate::op::{Buf, KvKind, Matrix, Op, step_words};
use crate::weights::checkpoint::Checkpoint;
use crate::weights::config::Config;
use crate::weights::format::WeightFormat;
use crate::weights::load;
use crate::weights::source::Source;
use crate::weights::spec::{self, Role, Shape};

/// What layers compute in, one after the other: windows of so many tokens, each on its own.
pub struct Room {
    config: Config,
    scratch: Scratch,
    cache: LayerCache,
    rows: usize,
}

/// A layer on a backend, and what it computes there.
pub struct SingleLayer {
    weights: Weights,
    ops: Vec<Op>,
    /// Where the MLP begins: between its halves all of a layer's state is in `Room::states`.
    middle: usize,
}

/// Where a layer's matrices come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The checkpoint.
    Loaded,
    /// Whoever writes them before they are used.
    Later,
}

impl Room {
    /// For windows of so many tokens.
    ///
    /// # Errors
    /// `out-of-memory`.
    pub fn new<B: Backend>(backend: &mut B, config: &Config, rows: usize) -> Result<Room> {
        // A layer's cache serves one after the other.
        let one = Config { num_hidden_layers: 1, ..config.clone() };
        let (kind, placed) = (KvKind::F32, Placed::alone(KvKind::F32, rows));
        let pages = kv::pages(kind, rows);
        let step = step_words(kind, pages as u32);
        let scratch = Scratch::allocate(backend, config, (rows, 1), step)?;
        let cache = kv::allocate(backend, &one, pages, kind)?.swap_remove(0);
        let rope = RopeFrequencies::new(config);
        let angles = rope.angles(rope.factors(rows), 0, rows);
        scratch.write_step(backend, 0, &placed)?;
        backend.write(scratch.angles, 0, bytemuck::cast_slice(&angles))?;
        Ok(Room { config: config.clone(), scratch, cache, rows })
    }

    /// The hidden states, `[rows, hidden_size]`: what a layer takes and what it leaves.
    pub fn states(&self) -> Buf {
        self.scratch.x
    }

    /// The op of the final norm, and where its result is.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn final_norm<S: Source, B: Backend>(
        &self,
        checkpoint: &Checkpoint<S>,
        backend: &mut B,
    ) -> Result<(Vec<Op>, Buf)> {
        let mut weights = Weights::default();
        for tensor in spec::after_layers(&self.config) {
            if let (Role::FinalNorm, Shape::Vector(length)) = (tensor.role, tensor.shape) {
                let about = (tensor.role, &*tensor.name, length);
                weights.0.insert(tensor.role, vector(checkpoint, backend, about).await?);
            }
        }
        let mut last = Recorder::new(&self.config, self.rows);
        let norm = weights.vector(Role::FinalNorm)?;
        let normed = last.norm(self.scratch.x, norm, self.scratch.h, 0);
        Ok((last.ops, normed))
    }
}

impl SingleLayer {
    /// Loads a layer.
    ///
    /// # Errors
    /// Those of reading, and `out-of-memory`.
    pub async fn load<S: Source, B: Backend>(
        checkpoint: &Checkpoint<S>,
        backend: &mut B,
        room: &Room,
        index: u32,
        (format, fill): (WeightFormat, Fill),
    ) -> Result<SingleLayer> {
        let mut weights = Weights::default();
        for tensor in spec::layer(&room.config, index) {
            let name = &*tensor.name;
            let weight = match tensor.shape {
                Shape::Matrix(shape) if fill == Fill::Later => {
                    let bands = checkpoint.bands(name, shape, format)?;
                    Weight::Matrix(Arc::new(load::allocate(backend, name, &bands, shape[1])?))
                }
                Shape::Matrix(shape) => Weight::Matrix(
                    checkpoint.matrix(backend, name, shape, format, &mut |_| {}).await?,
                ),
                Shape::Vector(length) => {
                    vector(checkpoint, backend, (tensor.role, name, length)).await?
                }
            };
            weights.0.insert(tensor.role, weight);
        }
        let layer = Layer::new(&room.config, index, &weights)?;
        let ops = Recorder::new(&room.config, room.rows).layer(&layer, &room.scratch, &room.cache);
        let begins_mlp = |op: &Op| matches!(op, Op::Norm(norm) if norm.weight == layer.post_norm);
        let Some(middle) = ops.iter().position(begins_mlp) else {
            fail!(Code::Internal, "layer {index} has no MLP");
        };
        Ok(SingleLayer { weights, ops, middle })
    }

    /// A matrix of it.
    ///
    /// # Errors
    /// `internal` for a role that no layer has.
    pub fn matrix(&self, role: Role) -> Result<Arc<Matrix>> {
        self.weights.matrix(role)
    }

    /// Attention, and the MLP.
    pub fn halves(&self) -> [&[Op]; 2] {
        let (attention, mlp) = self.ops.split_at(self.middle);
        [attention, mlp]
    }

    /// The ops that come before a matrix in its half, and the buffer that they leave its inputs in.
    ///
    /// # Errors
    /// As [`SingleLayer::matrix`].
    pub fn before(&self, role: Role) -> Result<(&[Op], Buf)> {
        let matrix = self.matrix(role)?;
        for half in self.halves() {
            for (at, op) in half.iter().enumerate() {
                if let Op::Matmul(product) = op
                    && product.w == matrix
                {
                    return Ok((&half[..at], product.x));
                }
            }
        }
        fail!(Code::Internal, "a layer does not multiply with its {role:?}")
    }

    /// Gives its buffers back.
    pub fn free<B: Backend>(self, backend: &mut B) {
        for weight in self.weights.0.into_values() {
            match weight {
                Weight::Matrix(matrix) => load::free(backend, &matrix),
                Weight::Vector(buf) => backend.free(buf),
            }
        }
    }
}
