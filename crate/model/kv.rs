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
    page_bytes(config, kind) * positions as u64 / u64::from(PAGE)
}

/// Bytes of a page of all layers.
pub fn page_bytes(config: &Config, kind: KvKind) -> u64 {
    let words: u32 = kind.words(config.head_dim).into_iter().sum();
    let heads = config.num_hidden_layers as u64 * config.num_key_value_heads as u64;
    4 * u64::from(words) * heads
}

/// Pages that so many positions of a sequence take: where they are sealed, its first one and the
/// one that is open take several.
pub fn pages(kind: KvKind, positions: usize) -> usize {
    let exact = kind.exact_pages() as usize;
    positions.div_ceil(PAGE as usize) + (2 * exact).saturating_sub(1)
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
    let head_bytes = kind.words(config.head_dim).map(|words| 4 * u64::from(words) * pages as u64);
    let largest = head_bytes[0].max(head_bytes[1]);
    let heads_a_part =
        (backend.limits().max_buffer / largest).min(u64::from(config.num_key_value_heads)) as u32;
    if heads_a_part == 0 {
        fail!(
            Code::OutOfMemory,
            "a cache of {pages} pages needs buffers of {largest} bytes and this device allows {}",
            backend.limits().max_buffer;
            "ask for a shorter context"
        );
    }
    let mut parts = LayerCache::new();
    let mut first_head = 0;
    while first_head < config.num_key_value_heads {
        let heads = heads_a_part.min(config.num_key_value_heads - first_head);
        let what = format!("KV cache of layer {layer}");
        let [keys, values] = head_bytes.map(|bytes| bytes * u64::from(heads));
        let pair = backend.alloc(&what, keys).and_then(|keys| match backend.alloc(&what, values) {
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
        let halves = [part.keys, part.values].into_iter().zip(part.page_bytes(config.head_dim));
        for (half, bytes) in halves {
            backend.copy(half, from_to.map(|page| u64::from(page) * bytes), bytes as usize)?;
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

/// Where a sequence's positions are, as a step tells it.
#[derive(Clone, Debug, Default)]
pub struct Placed {
    /// What makes up its first page, where pages are sealed.
    pub first: Vec<u32>,
    /// What makes up the page that is open.
    pub open: Vec<u32>,
    /// All of its pages, as they are or once they are sealed.
    pub pages: Vec<u32>,
}

impl Placed {
    /// Of a sequence that has a cache to itself.
    pub fn alone(kind: KvKind, positions: usize) -> Placed {
        let exact = kind.exact_pages();
        let last = pages(kind, positions) as u32;
        let sealed = (2 * exact).saturating_sub(1).min(last)..last;
        Placed {
            first: (0..exact).collect(),
            open: (exact..2 * exact).collect(),
            pages: sealed.collect(),
        }
    }

    /// The words of a step at a position.
    pub fn step(&self, position: usize) -> Vec<u32> {
        let lists = [&self.first, &self.open, &self.pages].into_iter().flatten().copied();
        std::iter::once(position as u32).chain(lists).collect()
    }
}
