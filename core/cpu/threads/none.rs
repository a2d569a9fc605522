//! No helpers: this build has one thread, the caller's.

use std::sync::Arc;

use super::team::Team;
use crate::error::{Code, Result, fail};

/// Nobody waits here.
pub const SPINS: u32 = 0;

/// 0 and 1 both ask for the one thread that there is.
pub fn count(wanted: usize) -> Result<usize> {
    if wanted > 1 {
        fail!(
            Code::BadOption,
            "{wanted} threads were asked for, but this build has only one; leave the number out"
        );
    }
    Ok(1)
}

/// The threads that help: nobody, here.
pub struct Helpers;

impl Helpers {
    /// Starts nobody.
    pub fn start(_: &Arc<Team>) -> Result<Helpers> {
        Ok(Helpers)
    }
}
