//! Helpers are threads of the operating system, started for a team and ended with it.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::team::Team;
use crate::error::{Code, Result, fail, in_words};

/// How often a waiting thread looks before it sleeps: some tens of microseconds, which bridges the
/// gap between two ops.
pub const SPINS: u32 = 1000;

/// As many as wanted, or as the machine has.
pub fn count(wanted: usize) -> Result<usize> {
    Ok(if wanted > 0 { wanted } else { thread::available_parallelism().map_or(1, usize::from) })
}

/// A team's helpers; dropping them ends them.
pub struct Helpers {
    team: Arc<Team>,
    threads: Vec<JoinHandle<()>>,
}

impl Helpers {
    /// One for every seat.
    pub fn start(team: &Arc<Team>) -> Result<Helpers> {
        let mut helpers = Helpers { team: Arc::clone(team), threads: Vec::new() };
        for seat in 0..team.helpers() {
            let team = Arc::clone(team);
            match thread::Builder::new()
                .name(format!("cpu {}", seat + 1))
                .spawn(move || team.help(seat))
            {
                Ok(thread) => helpers.threads.push(thread),
                Err(error) => {
                    fail!(
                        Code::OutOfMemory,
                        "{} threads could not be started: {}",
                        helpers.team.helpers() + 1,
                        in_words(error);
                        "ask for fewer"
                    )
                }
            }
        }
        Ok(helpers)
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        self.team.close();
        for thread in self.threads.drain(..) {
            // A helper catches its tasks' panics, so it ends well.
            let _ = thread.join();
        }
    }
}
