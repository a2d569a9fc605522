//! Memory for the length of a task: one per thread, kept, so that decoding does not allocate.

use std::cell::RefCell;

/// A cache line of floats.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([f32; FLOATS]);

const FLOATS: usize = 16;

thread_local! {
    static LINES: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// Calls `work` with `len` floats, aligned to 64 bytes; they hold whatever was there before. Not to
/// be nested.
pub fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    LINES.with_borrow_mut(|lines| {
        if lines.len() < len.div_ceil(FLOATS) {
            lines.resize(len.div_ceil(FLOATS), Line([0.0; FLOATS]));
        }
        work(&mut bytemuck::cast_slice_mut(lines)[..len])
    })
}
