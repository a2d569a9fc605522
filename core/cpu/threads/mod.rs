//! The threads that share an op's tasks. Who they are differs by host; how they work together does
//! not: [`team`].

#[cfg_attr(not(target_family = "wasm"), path = "native.rs")]
#[cfg_attr(all(target_family = "wasm", target_feature = "atomics"), path = "workers.rs")]
#[cfg_attr(all(target_family = "wasm", not(target_feature = "atomics")), path = "none.rs")]
mod helpers;
#[cfg_attr(
    all(target_family = "wasm", not(target_feature = "atomics")),
    expect(dead_code, reason = "nobody comes to help")
)]
mod team;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::error::{Code, Result, fail};
use helpers::Helpers;
#[cfg(all(target_family = "wasm", target_feature = "atomics"))]
pub use helpers::help;
use team::Team;

/// More than any machine puts to use; each costs a stack.
pub const MOST: usize = 1024;

/// Runs tasks on a fixed number of threads, the caller's among them.
pub struct Threads {
    team: Arc<Team>,
    /// Ends them when dropped.
    _helpers: Helpers,
}

impl Threads {
    /// `wanted` threads; 0 for as many as there are.
    pub fn new(wanted: usize) -> Result<Threads> {
        if wanted > MOST {
            fail!(Code::BadOption, "{wanted} threads were asked for; at most {MOST} work together");
        }
        let team = Arc::new(Team::new(helpers::count(wanted)? - 1, helpers::SPINS));
        Ok(Threads { _helpers: Helpers::start(&team)?, team })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.team.helpers() + 1
    }

    /// Runs the tasks `0 .. tasks`, each once, the first ones first, and waits for all.
    pub fn each(&self, tasks: usize, task: impl Fn(usize) + Sync) {
        self.team.each(tasks, task);
    }
}
