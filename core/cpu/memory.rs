//! The CPU's buffers: zeroed, aligned to a cache line, behind handles that notice when they are
//! stale.

use std::alloc::{GlobalAlloc, Layout, System};
use std::marker::PhantomData;
use std::ptr::NonNull;

use bytemuck::Pod;

use crate::error::{Code, Error, Result, fail};
use crate::op::Buf;

/// A cache line, and AVX-512's vector.
const ALIGN: usize = 64;
/// A handle is a slot's number below and its generation above.
const SLOT_BITS: u32 = 20;

/// Owned bytes. They come from the system at once: whoever watches what the allocator refuses hears
/// of what nobody can do without.
pub(super) struct Bytes {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the bytes are owned by this value and plain data.
unsafe impl Send for Bytes {}
// SAFETY: writing goes through `Shared`, whose user vouches for who writes what.
unsafe impl Sync for Bytes {}

impl Bytes {
    /// `None` when there is no memory.
    fn zeroed(len: usize) -> Option<Bytes> {
        // SAFETY: the size is not zero.
        Bytes::of(len, |layout| unsafe { System.alloc_zeroed(layout) })
    }

    /// Bytes that hold whatever was there before, if anything was: to be had and given back, not to
    /// be read.
    #[cfg_attr(
        not(target_family = "wasm"),
        expect(dead_code, reason = "only a module's memory is found out like that")
    )]
    pub(super) fn untouched(len: usize) -> Option<Bytes> {
        // SAFETY: the size is not zero.
        Bytes::of(len, |layout| unsafe { System.alloc(layout) })
    }

    fn of(len: usize, allocate: impl FnOnce(Layout) -> *mut u8) -> Option<Bytes> {
        let layout = Layout::from_size_align(len, ALIGN).ok().filter(|layout| layout.size() > 0)?;
        let start = NonNull::new(allocate(layout))?;
        Some(Bytes { start, layout })
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and never freed before.
        unsafe { System.dealloc(self.start.as_ptr(), self.layout) }
    }
}

/// All buffers.
#[derive(Default)]
pub struct Memory {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

struct Slot {
    generation: u32,
    bytes: Option<Bytes>,
}

impl Memory {
    /// The largest buffer that the address space allows.
    pub const LARGEST: u64 = (isize::MAX as u64) & !(ALIGN as u64 - 1);

    /// A buffer of zeros.
    pub fn alloc(&mut self, what: &str, bytes: u64) -> Result<Buf> {
        let none = || {
            Error::new(Code::OutOfMemory, format!("{what}: no memory for {bytes} bytes"))
                .advise("close other programs, or take a smaller model or context")
        };
        if bytes == 0 || !bytes.is_multiple_of(4) {
            fail!(
                Code::Internal,
                "{what}: a buffer of {bytes} bytes was asked for, which is no positive multiple \
                    of 4"
            );
        }
        let fresh = Bytes::zeroed(usize::try_from(bytes).map_err(|_| none())?).ok_or_else(none)?;
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.slots.len() >= 1 << SLOT_BITS => return Err(none()),
            None => {
                self.slots.try_reserve(1).map_err(|_| none())?;
                self.slots.push(Slot { generation: 0, bytes: None });
                self.slots.len() as u32 - 1
            }
        };
        let slot = &mut self.slots[index as usize];
        slot.bytes = Some(fresh);
        Ok(Buf(slot.generation << SLOT_BITS | index))
    }

    /// Gives a buffer back; a stale handle is ignored.
    pub fn free(&mut self, buf: Buf) {
        let index = buf.0 & ((1 << SLOT_BITS) - 1);
        let Some(slot) =
            self.slots.get_mut(index as usize).filter(|slot| slot.generation == buf.0 >> SLOT_BITS)
        else {
            return;
        };
        if slot.bytes.take().is_some() {
            slot.generation += 1;
            // A slot whose generations are used up retires, so that no old handle ever fits a new
            // buffer.
            if slot.generation >> (32 - SLOT_BITS) == 0 {
                self.free.push(index);
            }
        }
    }

