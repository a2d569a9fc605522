//! No threads: the caller does every task.

use crate::error::{Code, Result, fail};

/// Runs tasks one after the other.
pub struct Threads;

impl Threads {
    /// One thread, which is all there is here; 0 and 1 both ask for it.
    pub fn new(wanted: usize) -> Result<Threads> {
        if wanted > 1 {
            fail!(Code::BadOption, "{wanted} threads were asked for, but this build has only one; leave the number out");
        }
        Ok(Threads)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        1
    }

    /// Runs `work`.
    pub fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        work()
    }

    /// Runs the tasks `0 .. tasks`.
    pub fn each(&self, tasks: usize, task: impl Fn(usize)) {
        (0..tasks).for_each(task);
    }
}
