//! Blocks of a file that are fetched beside each other, ahead of whoever reads it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise};

use super::body::{Attempt, Body, Failure, State, senseless};
use super::{WINDOW, retry};
use crate::error::{Code, Error};

/// Blocks that are fetched beside each other: a chunk of what is kept, so that a kill costs no more.
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
}

impl Run {
    /// One that begins at `next`.
    pub fn new(file: &str, address: String, state: State, next: u64) -> Run {
        Run { file: file.to_owned(), address, state, next, blocks: VecDeque::new() }
    }

    /// Whether a place in this state of a file is in a block that was asked for, or begins the next one.
    pub fn reaches(&self, file: &str, state: &State, at: u64) -> bool {
        let first = self.blocks.front().map_or(self.next, |block| block.start);
        self.file == file && self.state == *state && first <= at && at <= self.next && at < state.size
    }

    /// Copies the bytes from `at` on, as many as one block holds: at least one. A run that fails is given up.
    pub async fn read(&mut self, at: u64, into: &mut [u8]) -> Attempt<usize> {
        while self.blocks.front().is_some_and(|block| block.end <= at) {
            self.blocks.pop_front();
        }
        while self.blocks.len() < BESIDE && self.next < self.state.size {
            let end = (self.next + WINDOW.1).min(self.state.size);
            self.blocks.push_back(Block::fetch(&self.file, &self.address, self.next, end, &self.state));
            self.next = end;
        }
        let Some(block) = self.blocks.front() else {
            return Err(Failure::Final(Error::new(Code::Internal, "a run was read beyond its end")));
        };
        let bytes = JsFuture::from(block.bytes.clone()).await.ok();
        let Some(bytes) = bytes.and_then(|bytes| bytes.dyn_into::<Uint8Array>().ok()) else {
            return Err(block.failure.borrow_mut().take().unwrap_or_else(|| Failure::Passing(senseless(&self.address, "nothing"))));
        };
        let count = into.len().min((block.end - at) as usize);
        let from = (at - block.start) as u32;
        bytes.subarray(from, from + count as u32).copy_to(&mut into[..count]);
        Ok(count)
    }
}

/// Some bytes of a file on their way.
#[derive(Debug)]
struct Block {
    start: u64,
    end: u64,
    /// Of an array of all of them, or of null.
    bytes: Promise,
    /// Why it is null.
    failure: Rc<RefCell<Option<Failure>>>,
    /// Ends the download when the block is dropped.
    _wanted: Rc<()>,
}

impl Block {
    fn fetch(file: &str, address: &str, start: u64, end: u64, state: &State) -> Block {
        let (failure, wanted) = (Rc::default(), Rc::new(()));
        let (file, address, state) = (file.to_owned(), address.to_owned(), state.clone());
        let (why, still): (Rc<RefCell<Option<Failure>>>, _) = (Rc::clone(&failure), Rc::downgrade(&wanted));
        let bytes = future_to_promise(async move {
            let all = Uint8Array::new_with_length((end - start) as u32);
            // Never rejected: nobody may be waiting for it any more.
            Ok(match fill(&file, &address, start, &all, &state, &still).await {
                Ok(()) => all.into(),
                Err(failure) => {
                    why.replace(Some(failure));
                    JsValue::NULL
                }
            })
        });
        Block { start, end, bytes, failure, _wanted: wanted }
    }
}

/// Fills an array with a file's bytes from `start` on, as long as somebody wants them.
async fn fill(file: &str, address: &str, start: u64, all: &Uint8Array, state: &State, still: &Weak<()>) -> Attempt<()> {
    let (mut filled, mut failures, end) = (0, 0, start + u64::from(all.length()));
    while filled < all.length() {
        let before = filled;
        let some = async {
            let mut body = Body::open(file, address, start + u64::from(filled), Some(end)).await?;
            body.agree(state)?;
            if body.end != end {
                return Err(Failure::Final(senseless(address, "another part than the one asked for")));
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
