//! A pool of threads of our own, so that its size is what was asked for.

use rayon::prelude::*;

use crate::error::{Code, Error, Result};

/// Runs tasks on a fixed number of threads.
pub struct Threads {
    /// `None` for a single thread: the caller's own.
    pool: Option<rayon::ThreadPool>,
    count: usize,
}

impl Threads {
    /// A pool of `wanted` threads; 0 for as many as the machine has.
    pub fn new(wanted: usize) -> Result<Threads> {
        let count = if wanted > 0 { wanted } else { std::thread::available_parallelism().map_or(1, usize::from) };
        let build = || rayon::ThreadPoolBuilder::new().num_threads(count).thread_name(|i| format!("cpu {i}")).build();
        let failed = |error| Error::new(Code::OutOfMemory, format!("{count} threads could not be started: {error}; ask for fewer"));
        let pool = if count > 1 { Some(build().map_err(failed)?) } else { None };
        Ok(Threads { pool, count })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Runs `work` inside the pool, so that each `each` in it need not wake the pool from outside.
    pub fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// Runs the tasks `0 .. tasks` in any order and waits for all.
    pub fn each(&self, tasks: usize, task: impl Fn(usize) + Sync) {
        match self.pool {
            Some(_) if tasks > 1 => (0..tasks).into_par_iter().for_each(&task),
            _ => (0..tasks).for_each(task),
        }
    }
}
