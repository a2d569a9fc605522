//! In the place of `pending.rs` where there are no threads.

use super::{Grammars, Spellings, grammars};
use crate::error::Result;

/// What makes constraints, made in place.
pub struct Pending(Result<Box<dyn Grammars + Send>>);

impl Pending {
    /// Makes it.
    pub fn begin(spellings: Spellings) -> Pending {
        Pending(grammars(spellings))
    }

    /// It was made.
    ///
    /// # Errors
    /// As [`grammars`].
    pub fn join(self) -> Result<Box<dyn Grammars + Send>> {
        self.0
    }
}
