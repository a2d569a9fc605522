//! Models made in memory, and what they should read as.

use std::collections::BTreeMap;

use phi_wasm::backend::{Backend, Limits};
use phi_wasm::error::{Code, Error, Result};
use phi_wasm::layout::panel::Panel;
use phi_wasm::op::{Buf, Op};
use phi_wasm::weights::gguf::write;
pub use phi_wasm::weights::gguf::write::Meta;
use phi_wasm::weights::{Checkpoint, MemorySource, Source, WeightFormat};
use pollster::block_on;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};

/// A directory of real files; absolute, since a WASI module has no current directory.
pub const TINY_PHI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/tiny-phi");
pub const LLAMA_CONFIG: &[u8] = include_bytes!("../../golden/weights/llama/config.json");
pub const LLAMA_SAFETENSORS: &[u8] = include_bytes!("../../golden/weights/llama/model.safetensors");
pub const LLAMA_GGUF: &[u8] = include_bytes!("../../golden/weights/llama.gguf");
pub const PHI3_GGUF: &[u8] = include_bytes!("../../golden/weights/phi3.gguf");
pub const PHI3_VALUES: &[u8] = include_bytes!("../../golden/weights/phi3.values.safetensors");
pub const BLOCKS: &[u8] = include_bytes!("../../golden/weights/blocks.safetensors");

/// The golden Llama as a Hugging Face directory.
pub fn llama_directory() -> MemorySource {
    MemorySource::directory([
        ("config.json", LLAMA_CONFIG.to_vec()),
        ("model.safetensors", LLAMA_SAFETENSORS.to_vec()),
    ])
}

pub fn open<S: Source>(source: S) -> Result<Checkpoint<S>> {
    block_on(Checkpoint::open(source))
}

/// The code with which opening fails, or `None`.
pub fn code<S: Source>(source: S) -> Option<Code> {
    open(source).err().map(|error| error.code)
}

/// All rows of a matrix of one kind as one panel.
pub fn whole<S: Source>(
    model: &Checkpoint<S>,
    name: &str,
    shape: [usize; 2],
    format: impl Into<WeightFormat>,
) -> Result<Panel> {
    let mut bands = bands(model, name, shape, format)?;
    let (panel, others) = (bands.swap_remove(0), bands);
    assert!(others.is_empty(), "{name} is held in several kinds");
    Ok(panel)
}

/// All rows of a matrix as a panel for each band, checked to arrive in order, in whole quads.
pub fn bands<S: Source>(
    model: &Checkpoint<S>,
    name: &str,
    shape: [usize; 2],
    format: impl Into<WeightFormat>,
) -> Result<Vec<Panel>> {
    let format = format.into();
    let bands = model.bands(name, shape, format)?;
    let mut all: Vec<Panel> =
        bands.iter().map(|band| Panel::new(band.kind, band.rows, shape[1])).collect();
    let (mut next, mut band, mut first, mut filled) = (0, 0, 0, [0; 3]);
    block_on(model.panels(name, shape, format, &mut |first_row, panel| {
        assert_eq!(first_row, next, "{name}: panels come in order");
        assert_eq!(first_row % 4, 0, "{name}: panels are whole quads");
        if next - first == bands[band].rows {
            (band, first, filled) = (band + 1, next, [0; 3]);
        }
        let into = &mut all[band];
        assert_eq!(panel.kind, into.kind, "{name}: the kind is known before");
        next += panel.rows;
        for ((into, from), filled) in [
            (&mut into.codes, panel.codes),
            (&mut into.scales, panel.scales),
            (&mut into.mins, panel.mins),
        ]
        .into_iter()
        .zip(&mut filled)
        {
            into[*filled..][..from.len()].copy_from_slice(&from);
            *filled += from.len();
        }
        Ok(())
    }))?;
    assert_eq!((next, band + 1), (shape[0], bands.len()), "{name}: all rows come");
    Ok(all)
}

/// Every matrix and vector of a model as floats, by canonical name.
pub fn everything<S: Source>(model: &Checkpoint<S>) -> Result<BTreeMap<String, Vec<f32>>> {
    let mut all = BTreeMap::new();
    for (name, shape) in model.config.matrices() {
        let panel = whole(model, &name, shape, WeightFormat::EXACT)?;
        all.insert(name, (0..panel.rows).flat_map(|row| panel.row(row)).collect());
    }
    for (name, len) in model.config.vectors() {
        let values = block_on(model.vector(&name, len))?;
        all.insert(name, values);
    }
    Ok(all)
}

/// A golden tensor's floats.
pub fn floats(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let tensor = file.tensor(name).unwrap();
    assert_eq!(tensor.dtype(), Dtype::F32);
    tensor
        .data()
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect()
}

/// A tensor of a safetensors file: name, type, shape, bytes.
pub type ElementType = (String, Dtype, Vec<usize>, Vec<u8>);

/// A safetensors file.
pub fn safetensors(tensors: &[ElementType]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    serialize(views, None).unwrap()
}

/// The tensors of a safetensors file, to be changed and written again.
pub fn unpack(bytes: &[u8]) -> Vec<ElementType> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let mut all: Vec<_> = file
        .tensors()
        .into_iter()
        .map(|(name, t)| (name, t.dtype(), t.shape().to_vec(), t.data().to_vec()))
        .collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

/// A tensor to write: name, dimensions in GGUF's order (columns first), the type's number, bytes.
pub type GgufTensor = (String, Vec<u64>, u32, Vec<u8>);

