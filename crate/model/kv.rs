//! The KV cache: room for keys and values of so many positions, in pages, allocated at once. Which
//! page holds what is the matter of [`super::pages`].

use crate::backend::Backend;
use crate::error::{Code, Result, fail};
use crate::op::{KvKind, KvPart, PAGE};
use crate::weights::config::Config;

/// The cached heads of one layer, in as many parts as the device's largest buffer demands.
pub type LayerCache = Vec<KvPart>;

/// Bytes that so many positions take.
pub fn cache_bytes(config: &Config, positions: usize, kind: KvKind) -> u64 {
    let elements = 2
        * config.num_hidden_layers as u64
        * config.num_key_value_heads as u64
        * config.head_dim as u64;
    elements * positions as u64 * kind.bytes()
}

/// Pages that so many positions take.
pub fn pages(positions: usize) -> usize {
    positions.div_ceil(PAGE as usize)
}

/// Buffers for all layers. What was allocated is freed again when one of them fails.
pub fn allocate<B: Backend>(
    backend: &mut B,
    config: &Config,
    pages: usize,
    kind: KvKind,
) -> Result<Vec<LayerCache>> {
    let mut layers = Vec::new();
    for layer in 0..config.num_hidden_layers {
        match allocate_layer(backend, config, layer, pages, kind) {
            Ok(cache) => layers.push(cache),
            Err(error) => {
                layers.into_iter().for_each(|cache| free(backend, cache));
                return Err(error);
            }
        }
    }
    // What a backend needs to copy pages it takes now: answers take no more later.
    if pages > 1
        && let Err(error) = copy_page(backend, config, &layers, [0, 1])
    {
        layers.into_iter().for_each(|cache| free(backend, cache));
        return Err(error);
    }
    Ok(layers)
}

fn allocate_layer<B: Backend>(
    backend: &mut B,
    config: &Config,
    layer: u32,
    pages: usize,
    kind: KvKind,
) -> Result<LayerCache> {
    let positions = pages as u64 * u64::from(PAGE);
    let head_bytes = positions * u64::from(config.head_dim) * kind.bytes();
    let heads_a_part = (backend.limits().max_buffer / head_bytes)
        .min(u64::from(config.num_key_value_heads)) as u32;
    if heads_a_part == 0 {
        fail!(
            Code::OutOfMemory,
            "a context of {positions} tokens needs buffers of {head_bytes} bytes and this device \
                allows {}",
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
            Ok((keys, values)) => {
                parts.push(KvPart { keys, values, first_head, heads, pages: pages as u32, kind })
            }
            Err(error) => {
                free(backend, parts);
                return Err(error);
            }
        }
        first_head += heads;
    }
    Ok(parts)
}

/// Copies a page of all layers to another.
pub fn copy_page<B: Backend>(
    backend: &mut B,
    config: &Config,
    layers: &[LayerCache],
    from_to: [u32; 2],
) -> Result<()> {
    for part in layers.iter().flatten() {
        let bytes = part.page_bytes(config.head_dim);
        let places = from_to.map(|page| u64::from(page) * bytes);
        for half in [part.keys, part.values] {
            backend.copy(half, places, bytes as usize)?;
        }
    }
    Ok(())
}

/// Gives a layer's buffers back.
pub fn free<B: Backend>(backend: &mut B, cache: LayerCache) {
    for part in cache {
        backend.free(part.keys);
        backend.free(part.values);
    }
}
