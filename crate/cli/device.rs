//! The one place where the command chooses between the GPU and the CPU.

use phi_wasm::Result;
use phi_wasm::backend::Backend;
use phi_wasm::cpu::{Cpu, CpuOptions};
use phi_wasm::gpu::{Gpu, GpuOptions};

use super::options::{Choice, ModelArgs};

/// What a command does once its backend is chosen.
pub trait Task {
    /// Does it.
    async fn on<B: Backend>(self, backend: B) -> Result<()>;
}

/// Runs a task on the backend that the arguments ask for.
pub async fn run<T: Task>(args: &ModelArgs, task: T) -> Result<()> {
    args.source()?; // A model that is not there must not first open a GPU.
    match args.compute.backend {
        Choice::Gpu => task.on(Gpu::new(GpuOptions::default()).await?).await,
        Choice::Cpu => task.on(cpu(args)?).await,
        Choice::Auto => match Gpu::new(GpuOptions::default()).await {
            Ok(gpu) if !gpu.is_software() => task.on(gpu).await,
            Ok(gpu) => {
                eprintln!("phi: computing on the CPU, which is faster than {}", gpu.describe());
                task.on(cpu(args)?).await
            }
            Err(error) => {
                eprintln!("phi: computing on the CPU: {error}");
                task.on(cpu(args)?).await
            }
        },
    }
}

fn cpu(args: &ModelArgs) -> Result<Cpu> {
    Cpu::new(CpuOptions { threads: args.compute.threads, ..CpuOptions::default() })
}
