//! The CPU's kernels: every instruction set that this machine has, on one thread and on several.

use phi_wasm::backend::Backend;
use phi_wasm::cpu::{Cpu, CpuOptions, Simd};
use phi_wasm::layout::Kind;
use phi_wasm::op::{self, Buf, Matrix, Op, Part};
use phi_wasm::{Code, Result};

use super::cases::{self, Case};
use super::host::{Host, Memory};
use super::make::{Make, Noise};
use super::oracle::Activations;
use super::runner::Precision;
use super::{runner, sealing, weights};

/// Given its rounded activations, a product errs as in f32.
const ROUNDED: Precision = Precision {
    activations: Activations::Rounded { from: 1, in_lines: false, not: &[] },
    ..runner::F32
};

/// What the table is run on.
fn all() -> Vec<CpuOptions> {
    let threads: &[usize] = if cfg!(target_family = "wasm") { &[1] } else { &[1, 3] };
    Simd::available()
        .into_iter()
        .flat_map(|simd| threads.iter().map(move |&threads| CpuOptions { threads, simd }))
        .collect()
}

async fn check(cases: Vec<Case>) {
    for options in all() {
        runner::check(&mut Cpu::new(options).unwrap(), &cases, ROUNDED).await;
    }
}

/// Products with noise so small that its inverse is beyond f32.
fn faint() -> Vec<Case> {
    let of_kind = |kind: Kind| {
        let (mut make, mut noise) = (Make::new(), Noise(2));
        let (tokens, rows, cols) = (3, 6, cases::columns(kind, 96));
        let w = make.matrix(kind, rows, cols, 1);
        let values = (0..tokens * cols).map(|_| noise.float() * 1e-36).collect();
        let (x, out) = (make.push(Host::F32(values)), make.output(tokens * rows));
        let op = Op::Matmul(op::Matmul { w, x, out, rows: tokens, add: false });
        make.case(format!("matmul {kind:?} of faint activations"), vec![op])
    };
    Kind::ALL.map(of_kind).into()
}

async_test! {
    async fn embed() {
        check(cases::embed()).await;
    }
    async fn norm() {
        check(cases::norm()).await;
    }
    async fn head_norm() {
        check(cases::head_norm()).await;
    }
    async fn matmul() {
        check([cases::matvec(), cases::matmul(), faint()].concat()).await;
    }
    async fn rope() {
        check(cases::rope()).await;
    }
    async fn attend() {
        check(cases::attend()).await;
    }
    async fn swiglu() {
        check(cases::swiglu()).await;
    }
    async fn argmax() {
        check(cases::argmax()).await;
    }
    async fn log_probs() {
        check(cases::log_probs()).await;
    }
    async fn normed() {
        check(cases::normed()).await;
    }
    async fn attend_token() {
        check(cases::attend_token()).await;
    }
    async fn read_again() {
        check(cases::read_again()).await;
    }
    async fn mixed() {
        check(cases::mixed()).await;
    }
    async fn program() {
        check(cases::program()).await;
    }
}

