//! The GPU, in builds that can use one.

use phi_wasm::backend::Backend;
pub use phi_wasm::gpu::Gpu;
use phi_wasm::gpu::{GpuOptions, Tune};
use phi_wasm::session::{Rivals, Wanted};
use phi_wasm::{Code, Error, Result};

use super::cache;
use super::options::ComputeArgs;

/// What is computed on unless the user says otherwise.
pub const DEFAULT: Wanted = Wanted::Auto;

/// Opens the GPU; one that is a program on the CPU only for those who insist on it.
pub async fn open(wanted: Wanted, args: &ComputeArgs) -> Result<Gpu> {
    let tune = Tune { known: cache::known(cache::GPUS), host: String::new(), anew: args.retune };
    let gpu = Gpu::new(GpuOptions { profile: args.profile, tune: Some(tune), ..GpuOptions::default() }).await?;
    if wanted == Wanted::Auto && gpu.is_software() && !args.software_gpu {
        return Err(Error::new(Code::NoGpu, format!("it is faster than {}", gpu.describe())));
    }
    Ok(gpu)
}

/// A GPU and this machine's CPU, and what is known of them.
pub fn rivals(gpu: &Gpu, args: &ComputeArgs) -> Option<Rivals> {
    let threads = if args.threads == 0 { "all".to_owned() } else { args.threads.to_string() };
    let names = format!("{}; {threads} threads", gpu.identity(""));
    Some(Rivals { names, known: cache::known(cache::BACKENDS), anew: args.retune })
}
