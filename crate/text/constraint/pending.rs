//! Grammars that are made while something else goes on.

use std::thread::{self, JoinHandle};

use super::{Grammars, Spellings, grammars};
use crate::error::{Code, Result, fail};

/// What makes constraints, in the making on a thread of its own.
pub struct Pending(JoinHandle<Result<Box<dyn Grammars + Send>>>);

impl Pending {
    /// Begins with it.
    pub fn begin(spellings: Spellings) -> Pending {
        Pending(thread::spawn(|| grammars(spellings)))
    }

    /// Waits for it.
    ///
    /// # Errors
    /// As [`grammars`].
    pub fn join(self) -> Result<Box<dyn Grammars + Send>> {
        match self.0.join() {
            Ok(grammars) => grammars,
            Err(_) => fail!(Code::Internal, "the thread that makes masks panicked"),
        }
    }
}