/// A GGUF file to write.
#[derive(Clone)]
pub struct Gguf {
    pub version: u32,
    pub meta: Vec<(&'static str, Meta)>,
    pub tensors: Vec<GgufTensor>,
}

impl Gguf {
    /// A Llama of one layer, in f32 zeros, that opens.
    pub fn llama() -> Gguf {
        let meta = vec![
            ("general.architecture", Meta::Text("llama")),
            ("llama.block_count", Meta::U32(1)),
            ("llama.context_length", Meta::U32(128)),
            ("llama.embedding_length", Meta::U32(32)),
            ("llama.feed_forward_length", Meta::U32(32)),
            ("llama.attention.head_count", Meta::U32(2)),
            ("llama.attention.layer_norm_rms_epsilon", Meta::F32(1e-6)),
            (
                "tokenizer.ggml.tokens",
                Meta::Texts(vec!["a".into(), "b".into(), "c".into(), "<|end|>".into()]),
            ),
            ("tokenizer.ggml.token_type", Meta::I32s(vec![1, 1, 1, 3])),
            ("tokenizer.ggml.eos_token_id", Meta::U32(2)),
        ];
        let mut tensors = Vec::new();
        let mut add = |name: &str, dims: &[u64]| {
            tensors.push((
                name.to_owned(),
                dims.to_vec(),
                0,
                vec![0; 4 * dims.iter().product::<u64>() as usize],
            ))
        };
        add("token_embd.weight", &[32, 4]);
        add("output_norm.weight", &[32]);
        for name in ["attn_norm", "ffn_norm"] {
            add(&format!("blk.0.{name}.weight"), &[32]);
        }
        for name in ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]
        {
            add(&format!("blk.0.{name}.weight"), &[32, 32]);
        }
        Gguf { version: 3, meta, tensors }
    }

    /// With one tensor changed.
    pub fn with(mut self, name: &str, change: impl FnOnce(&mut GgufTensor)) -> Gguf {
        change(self.tensors.iter_mut().find(|tensor| tensor.0 == name).unwrap());
        self
    }

    /// With a metadata value replaced or added.
    pub fn meta(mut self, key: &'static str, value: Meta) -> Gguf {
        self.meta.retain(|(other, _)| *other != key);
        self.meta.push((key, value));
        self
    }

    pub fn without(mut self, name: &str) -> Gguf {
        self.tensors.retain(|tensor| tensor.0 != name);
        self.meta.retain(|(key, _)| *key != name);
        self
    }

    pub fn file(&self) -> MemorySource {
        MemorySource::file("model.gguf", self.bytes())
    }

    pub fn bytes(&self) -> Vec<u8> {
        let tensors = self.tensors.iter();
        let tensors = tensors.map(|(name, dims, stored, data)| write::Tensor {
            name,
            dims,
            stored: *stored,
            bytes: data.len() as u64,
        });
        let mut out = write::header(self.version, &self.meta, tensors);
        for (_, _, _, data) in &self.tensors {
            out.resize(out.len().next_multiple_of(32), 0);
            out.extend(data);
        }
        out
    }
}

/// A Llama of one layer with random weights.
pub fn random_gguf() -> Gguf {
    let mut dice = Dice(1);
    let mut model = Gguf::llama();
    for (_, _, _, data) in &mut model.tensors {
        data.chunks_exact_mut(4).for_each(|bytes| {
            bytes.copy_from_slice(&(f32::from(dice.byte()) / 256.0 - 0.5).to_le_bytes())
        });
    }
    model
}

/// Numbers that look random, the same every time.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as u32
    }

    pub fn byte(&mut self) -> u8 {
        self.next() as u8
    }
}

/// A backend that only remembers, and can run out of memory.
#[derive(Default)]
pub struct Memory {
    pub buffers: BTreeMap<u32, Vec<u8>>,
    pub max_buffer: u64,
    pub allocations_left: Option<u32>,
    pub next: u32,
}

impl Backend for Memory {
    type Program = ();
    type Readback = Vec<u8>;

    fn limits(&self) -> Limits {
        Limits { max_buffer: self.max_buffer, chunk: 1 }
    }

    fn alloc(&mut self, what: &str, bytes: u64) -> Result<Buf> {
        assert!(
            bytes > 0 && bytes.is_multiple_of(4) && bytes <= self.max_buffer,
            "{what}: {bytes} bytes"
        );
        match &mut self.allocations_left {
            Some(0) => return Err(Error::new(Code::OutOfMemory, what)),
            Some(left) => *left -= 1,
            None => {}
        }
        self.next += 1;
        self.buffers.insert(self.next, vec![0; bytes as usize]);
        Ok(Buf(self.next))
    }

    fn free(&mut self, buf: Buf) {
        assert!(self.buffers.remove(&buf.0).is_some(), "freed once");
    }

    fn write(&mut self, buf: Buf, offset: u64, bytes: &[u8]) -> Result<()> {
        assert!(offset.is_multiple_of(4) && bytes.len().is_multiple_of(4));
        self.buffers.get_mut(&buf.0).unwrap()[offset as usize..][..bytes.len()]
            .copy_from_slice(bytes);
        Ok(())
    }

    fn copy(&mut self, buf: Buf, [from, to]: [u64; 2], length: usize) -> Result<()> {
        let from = from as usize;
        self.buffers.get_mut(&buf.0).unwrap().copy_within(from..from + length, to as usize);
        Ok(())
    }

    fn prepare(&mut self, _: &[Op]) -> Result<()> {
        Ok(())
    }

    fn run(&mut self, (): &()) -> Result<()> {
        Ok(())
    }

    fn read_later(&mut self, buf: Buf, offset: u64, length: usize) -> Result<Vec<u8>> {
        Ok(self.buffers[&buf.0][offset as usize..][..length].to_vec())
    }

    async fn fetch(&mut self, later: Vec<u8>, into: &mut [u8]) -> Result<()> {
        into.copy_from_slice(&later);
        Ok(())
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}
