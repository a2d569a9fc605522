#![allow(missing_docs, clippy::unwrap_used)]
use phi_wasm::cpu::{Cpu, CpuOptions};
use phi_wasm::engine::{Engine, EngineOptions};
use phi_wasm::gpu::{Choice, Gpu, GpuOptions};
use phi_wasm::weights::checkpoint::{Checkpoint, Hold};
use phi_wasm::weights::layout::Kind;
use phi_wasm::weights::source::DirSource;
use std::time::Instant;

async fn bench<B: phi_wasm::backend::Backend>(b: B, n: usize, m: usize) {
    let t = Instant::now();
    let c = Checkpoint::open(DirSource::open("/root/.cache/phi-wasm/SmolLM2-135M-Instruct.Q4_1.gguf").unwrap()).await.unwrap();
    let o = EngineOptions { hold: Hold::from(Kind::Q4), ctx_len: Some(512), kv: None };
    let mut e = Engine::load(&c, b, &o, &mut |_| {}).await.unwrap();
    println!("{} loaded in {:?}", e.describe_backend(), t.elapsed());
    let ids: Vec<u32> = (0..n as u32).map(|i| (i * 7919 + 13) % 49152).collect();
    e.plan(&ids).unwrap();
    let t = Instant::now();
    let l = e.logits().await.unwrap();
    println!("prefill {n} in {:?} = {:.1} tok/s; {:?}", t.elapsed(), n as f64 / t.elapsed().as_secs_f64(), &l[..4]);
    let t = Instant::now();
    let mut l = l;
    let mut out = vec![];
    for i in 0..m {
        let best = l.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0 as u32;
        out.push(best);
        e.push(best).unwrap();
        l = e.logits().await.unwrap();
        if i == 0 {
            println!("first {:?}", t.elapsed());
        }
    }
    println!("decode {m} in {:?} = {:.1} tok/s {out:?}", t.elapsed(), m as f64 / t.elapsed().as_secs_f64());
}

fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (n, m) = (a[2].parse().unwrap(), a[3].parse().unwrap());
    pollster::block_on(async {
        if a[1] == "cpu" {
            bench(Cpu::new(CpuOptions::default()).unwrap(), n, m).await;
            return;
        }
        let on = |c: char| if a[1].contains(c) { Choice::On } else { Choice::Off };
        let t = Instant::now();
        let o = GpuOptions { f16: on('h'), subgroups: on('s'), workgroup: a.get(4).map(|w| w.parse().unwrap()), ..Default::default() };
        let gpu = Gpu::new(o).await.unwrap();
        println!("opened in {:?}", t.elapsed());
        bench(gpu, n, m).await;
    });
}
