//! A model's weights on a backend, and the lists of ops that turn token ids into hidden states and
//! hidden states into logits.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::forward::{Recorder, Scratch};
use super::kv::LayerCache;
use super::layer::{Layer, Weight, Weights};
use crate::backend::Backend;
use crate::error::Result;
use crate::layout::{Band, GROUP, Kind};
use crate::op::{self, Buf, Matrix, Op};
use crate::weights::checkpoint::Checkpoint;
use crate::weights::config::Config;
use crate::weights::filler;
use crate::weights::format::WeightFormat;
use crate::weights::source::Source;
use crate::weights::spec::{self, Role, Shape, TensorSpec};

/// A model's weights, where a backend holds them.
#[derive(Debug)]
pub struct Transformer {
    /// The numbers.
    pub config: Config,
    embedding: Arc<Matrix>, // [vocab_size, hidden_size]
    layers: Vec<Layer>,
    norm: Buf,         // [hidden_size]
    head: Arc<Matrix>, // [vocab_size, hidden_size], the embedding itself when they are tied
    /// How each matrix is held, by its canonical name.
    bands: BTreeMap<String, Vec<Band>>,
}

/// What weights are loaded from and into.
struct Loading<'a, S, B> {
    checkpoint: &'a Checkpoint<S>,
    backend: &'a mut B,
    format: WeightFormat,
    progress: &'a mut dyn FnMut(u64),
    bands: BTreeMap<String, Vec<Band>>,
}

impl Transformer {
    /// Reads the weights, layer by layer, straight into the backend. `progress` hears of every few
    /// bytes read from the source.
    ///
    /// Once a layer is there the backend is shown how it is computed, a token and `rows` of them at
    /// once: all others are alike, and what has to be compiled can be while they are read.
    pub async fn load<S: Source, B: Backend>(
        checkpoint: &Checkpoint<S>,
        backend: &mut B,
        format: WeightFormat,
        (scratch, cache, rows): (&Scratch, &[LayerCache], usize),
        progress: &mut dyn FnMut(u64),
    ) -> Result<Transformer> {
        let config = checkpoint.config.clone();
        let mut loading = Loading { checkpoint, backend, format, progress, bands: BTreeMap::new() };
        let mut ends = Weights::default();
        loading.add(&mut ends, spec::before_layers(&config)).await?;
        let mut layers = Vec::new();
        for index in 0..config.num_hidden_layers {
            let mut weights = Weights::default();
            loading.add(&mut weights, spec::layer(&config, index)).await?;
            layers.push(Layer::new(&config, index, &weights)?);
            if let ([layer], Some(cache)) = (&layers[..], cache.first()) {
                for rows in [1, rows] {
                    loading
                        .backend
                        .prepare(&Recorder::new(&config, rows).layer(layer, scratch, cache))?;
                }
            }
        }
        loading.add(&mut ends, spec::after_layers(&config)).await?;
        Transformer::new(config, layers, &ends, loading.bands)
    }

    fn new(
        config: Config,
        layers: Vec<Layer>,
        ends: &Weights,
        bands: BTreeMap<String, Vec<Band>>,
    ) -> Result<Transformer> {
        let embedding = ends.matrix(Role::Embedding)?;
        let head =
            if config.tie_word_embeddings { embedding.clone() } else { ends.matrix(Role::Head)? };
        Ok(Transformer {
            config,
            embedding,
            layers,
            norm: ends.vector(Role::FinalNorm)?,
            head,
            bands,
        })
    }

    /// The first so many layers, and the head's first so many rows, on another backend: matrices of
    /// the same sizes and kinds, of which the values mean nothing.
    pub fn alike<B: Backend>(
        &self,
        backend: &mut B,
        layers: usize,
        vocab_size: u32,
    ) -> Result<Transformer> {
        // One matrix does for both ends.
        let config = Config {
            num_hidden_layers: layers as u32,
            vocab_size,
            tie_word_embeddings: true,
            ..self.config.clone()
        };
        let mut bands = self.bands.clone();
        let head = self.head.bands().into_iter().take(1);
        let head = head.map(|band| Band { rows: vocab_size as usize, ..band }).collect();
        bands.insert(spec::EMBED_TOKENS.to_owned(), head);
        let mut filled = |tensors: Vec<TensorSpec>| fill(backend, &tensors, &bands);
        let ends = filled([spec::before_layers(&config), spec::after_layers(&config)].concat())?;
        let layers = (0..config.num_hidden_layers)
            .map(|index| Layer::new(&config, index, &filled(spec::layer(&config, index))?))
            .collect::<Result<_>>()?;
        Transformer::new(config, layers, &ends, bands)
    }

    /// Bytes of a layer's weights, and of a row of the head's.
    pub fn sizes(&self) -> (u64, u64) {
        let layer = self.layers.first().map_or(0, Layer::bytes);
        (layer, self.head.bytes() / u64::from(self.head.rows))
    }

    /// Bytes of the weights that each decoded token reads.
    pub fn decode_bytes(&self) -> u64 {
        self.layers.iter().map(Layer::bytes).sum::<u64>() + self.head.bytes()
    }

