//! The choice of a backend in a build that has only the CPU, such as the WASI module.

use phi_wasm::backend::Backend;
use phi_wasm::cpu::{Cpu, CpuOptions};
use phi_wasm::{Code, Error, Result};

use super::options::{Choice, ModelArgs};

/// What a command does once its backend is chosen.
pub trait Task {
    /// Does it.
    async fn on<B: Backend>(self, backend: B) -> Result<()>;
}

/// Runs a task on the CPU.
pub async fn run<T: Task>(args: &ModelArgs, task: T) -> Result<()> {
    if args.compute.backend == Choice::Gpu {
        return Err(Error::new(Code::NoGpu, "this build of phi has no GPU backend; use --backend cpu"));
    }
    task.on(Cpu::new(CpuOptions { threads: args.compute.threads, ..CpuOptions::default() })?).await
}
