//! What became of the tensors of [`crate::weights::spec`] on a backend.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Code, Result, fail};
use crate::op::{Buf, Matrix};
use crate::weights::config::Config;
use crate::weights::spec::Role;

/// A tensor that a backend holds.
#[derive(Clone, Debug)]
pub enum Weight {
    /// Of a matrix, or of a bias made into one.
    Matrix(Arc<Matrix>),
    /// Of any other vector.
    Vector(Buf),
}

/// Tensors by what they are for.
#[derive(Debug, Default)]
pub struct Weights(pub BTreeMap<Role, Weight>);

impl Weights {
    /// # Errors
    /// `internal` if the table of tensors does not have it.
    pub fn matrix(&self, role: Role) -> Result<Arc<Matrix>> {
        match self.optional(role) {
            Some(matrix) => Ok(matrix),
            None => fail!(Code::Internal, "no matrix was loaded for {role:?}"),
        }
    }

    /// A matrix that not every model has.
    pub fn optional(&self, role: Role) -> Option<Arc<Matrix>> {
        match self.0.get(&role) {
            Some(Weight::Matrix(matrix)) => Some(matrix.clone()),
            _ => None,
        }
    }

    /// # Errors
    /// As [`Weights::matrix`].
    pub fn vector(&self, role: Role) -> Result<Buf> {
        match self.0.get(&role) {
            Some(Weight::Vector(buf)) => Ok(*buf),
            _ => fail!(Code::Internal, "no vector was loaded for {role:?}"),
        }
    }
}

/// A layer's weights.
#[derive(Debug)]
pub struct Layer {
    /// Positions that a query sees.
    pub window: u32,
    pub input_norm: Buf,                  // [hidden_size]
    pub qkv: Arc<Matrix>,                 // [(n_heads + 2 * n_kv_heads) * head_dim, hidden_size]
    pub qkv_bias: Option<Arc<Matrix>>,    // [(n_heads + 2 * n_kv_heads) * head_dim, 32]
    pub head_norms: Option<[Buf; 2]>,     // [head_dim] each, of the queries and of the keys
    pub output: Arc<Matrix>,              // [hidden_size, n_heads * head_dim]
    pub output_bias: Option<Arc<Matrix>>, // [hidden_size, 32]
    pub post_norm: Buf,                   // [hidden_size]
    pub gate_up: Arc<Matrix>,             // [2 * intermediate_size, hidden_size]
    pub down: Arc<Matrix>,                // [hidden_size, intermediate_size]
}

impl Layer {
    /// # Errors
    /// As [`Weights::matrix`].
    pub fn new(config: &Config, index: u32, weights: &Weights) -> Result<Layer> {
        Ok(Layer {
            window: config.window(index).unwrap_or(u32::MAX),
            input_norm: weights.vector(Role::InputNorm)?,
            qkv: weights.matrix(Role::Qkv)?,
            qkv_bias: weights.optional(Role::QkvBias),
            head_norms: match config.head_norms() {
                true => Some([weights.vector(Role::QueryNorm)?, weights.vector(Role::KeyNorm)?]),
                false => None,
            },
            output: weights.matrix(Role::Output)?,
            output_bias: weights.optional(Role::OutputBias),
            post_norm: weights.vector(Role::PostNorm)?,
            gate_up: weights.matrix(Role::GateUp)?,
            down: weights.matrix(Role::Down)?,
        })
    }

    /// Bytes of its matrices.
    pub fn bytes(&self) -> u64 {
        [&self.qkv, &self.output, &self.gate_up, &self.down]
            .iter()
            .map(|matrix| matrix.bytes())
            .sum()
    }
}
