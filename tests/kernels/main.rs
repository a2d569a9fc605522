//! Every kernel of every backend against the oracle, by one table of cases.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // Until the first backend is there.
mod cases;
mod host;
mod oracle;
#[allow(dead_code)] // Until the first backend is there.
mod runner;

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

tests_run_in_worker!();

async_test! {
    async fn the_oracle_unpacks_what_the_panel_packed() {
        use phi_wasm::weights::layout::Kind;
        for kind in Kind::ALL {
            let panel = cases::Noise(5).panel(kind, 6, 96);
            let as_bytes = |halves: &[half::f16]| host::Host::Bytes(bytemuck::cast_slice(halves).to_vec());
            let memory = host::Memory::new(&[host::Host::Bytes(panel.codes.clone()), as_bytes(&panel.scales), as_bytes(&panel.mins)]);
            let buf = |i, present: bool| present.then_some(phi_wasm::op::Buf(i));
            let part = phi_wasm::op::Part {
                first_row: 0,
                rows: 6,
                codes: phi_wasm::op::Buf(0),
                scales: buf(1, kind.has_scales()),
                mins: buf(2, kind.has_mins()),
            };
            let rows = oracle::unpack(&memory, &phi_wasm::op::Matrix { kind, rows: 6, cols: 96, parts: vec![part] });
            for (row, values) in rows.iter().enumerate() {
                let expected: Vec<f32> = panel.row(row);
                assert_eq!(values.iter().map(|&value| value as f32).collect::<Vec<_>>(), expected, "{kind:?} row {row}");
            }
        }
    }
}

/// The smoke test of a table: cases have names of their own, and the oracle accepts them all.
#[allow(dead_code)]
fn all() -> Vec<cases::Case> {
    [cases::embed(), cases::norm(), cases::matmul(), cases::rope(), cases::attend(), cases::swiglu(), cases::program()]
        .into_iter()
        .flatten()
        .collect()
}

async_test! {
    async fn the_oracle_runs_every_case_to_finite_numbers() {
        for case in all() {
            let mut memory = host::Memory::new(&case.memory);
            oracle::run(&case.ops, &mut memory);
            for buffer in &memory.buffers {
                assert!(matches!(buffer, host::Host::Bytes(_)) || (0..buffer.len()).all(|i| buffer.number(i).is_finite()), "{}", case.name);
            }
        }
    }
}
