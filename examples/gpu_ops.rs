#![allow(missing_docs, clippy::unwrap_used)]
use phi_wasm::backend::Backend;
use phi_wasm::gpu::{Choice, Gpu, GpuOptions};
use phi_wasm::op::*;
use phi_wasm::weights::layout::{Kind, planes};

fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
}

fn main() {
    let a: Vec<String> = std::env::args().collect();
    let on = |c: char| if a[1].contains(c) { Choice::On } else { Choice::Off };
    let o = GpuOptions { f16: on('h'), subgroups: on('s'), workgroup: a.get(2).map(|w| w.parse().unwrap()), ..Default::default() };
    pollster::block_on(async {
        let mut g = Gpu::new(o).await.unwrap();
        println!("{}", g.describe());
        let kind = if a[1].contains('m') {
            Kind::Q4Min
        } else if a[1].contains('8') {
            Kind::Q8
        } else if a[1].contains('f') {
            Kind::F16
        } else {
            Kind::Q4
        };
        let (rows, cols) = (3072u32, 576u32);
        let p = planes(kind, rows as usize, cols as usize);
        let codes = g.alloc("c", p.codes).unwrap();
        let scales = (p.scales > 0).then(|| g.alloc("s", p.scales).unwrap());
        let mins = (p.mins > 0).then(|| g.alloc("m", p.mins).unwrap());
        let w = std::sync::Arc::new(Matrix { kind, rows, cols, parts: vec![Part { first_row: 0, rows, codes, scales, mins }] });
        let t = 64u32;
        let x = g.alloc("x", (t * cols * 4) as u64).unwrap();
        let out = g.alloc("o", (t * rows * 4) as u64).unwrap();
        let step = g.alloc("s", 4).unwrap();
        let heads = Heads { n_heads: 9, n_kv_heads: 3, head_dim: 64 };
        let qkv = g.alloc("q", (t * heads.qkv_width() * 4) as u64).unwrap();
        let ctx = 512;
        let keys = g.alloc("k", (3 * ctx * 64 * 2) as u64).unwrap();
        let values = g.alloc("v", (3 * ctx * 64 * 2) as u64).unwrap();
        let ang = g.alloc("v", (t * 64 * 4) as u64).unwrap();
        let cache = KvPart { keys, values, first_head: 0, heads: 3, ctx_len: ctx, kind: KvKind::F16 };
        let ops = [
            ("matmul 64", Op::Matmul { w: w.clone(), x, out, rows: t, add: false }),
            ("matvec 1", Op::Matmul { w: w.clone(), x, out, rows: 1, add: false }),
            ("attend 64", Op::Attend { qkv, step, cache, out, heads, window: u32::MAX, rows: t }),
            ("attend 1@300", Op::Attend { qkv, step, cache, out, heads, window: u32::MAX, rows: 1 }),
            ("rope 64", Op::Rope { qkv, angles: ang, step, cache, heads, rotary_dim: 64, rows: t }),
            ("swiglu 64", Op::Swiglu { gate_up: out, out: qkv, width: 256, rows: t }),
        ];
        for (name, op) in ops {
            if name.contains("@300") {
                g.write(step, 0, &300u32.to_le_bytes()).unwrap();
            }
            let one = g.prepare(std::slice::from_ref(&op)).unwrap();
            let mut b = [0u8; 4];
            g.run(&one).unwrap();
            g.read(step, 0, &mut b).await.unwrap();
            let n = if name.contains("1") { 100 } else { 10 };
            let c0 = cpu();
            for _ in 0..n {
                g.run(&one).unwrap();
                g.read(step, 0, &mut b).await.unwrap();
            }
            let dt = (cpu() - c0) / n as f64;
            println!("{name}: {:.3} ms cpu each", dt * 1e3);
        }
    });
}