    fn bytes(&self, buf: Buf) -> Result<&Bytes> {
        let slot = self
            .slots
            .get((buf.0 & ((1 << SLOT_BITS) - 1)) as usize)
            .filter(|slot| slot.generation == buf.0 >> SLOT_BITS);
        match slot.and_then(|slot| slot.bytes.as_ref()) {
            Some(bytes) => Ok(bytes),
            None => fail!(Code::Internal, "buffer {:#x} does not exist or was given back", buf.0),
        }
    }

    /// Length in bytes.
    pub fn len(&self, buf: Buf) -> Result<u64> {
        Ok(self.bytes(buf)?.layout.size() as u64)
    }

    /// A buffer's elements.
    pub fn read<T: Pod>(&self, buf: Buf) -> Result<&[T]> {
        let bytes = self.bytes(buf)?;
        // SAFETY: initialised, aligned to 64, plain data; whoever writes through `Shared` vouches
        // that nobody reads what it writes.
        Ok(unsafe {
            std::slice::from_raw_parts(
                bytes.start.as_ptr().cast(),
                bytes.layout.size() / size_of::<T>(),
            )
        })
    }

    /// A buffer's elements, for tasks to write.
    pub fn share<T: Pod>(&self, buf: Buf) -> Result<Shared<'_, T>> {
        let bytes = self.bytes(buf)?;
        Ok(Shared {
            start: bytes.start.as_ptr().cast(),
            len: bytes.layout.size() / size_of::<T>(),
            life: PhantomData,
        })
    }

    /// A buffer's elements, for the only user of the memory.
    pub fn write<T: Pod>(&mut self, buf: Buf) -> Result<&mut [T]> {
        let all = self.share(buf)?;
        // SAFETY: the memory is borrowed mutably, so nobody else reads or writes.
        Ok(unsafe { all.slice(0, all.len) })
    }
}

/// Elements that several tasks write, each its own.
#[derive(Clone, Copy)]
pub struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    life: PhantomData<&'a mut [T]>,
}

// SAFETY: plain data; `slice` asks its caller to keep tasks apart.
unsafe impl<T: Pod> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Pod> Sync for Shared<'_, T> {}

impl<'a, T: Pod> Shared<'a, T> {
    /// `len` elements from the `from`-th.
    ///
    /// # Safety
    /// Nobody else reads or writes these elements while the slice lives.
    pub unsafe fn slice(&self, from: usize, len: usize) -> &'a mut [T] {
        assert!(
            from <= self.len && len <= self.len - from,
            "{from} + {len} elements of {}",
            self.len
        );
        // SAFETY: in range; the caller vouches that nobody else uses it.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn buffers_are_zero_and_aligned() {
        let mut memory = Memory::default();
        for bytes in [4, 60, 64, 1000] {
            let buf = memory.alloc("test", bytes).unwrap();
            let all: &[u8] = memory.read(buf).unwrap();
            assert!(all.len() as u64 == bytes && all.iter().all(|&byte| byte == 0));
            assert_eq!(all.as_ptr() as usize % ALIGN, 0);
            memory.write::<u8>(buf).unwrap().fill(7);
            memory.free(buf);
        }
    }

    #[test]
    fn a_stale_handle_is_an_error_even_when_its_slot_is_used_again() {
        let mut memory = Memory::default();
        let first = memory.alloc("test", 4).unwrap();
        memory.free(first);
        memory.free(first);
        for _ in 0..10_000 {
            let next = memory.alloc("test", 4).unwrap();
            assert_ne!(next, first);
            assert_eq!(memory.read::<u32>(first).unwrap_err().code, Code::Internal);
            memory.free(next);
        }
        assert!(memory.slots.len() < 10, "slots are used again");
    }

    #[test]
    fn memory_that_cannot_be_had_is_named() {
        let mut memory = Memory::default();
        // An address space may have room for one of the largest, but not for three.
        for sizes in [[Memory::LARGEST; 3], [u64::MAX - 3; 3]] {
            let error =
                sizes.iter().find_map(|&bytes| memory.alloc("layer 3 keys", bytes).err()).unwrap();
            assert_eq!(error.code, Code::OutOfMemory);
            assert!(
                error.message.contains("layer 3 keys")
                    && error.message.contains(&sizes[0].to_string()),
                "{error}"
            );
        }
        assert_eq!(memory.alloc("odd", 6).unwrap_err().code, Code::Internal);
    }
}
