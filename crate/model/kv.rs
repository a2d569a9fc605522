//! The KV cache: room for keys and values of so many positions, allocated at once, of which each
//! sequence has a region.

use std::sync::{Arc, Weak};

use crate::backend::Backend;
use crate::error::{Code, Result, fail};
use crate::op::{KvKind, KvPart};
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

/// Positions of the cache that are one sequence's. They are free again when it is dropped: what a
/// device still has to do for it comes before whatever is asked for whoever gets them next.
#[derive(Debug, PartialEq, Eq)]
pub struct Region {
    /// Where they begin.
    pub first: u32,
    /// How many there are.
    pub len: usize,
}

/// Which positions are taken.
#[derive(Debug)]
pub struct Regions {
    positions: usize,
    /// Those that were given out, in the order of their places.
    taken: Vec<Weak<Region>>,
}

impl Regions {
    /// None of so many positions is taken.
    pub fn new(positions: usize) -> Regions {
        Regions { positions, taken: Vec::new() }
    }

    /// Takes so many positions that lie together.
    ///
    /// # Errors
    /// `out-of-memory`, with the most that there are.
    pub fn take(&mut self, len: usize) -> Result<Arc<Region>> {
        self.taken.retain(|region| region.strong_count() > 0);
        let (mut first, mut longest) = (0, 0);
        let taken: Vec<_> = self
            .taken
            .iter()
            .map(|region| {
                region.upgrade().map_or((0, 0), |region| (region.first as usize, region.len))
            })
            .collect();
        for (at, (next, next_len)) in taken.into_iter().chain([(self.positions, 0)]).enumerate() {
            let free = next.saturating_sub(first);
            if len <= free {
                let region = Arc::new(Region { first: first as u32, len });
                self.taken.insert(at, Arc::downgrade(&region));
                return Ok(region);
            }
            longest = longest.max(free);
            first = first.max(next + next_len);
        }
        fail!(
            Code::OutOfMemory,
            "a sequence of {len} tokens was asked for, and of {} positions {longest} are free \
             together",
            self.positions;
            "drop another one, or load with a longer context"
        );
    }

    /// Whether a region is one of these.
    pub fn has(&self, region: &Arc<Region>) -> bool {
        self.taken.iter().any(|taken| taken.as_ptr() == Arc::as_ptr(region))
    }
}

/// Buffers for all layers. What was allocated is freed again when one of them fails.
pub fn allocate<B: Backend>(
    backend: &mut B,
    config: &Config,
    positions: usize,
    kind: KvKind,
) -> Result<Vec<LayerCache>> {
    let mut layers = Vec::new();
    for layer in 0..config.num_hidden_layers {
        match allocate_layer(backend, config, layer, positions, kind) {
            Ok(cache) => layers.push(cache),
            Err(error) => {
                layers.into_iter().for_each(|cache| free(backend, cache));
                return Err(error);
            }
        }
    }
    Ok(layers)
}

fn allocate_layer<B: Backend>(
    backend: &mut B,
    config: &Config,
    layer: u32,
    positions: usize,
    kind: KvKind,
) -> Result<LayerCache> {
    let head_bytes = positions as u64 * u64::from(config.head_dim) * kind.bytes();
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
            Ok((keys, values)) => parts.push(KvPart {
                keys,
                values,
                first_head,
                heads,
                positions: positions as u32,
                kind,
            }),
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