    /// The ops that take `rows` token ids through all layers: `scratch.ids` to `scratch.x`.
    pub fn record_layers(&self, scratch: &Scratch, cache: &[LayerCache], rows: usize) -> Vec<Op> {
        self.record_some_layers(scratch, cache, rows, self.layers.len())
    }

    /// The ops that take `rows` token ids through the first `count` layers.
    pub fn record_some_layers(
        &self,
        scratch: &Scratch,
        cache: &[LayerCache],
        rows: usize,
        count: usize,
    ) -> Vec<Op> {
        let mut ops = self.record_embedding(scratch, rows);
        for (layer, cache) in self.layers.iter().zip(cache).take(count) {
            ops.extend(self.recorder(rows).layer(layer, scratch, cache));
        }
        ops
    }

    /// The ops of all layers and of the final norm, cut at the layers' borders: each piece with the
    /// buffer that then holds the hidden states.
    pub fn record_layer_by_layer(
        &self,
        scratch: &Scratch,
        cache: &[LayerCache],
        rows: usize,
    ) -> Vec<(Vec<Op>, Buf)> {
        let mut pieces = vec![(self.record_embedding(scratch, rows), scratch.x)];
        for (layer, cache) in self.layers.iter().zip(cache) {
            pieces.push((self.recorder(rows).layer(layer, scratch, cache), scratch.x));
        }
        let mut last = self.recorder(rows);
        let normed = last.norm(scratch.x, self.norm, scratch.h, 0);
        pieces.push((last.ops, normed));
        pieces
    }

    /// The ops that turn rows `first_row ..` of `scratch.x` into `rows` rows of logits.
    pub fn record_head(&self, scratch: &Scratch, first_row: usize, rows: usize) -> Vec<Op> {
        let mut r = self.recorder(rows);
        let h = r.norm(scratch.x, self.norm, scratch.h, first_row); // [rows, hidden_size]
        r.matmul(&self.head, h, scratch.logits); // [rows, vocab_size]
        r.ops
    }

    fn record_embedding(&self, scratch: &Scratch, rows: usize) -> Vec<Op> {
        vec![Op::Embed(op::Embed {
            table: self.embedding.clone(),
            ids: scratch.ids,
            out: scratch.x,
            rows: rows as u32,
        })]
    }

    fn recorder(&self, rows: usize) -> Recorder<'_> {
        Recorder::new(&self.config, rows)
    }
}

impl<S: Source, B: Backend> Loading<'_, S, B> {
    /// Loads these tensors, in order.
    async fn add(&mut self, weights: &mut Weights, tensors: Vec<TensorSpec>) -> Result<()> {
        for tensor in tensors {
            let weight = self.weight(&tensor).await?;
            if let Weight::Matrix(matrix) = &weight {
                self.bands.insert(tensor.name, matrix.bands());
            }
            weights.0.insert(tensor.role, weight);
        }
        Ok(())
    }

    async fn weight(&mut self, TensorSpec { role, name, shape }: &TensorSpec) -> Result<Weight> {
        let (checkpoint, backend) = (self.checkpoint, &mut *self.backend);
        match *shape {
            Shape::Matrix(shape) => checkpoint
                .matrix(backend, name, shape, self.format, self.progress)
                .await
                .map(Weight::Matrix),
            Shape::Vector(length) => vector(checkpoint, backend, (*role, name, length)).await,
        }
    }
}

/// Loads a tensor of a single dimension.
pub(super) async fn vector<S: Source, B: Backend>(
    checkpoint: &Checkpoint<S>,
    backend: &mut B,
    (role, name, length): (Role, &str, usize),
) -> Result<Weight> {
    if role.is_bias() {
        return checkpoint.bias(backend, name, length).await.map(Weight::Matrix);
    }
    let values = checkpoint.vector(name, length).await?;
    let buf = backend.alloc(name, (length * 4) as u64)?;
    backend.write(buf, 0, bytemuck::cast_slice(&values))?;
    Ok(Weight::Vector(buf))
}

/// Tensors without any sense, held so.
fn fill<B: Backend>(
    backend: &mut B,
    tensors: &[TensorSpec],
    bands: &BTreeMap<String, Vec<Band>>,
) -> Result<Weights> {
    let mut filled = |TensorSpec { role, name, shape }: &TensorSpec| {
        let mut matrix = |[rows, cols]: [usize; 2]| {
            let plain = [Band { kind: Kind::F32, rows }];
            filler::matrix(backend, bands.get(name).map_or(&plain, Vec::as_slice), cols)
                .map(Weight::Matrix)
        };
        let weight = match *shape {
            Shape::Matrix(shape) => matrix(shape)?,
            Shape::Vector(length) if role.is_bias() => matrix([length, GROUP])?,
            Shape::Vector(length) => Weight::Vector(filler::vector(backend, length as u32)?),
        };
        Ok((*role, weight))
    };
    tensors.iter().map(&mut filled).collect::<Result<_>>().map(Weights)
}
