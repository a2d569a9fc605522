//! How long a list of ops takes on a backend, as whoever chooses between variants or backends asks.

use crate::backend::Backend;
use crate::clock;
use crate::error::Result;
use crate::op::{Buf, Op};

/// Measurements of a list; the fastest counts.
const ROUNDS: usize = 3;
/// Seconds of a measurement, where one run takes less.
const ROUND: f64 = 0.015;
/// Runs of a measurement at most: clocks of browsers are coarse.
const MOST_RUNS: f64 = 100.0;
/// Seconds after which there is no further measurement: one so long can be believed.
const ENOUGH: f64 = 10.0 * ROUND;

/// Seconds that a list takes, waited for by reading what `after` begins with.
///
/// # Errors
/// What running can meet.
pub(crate) async fn seconds<B: Backend>(backend: &mut B, ops: &[Op], after: Buf) -> Result<f64> {
    let program = backend.prepare(ops)?;
    backend.ready().await?;
    // The first run brings everything in, and some drivers compile only then: it never counts. The
    // second tells how many make a measurement.
    measure(backend, &program, 1.0, after).await?;
    let (begun, mut least, mut runs) = (clock::seconds(), f64::INFINITY, 1.0);
    for _ in 0..ROUNDS {
        let seconds = measure(backend, &program, runs, after).await?;
        least = least.min(seconds);
        runs = (ROUND / seconds.max(1e-6)).clamp(1.0, MOST_RUNS).floor();
        if clock::seconds() - begun > ENOUGH {
            break;
        }
    }
    Ok(least)
}

/// Seconds of each of so many runs, one after the other.
async fn measure<B: Backend>(
    backend: &mut B,
    program: &B::Program,
    runs: f64,
    after: Buf,
) -> Result<f64> {
    let start = clock::seconds();
    for _ in 0..runs as usize {
        backend.run(program)?;
    }
    backend.read(after, 0, &mut [0; 4]).await?;
    Ok((clock::seconds() - start) / runs)
}
