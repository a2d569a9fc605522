//! Memory that was refused. A module that ends for want of it cannot say so any more, but its
//! memory is still there to tell.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The standard library's allocator, which remembers what it did not give.
struct Remembering;

#[global_allocator]
static ALLOCATOR: Remembering = Remembering;

/// Bytes that were asked for last and not given, unless somebody could do without.
static REFUSED: AtomicUsize = AtomicUsize::new(0);

impl Remembering {
    fn given(start: *mut u8, bytes: usize) -> *mut u8 {
        if start.is_null() {
            REFUSED.store(bytes, Relaxed);
        }
        start
    }
}

// SAFETY: `System` does everything.
unsafe impl GlobalAlloc for Remembering {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        Self::given(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        Self::given(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's.
        Self::given(unsafe { System.realloc(start, layout, size) }, size)
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { System.dealloc(start, layout) }
    }
}

/// Bytes that were refused, if that is why this module has ended; 0 otherwise. Any thread that
/// shares its memory may ask, after a trap too. It is asked as it is: each line that a script has
/// for it would be there in all four.
#[unsafe(export_name = "refusedBytes")]
pub extern "C" fn refused_bytes() -> usize {
    REFUSED.load(Relaxed)
}

/// Whoever was refused memory has become an error, or has done without: what ends the module later
/// has another reason.
pub(super) fn forget() {
    REFUSED.store(0, Relaxed);
}