async_test! {
    async fn pages_are_sealed() {
        for options in all() {
            sealing::check(&mut Cpu::new(options).unwrap()).await;
        }
    }

    async fn the_oracle_unpacks_what_the_panel_packed() {
        for kind in Kind::ALL {
            let cols = cases::columns(kind, 96);
            let panel = Noise(5).panel(kind, 6, cols as usize);
            let planes = [&panel.codes, &panel.scales, &panel.mins];
            let memory = Memory::new(&planes.map(|plane| Host::Bytes(plane.clone())));
            let scales = kind.has_scales().then_some(Buf(1));
            let mins = kind.has_mins().then_some(Buf(2));
            let parts = vec![Part { kind, first_row: 0, rows: 6, codes: Buf(0), scales, mins }];
            let rows = weights::unpack(&memory, &Matrix { rows: 6, cols, parts });
            for (row, values) in rows.iter().enumerate() {
                let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
                assert_eq!(values, panel.row(row), "{kind:?} row {row}");
            }
        }
    }

    async fn the_number_of_threads_changes_no_bit() {
        let options = |threads| CpuOptions { threads, simd: Simd::Auto };
        let cases: Vec<Case> =
            [cases::matvec(), cases::matmul(), cases::attend(), cases::program()].concat();
        let mut one = Cpu::new(options(1)).unwrap();
        let mut several = Cpu::new(all().pop().unwrap()).unwrap();
        for case in &cases {
            let same = outputs(&mut one, case).await == outputs(&mut several, case).await;
            assert!(same, "{}", case.name);
        }
    }

    async fn data_that_does_not_fit_is_an_error() {
        let mut cpu = Cpu::new(CpuOptions::default()).unwrap();
        let case = cases::embed().remove(1);
        let failure = run_with(&mut cpu, &case, 70).await.unwrap_err();
        assert_eq!(failure.code, Code::BadToken, "{failure}");
        for case in [cases::rope().remove(3), cases::attend().remove(3)] {
            let failure = run_with(&mut cpu, &case, 10_000).await.unwrap_err();
            assert_eq!(failure.code, Code::Internal, "{failure}");
        }
    }

    async fn a_list_that_lost_a_buffer_or_never_had_it_is_an_error() {
        let mut cpu = Cpu::new(CpuOptions { threads: 1, simd: Simd::Auto }).unwrap();
        let gate_up = cpu.alloc("gate_up", 4 * 64).unwrap();
        let out = cpu.alloc("out", 4 * 32).unwrap();
        let op = |rows, out| Op::Swiglu(op::Swiglu { gate_up, out, width: 32, rows });
        let program = cpu.prepare(&[op(1, out)]).unwrap();
        cpu.run(&program).unwrap();
        for wrong in [op(2, out), op(1, gate_up), op(u32::MAX, out)] {
            assert_eq!(cpu.prepare(&[wrong]).err().map(|e| e.code), Some(Code::Internal));
        }
        cpu.free(out);
        let next = cpu.alloc("another", 4 * 32).unwrap();
        assert_ne!(next, out);
        assert_eq!(cpu.run(&program).unwrap_err().code, Code::Internal);
        assert_eq!(cpu.write(out, 0, &[0; 4]).unwrap_err().code, Code::Internal);
        assert_eq!(cpu.write(next, 4 * 32, &[0; 4]).unwrap_err().code, Code::Internal);
    }

    async fn instructions_that_are_not_there_are_refused() {
        for simd in [Simd::Simd128, Simd::Relaxed, Simd::Neon, Simd::Avx2, Simd::Avx512] {
            let there = Simd::available().contains(&simd);
            let refused = Cpu::new(CpuOptions { threads: 1, simd }).err().map(|e| e.code);
            assert_eq!(refused, (!there).then_some(Code::BadOption), "{simd:?}");
        }
    }
}

/// Runs a case with `value` in place of all its u32 data: ids or positions.
async fn run_with(cpu: &mut Cpu, case: &Case, value: u32) -> Result<()> {
    let (handles, program) = runner::load(cpu, case)?;
    for (buf, host) in handles.into_iter().zip(&case.memory) {
        if let Host::U32(values) = host {
            cpu.write(buf, 0, bytemuck::cast_slice(&vec![value; values.len()]))?;
        }
    }
    cpu.run(&program)
}

/// All memory after a case ran.
async fn outputs(cpu: &mut Cpu, case: &Case) -> Vec<Vec<u8>> {
    let (handles, program) = runner::load(cpu, case).unwrap();
    cpu.run(&program).unwrap();
    let mut all = Vec::new();
    for (host, buf) in case.memory.iter().zip(handles) {
        let mut bytes = runner::padded(host);
        cpu.read(buf, 0, &mut bytes).await.unwrap();
        cpu.free(buf);
        all.push(bytes);
    }
    all
}
