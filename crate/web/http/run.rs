//! Blocks of a file that are fetched beside each other, ahead of whoever reads it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, future_to_promise};

use super::body::{Attempt, Body, Failure, State, senseless};
use super::{WINDOW, retry};
use crate::error::{Code, Error};

/// Blocks that are fetched beside each other: a chunk of what is kept, so that a kill costs no
/// more.
const BESIDE: usize = 4;

/// A file that is read on and on: its next blocks, which come beside each other.
#[derive(Debug)]
pub struct Run {
    file: String,
    address: String,
    state: State,
    /// Where the block after those that were asked for begins.
    next: u64,
    blocks: VecDeque<Block>,
    /// Arrays of blocks that were read, for those to come: a browser would put off collecting them.
    spare: Vec<Uint8Array>,
}

impl Run {
    /// One that begins at `next`.
    pub fn new(file: &str, address: String, state: State, next: u64) -> Run {
        Run {
            file: file.to_owned(),
            address,
            state,
            next,
            blocks: VecDeque::new(),
            spare: Vec::new(),
        }
    }

    /// Whether a place in this state of a file is in a block that was asked for, or begins the next
    /// one.
    pub fn reaches(&self, file: &str, state: &State, at: u64) -> bool {
        let first = self.blocks.front().map_or(self.next, |block| block.start);
        self.file == file
            && self.state == *state
            && first <= at
            && at <= self.next
            && at < state.size
    }

    /// Copies the bytes from `at` on, as many as one block holds: at least one. A run that fails is
    /// given up.
    pub async fn read(&mut self, at: u64, into: &mut [u8]) -> Attempt<usize> {
        while let Some(block) = self.blocks.pop_front_if(|block| block.end <= at) {
            // Something may still come for one that nobody waited for.
            self.spare.extend(block.was_read.then_some(block.array));
        }
        while self.blocks.len() < BESIDE && self.next < self.state.size {
            let end = (self.next + WINDOW.1).min(self.state.size);
            let length = (end - self.next) as u32;
            let array = self
                .spare
                .pop()
                .filter(|array| array.length() == length)
                .unwrap_or_else(|| Uint8Array::new_with_length(length));
            self.blocks.push_back(Block::fetch(
                &self.file,
                &self.address,
                self.next,
                array,
                &self.state,
            ));
            self.next = end;
        }
        let Some(block) = self.blocks.front_mut() else {
            return Err(Failure::Final(Error::new(
                Code::Internal,
                "a run was read beyond its end",
            )));
        };
        let filled =
            JsFuture::from(block.filled.clone()).await.is_ok_and(|filled| filled.is_truthy());
        if !filled {
            return Err(block
                .failure
                .borrow_mut()
                .take()
                .unwrap_or_else(|| Failure::Passing(senseless(&self.address, "nothing"))));
        }
        block.was_read = true;
        let count = into.len().min((block.end - at) as usize);
        let from = (at - block.start) as u32;
        block.array.subarray(from, from + count as u32).copy_to(&mut into[..count]);
        Ok(count)
    }
}

/// Some bytes of a file on their way.
#[derive(Debug)]
struct Block {
    start: u64,
    end: u64,
    array: Uint8Array,
    /// Of whether they are all in the array.
    filled: Promise,
    was_read: bool,
    /// Why they are not.
    failure: Rc<RefCell<Option<Failure>>>,
    /// Ends the download when the block is dropped.
    _wanted: Rc<()>,
}

impl Block {
    /// Fills an array with the file's bytes from `start` on.
    fn fetch(file: &str, address: &str, start: u64, array: Uint8Array, state: &State) -> Block {
        let end = start + u64::from(array.length());
        let (failure, wanted) = (Rc::default(), Rc::new(()));
        let (file, address, state) = (file.to_owned(), address.to_owned(), state.clone());
        let (why, still): (Rc<RefCell<Option<Failure>>>, _) =
            (Rc::clone(&failure), Rc::downgrade(&wanted));
        let all = array.clone();
        let filled = future_to_promise(async move {
            let outcome = fill(&file, &address, start, &all, &state, &still).await;
            // Never rejected: nobody may be waiting for it any more.
            let filled = outcome.is_ok();
            why.replace(outcome.err());
            Ok(JsValue::from(filled))
        });
        Block { start, end, array, filled, was_read: false, failure, _wanted: wanted }
    }
}

/// Fills an array with a file's bytes from `start` on, as long as somebody wants them.
async fn fill(
    file: &str,
    address: &str,
    start: u64,
    all: &Uint8Array,
    state: &State,
    still: &Weak<()>,
) -> Attempt<()> {
    let (mut filled, mut failures, end) = (0, 0, start + u64::from(all.length()));
    while filled < all.length() {
        let before = filled;
        let some = async {
            let mut body = Body::open(file, address, start + u64::from(filled), Some(end)).await?;
            body.agree(state)?;
            if body.end != end {
                return Err(Failure::Final(senseless(
                    address,
                    "another part than the one asked for",
                )));
            }
            while !body.ends_at(end) && still.strong_count() > 0 {
                let piece = body.next_piece().await.map_err(Failure::Passing)?;
                all.set(&piece, filled);
                filled += piece.length();
                body.position += u64::from(piece.length());
            }
            Ok(())
        };
        let outcome = some.await;
        if still.strong_count() == 0 {
            return Err(Failure::Final(Error::new(Code::Cancelled, "nobody waits for it")));
        }
        if filled > before {
            failures = 0;
        }
        if let Err(failure) = outcome {
            retry(&mut failures, failure).await.map_err(Failure::Final)?;
        }
    }
    Ok(())
}
