//! The GPU, in builds that have only the CPU, such as the WASI module.

use phi_wasm::cpu::Cpu;
use phi_wasm::session::{Rivals, Wanted};
use phi_wasm::{Code, Error, Result};

use super::options::ComputeArgs;

/// What is computed on unless the user says otherwise.
pub const DEFAULT: Wanted = Wanted::Cpu;

/// There is none, so any backend will do.
pub type Gpu = Cpu;

/// An error.
pub async fn open(_wanted: Wanted, _args: &ComputeArgs) -> Result<Gpu> {
    Err(Error::new(Code::NoGpu, "this build of phi has no GPU backend")
        .advise("--backend cpu does without one"))
}

/// What `auto` compares: nothing, for there is the CPU alone.
pub async fn rivals(_args: &ComputeArgs) -> Option<Rivals> {
    None
}
