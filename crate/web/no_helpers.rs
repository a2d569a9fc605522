//! A module whose memory nobody shares has one thread.

use super::js_types::StartHelpers;
use crate::error::Result;

/// Starts nobody: `Cpu::new` says so to one who asks for more.
pub async fn start(_threads: usize, _start: Option<&StartHelpers>) -> Result<()> {
    Ok(())
}

/// One, whatever is asked for.
pub fn wanted(_threads: usize) -> usize {
    1
}
