//! How fast this machine reads memory: the ceiling of decoding, which reads every weight for every
//! token.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

/// Far more than any cache holds, and what a wasm module has room for beside a model.
const BYTES: usize = if cfg!(target_family = "wasm") { 128 << 20 } else { 512 << 20 };
const PASSES: usize = 6;

/// Bytes a second that as many threads read together, in the best of a few passes.
pub fn measure(threads: usize) -> f64 {
    let threads = threads.max(1);
    // Ones: untouched zeros would all be the same page.
    let words = vec![1u64; BYTES / size_of::<u64>()];
    let shares: Vec<&[u64]> = words.chunks(words.len().div_ceil(threads)).collect();
    let pass = || {
        let start = Instant::now();
        match shares[..] {
            [all] => drop(black_box(sum(all))),
            _ => thread::scope(|scope| {
                shares.iter().for_each(|share| drop(scope.spawn(|| black_box(sum(share)))))
            }),
        }
        BYTES as f64 / start.elapsed().as_secs_f64()
    };
    (0..PASSES).map(|_| pass()).fold(0.0, f64::max)
}

/// Eight sums at once, for the compiler to make vectors of.
fn sum(words: &[u64]) -> u64 {
    let mut sums = [0u64; 8];
    for eight in words.chunks_exact(8) {
        sums.iter_mut().zip(eight).for_each(|(sum, word)| *sum = sum.wrapping_add(*word));
    }
    sums.into_iter().fold(0, u64::wrapping_add)
}
