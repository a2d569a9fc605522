//! The most memory that this module has had: it only ever grows.

use std::arch::wasm32::memory_size;

/// Bytes of the module's memory.
pub fn peak() -> Option<u64> {
    const PAGE: u64 = 64 << 10;
    Some(memory_size::<0>() as u64 * PAGE)
}
