//! The KV cache: keys and values of every position so far, preallocated for the context asked for.

use crate::backend::Backend;
use crate::error::{Code, Result, fail};
use crate::op::{KvKind, KvPart};
use crate::weights::config::Config;

/// The cached heads of one layer, in as many parts as the device's largest buffer demands.
pub type LayerCache = Vec<KvPart>;

/// Bytes that a cache of `ctx_len` positions takes.
pub fn cache_bytes(config: &Config, ctx_len: usize, kind: KvKind) -> u64 {
    let elements = 2 * config.num_hidden_layers as u64 * config.num_key_value_heads as u64 * config.head_dim as u64;
    elements * ctx_len as u64 * kind.bytes()
}

/// Buffers for all layers. What was allocated is freed again when one of them fails.
pub fn allocate<B: Backend>(backend: &mut B, config: &Config, ctx_len: usize, kind: KvKind) -> Result<Vec<LayerCache>> {
    let mut layers = Vec::new();
    for layer in 0..config.num_hidden_layers {
        match allocate_layer(backend, config, layer, ctx_len, kind) {
            Ok(cache) => layers.push(cache),
            Err(error) => {
                layers.into_iter().for_each(|cache| free(backend, cache));
                return Err(error);
            }
        }
    }
    Ok(layers)
}

fn allocate_layer<B: Backend>(backend: &mut B, config: &Config, layer: u32, ctx_len: usize, kind: KvKind) -> Result<LayerCache> {
    let head_bytes = ctx_len as u64 * u64::from(config.head_dim) * kind.bytes();
    let heads_a_part = (backend.limits().max_buffer / head_bytes).min(u64::from(config.num_key_value_heads)) as u32;
    if heads_a_part == 0 {
        fail!(
            Code::OutOfMemory,
            "a context of {ctx_len} tokens needs buffers of {head_bytes} bytes and this device allows {}",
            backend.limits().max_buffer;
            "ask for a shorter context"
        );
    }
    let mut parts = LayerCache::new();
    let mut first_head = 0;
    while first_head < config.num_key_value_heads {
        let heads = heads_a_part.min(config.num_key_value_heads - first_head);
        let what = format!("KV cache of layer {layer}");
        let bytes = head_bytes * u64::from(heads);
        let pair = backend.alloc(&what, bytes).and_then(|keys| match backend.alloc(&what, bytes) {
            Ok(values) => Ok((keys, values)),
            Err(error) => {
                backend.free(keys);
                Err(error)
            }
        });
        match pair {
            Ok((keys, values)) => parts.push(KvPart { keys, values, first_head, heads, ctx_len: ctx_len as u32, kind }),
            Err(error) => {
                free(backend, parts);
                return Err(error);
            }
        }
        first_head += heads;
    }
    Ok(parts)
}

/// Gives a layer's buffers back.
pub fn free<B: Backend>(backend: &mut B, cache: LayerCache) {
    for part in cache {
        backend.free(part.keys);
        backend.free(part.values);
    }
}
