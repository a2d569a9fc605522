//! The GPU, in builds that can use one.

use phi_wasm::Result;
pub use phi_wasm::gpu::Gpu;
use phi_wasm::gpu::{GpuOptions, Tune};
use phi_wasm::session::{Rivals, Wanted};

use super::cache;
use super::options::ComputeArgs;

/// What is computed on unless the user says otherwise.
pub const DEFAULT: Wanted = Wanted::Auto;

/// Opens the GPU; one that is a program on the CPU only for those who insist on it.
pub async fn open(wanted: Wanted, args: &ComputeArgs) -> Result<Gpu> {
    let tune = Tune { known: cache::known(cache::GPUS), host: String::new(), anew: args.retune };
    let hardware_only = wanted == Wanted::Auto && !args.software_gpu;
    Gpu::new(GpuOptions {
        profile: args.profile,
        tune: Some(tune),
        hardware_only,
        ..GpuOptions::default()
    })
    .await
}

/// This machine's GPU and CPU, and what is known of them.
pub async fn rivals(args: &ComputeArgs) -> Option<Rivals> {
    let gpu = Gpu::identify(!args.software_gpu, "").await.ok()?;
    let threads = match args.threads() {
        0 => "all".to_owned(),
        threads => threads.to_string(),
    };
    let names = format!("{gpu}; {threads} threads");
    Some(Rivals { names, known: cache::known(cache::BACKENDS), anew: args.retune })
}
