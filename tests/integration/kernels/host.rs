//! Memory as the oracle sees it: plain vectors with their element types, numbered as the ops number
//! their buffers.

use half::f16;
use phi_wasm::op::Buf;

/// The contents of one buffer.
#[derive(Clone, Debug, PartialEq)]
pub enum Host {
    F32(Vec<f32>),
    F16(Vec<f16>),
    U32(Vec<u32>),
    /// Packed weights: not to be interpreted, not to be changed.
    Bytes(Vec<u8>),
}

impl Host {
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Host::F32(values) => bytemuck::cast_slice(values).to_vec(),
            Host::F16(values) => bytemuck::cast_slice(values).to_vec(),
            Host::U32(values) => bytemuck::cast_slice(values).to_vec(),
            Host::Bytes(bytes) => bytes.clone(),
        }
    }

    /// Memory of this type with other contents.
    pub fn with_bytes(&self, bytes: &[u8]) -> Host {
        match self {
            Host::F32(_) => Host::F32(bytemuck::pod_collect_to_vec(bytes)),
            Host::F16(_) => Host::F16(bytemuck::pod_collect_to_vec(bytes)),
            Host::U32(_) => Host::U32(bytemuck::pod_collect_to_vec(bytes)),
            Host::Bytes(_) => Host::Bytes(bytes.to_vec()),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Host::F32(values) => values.len(),
            Host::F16(values) => values.len(),
            Host::U32(values) => values.len(),
            Host::Bytes(bytes) => bytes.len(),
        }
    }

    pub fn number(&self, i: usize) -> f64 {
        match self {
            Host::F32(values) => f64::from(values[i]),
            Host::F16(values) => f64::from(values[i]),
            Host::U32(values) => f64::from(values[i]),
            Host::Bytes(bytes) => f64::from(bytes[i]),
        }
    }

    fn set(&mut self, i: usize, value: f64) {
        match self {
            Host::F32(values) => values[i] = value as f32,
            Host::F16(values) => values[i] = f16::from_f64(value),
            Host::U32(values) => values[i] = value as u32,
            Host::Bytes(_) => panic!("ops do not write weights"),
        }
    }
}

/// All buffers, and for each element that an op wrote how large the terms were that it was summed
/// from: what an error is measured against. An element that nobody wrote has magnitude 0: it must
/// not change at all.
pub struct Memory {
    pub buffers: Vec<Host>,
    pub magnitudes: Vec<Vec<f64>>,
}

impl Memory {
    pub fn new(buffers: &[Host]) -> Memory {
        Memory {
            buffers: buffers.to_vec(),
            magnitudes: buffers.iter().map(|buffer| vec![0.0; buffer.len()]).collect(),
        }
    }

    pub fn get(&self, buf: Buf, i: usize) -> f64 {
        self.buffers[buf.0 as usize].number(i)
    }

    pub fn set(&mut self, buf: Buf, i: usize, value: f64, magnitude: f64) {
        self.buffers[buf.0 as usize].set(i, value);
        self.magnitudes[buf.0 as usize][i] += magnitude;
    }
}
