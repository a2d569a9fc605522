//! The backends that tests run on. One that cannot be had is a failure, never a skip.

use phi_wasm::cpu::{Cpu, CpuOptions, Simd};
#[cfg(any(target_os = "unknown", all(feature = "gpu-tests", not(target_family = "wasm"))))]
use phi_wasm::gpu::{Gpu, GpuOptions, Switch};

pub async fn portable() -> Cpu {
    Cpu::new(CpuOptions { simd: Simd::Portable, ..CpuOptions::default() }).unwrap()
}

pub async fn simd() -> Cpu {
    Cpu::new(CpuOptions::default()).unwrap()
}

#[cfg(any(target_os = "unknown", all(feature = "gpu-tests", not(target_family = "wasm"))))]
pub async fn gpu(f16: Switch, dots: Switch) -> Gpu {
    Gpu::new(GpuOptions { f16, dots, ..GpuOptions::default() }).await.unwrap()
}
