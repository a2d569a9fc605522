//! Runs a case on a backend and compares every element of every buffer with the oracle.

use phi_wasm::Result;
use phi_wasm::backend::Backend;
use phi_wasm::op::{Buf, Op, Operation};

use super::cases::Case;
use super::host::{Host, Memory};
use super::oracle::{self, Activations};

/// How a backend computes.
#[derive(Clone, Copy)]
pub struct Precision {
    /// The largest error, relative to the sum of the magnitudes of an element's terms.
    pub tolerance: f64,
    /// What its products see of their activations.
    pub activations: Activations,
    /// Whether it computes ops together, and so may leave what only passes from one to the next as
    /// it was.
    pub together: bool,
}

/// In f32 throughout.
pub const F32: Precision =
    Precision { tolerance: 4e-6, activations: Activations::Kept, together: false };

/// Runs every case on the backend; panics with all that failed.
pub async fn check<B: Backend>(backend: &mut B, cases: &[Case], precision: Precision) {
    let mut failures = Vec::new();
    for case in cases {
        if let Err(failure) = run(backend, case, precision).await {
            failures.push(format!("{}: {failure}", case.name));
        }
    }
    let total = cases.len();
    assert!(
        failures.is_empty(),
        "{}: {} of {total} cases failed\n{}",
        backend.describe(),
        failures.len(),
        failures.join("\n")
    );
}

/// Puts a case on the backend: its memory, numbered as there, and its program.
pub fn load<B: Backend>(backend: &mut B, case: &Case) -> Result<(Vec<Buf>, B::Program)> {
    let mut handles = Vec::new();
    for host in &case.memory {
        let bytes = padded(host);
        let buf = backend.alloc(&case.name, bytes.len() as u64)?;
        backend.write(buf, 0, &bytes)?;
        handles.push(buf);
    }
    let ops: Vec<Op> = case.ops.iter().map(|op| with_handles(op, &handles)).collect();
    let program = backend.prepare(&ops)?;
    Ok((handles, program))
}

async fn run<B: Backend>(
    backend: &mut B,
    case: &Case,
    precision: Precision,
) -> std::result::Result<(), String> {
    let (handles, program) = load(backend, case).map_err(|e| e.to_string())?;
    let mut expected = Memory::new(&case.memory);
    let mut result = Ok(());
    for writes in [Some(&Vec::new()), case.then.as_ref()].into_iter().flatten() {
        for (buf, host) in writes {
            backend.write(handles[buf.0 as usize], 0, &padded(host)).map_err(|e| e.to_string())?;
            expected.buffers[buf.0 as usize] = host.clone();
        }
        backend.run(&program).map_err(|e| e.to_string())?;
        oracle::run(&case.ops, &mut expected, precision.activations);
        result = result.and(compare(backend, &handles, &expected, precision, case).await);
    }
    drop(program);
    handles.into_iter().for_each(|buf| backend.free(buf));
    result
}

async fn compare<B: Backend>(
    backend: &mut B,
    handles: &[Buf],
    expected: &Memory,
    precision: Precision,
    case: &Case,
) -> std::result::Result<(), String> {
    let left = |buf: usize| precision.together && case.passing.contains(&Buf(buf as u32));
    for (buf, host) in expected.buffers.iter().enumerate().filter(|&(buf, _)| !left(buf)) {
        let mut bytes = padded(host);
        backend.read(handles[buf], 0, &mut bytes).await.map_err(|e| e.to_string())?;
        let got = host.with_bytes(&bytes[..host.bytes().len()]);
        let largest = expected.magnitudes[buf].iter().copied().fold(0.0, f64::max);
        for (i, &magnitude) in expected.magnitudes[buf].iter().enumerate() {
            let (want, got) = (host.number(i), got.number(i));
            // Elements that nobody wrote have magnitude 0 and must be what they were.
            let error =
                precision.tolerance * case.chained.map_or(magnitude, |times| times * largest);
            let allowed = if magnitude == 0.0 { 0.0 } else { error + step(host, want) };
            // They may be infinite or NaN, too.
            let same = magnitude == 0.0 && want.to_bits() == got.to_bits();
            if !same && ((want - got).abs() > allowed || want.is_nan() || got.is_nan()) {
                return Err(format!(
                    "buffer {buf} element {i} is {got}, expected {want} ± {allowed:.3e}"
                ));
            }
        }
    }
    Ok(())
}

/// What a value that lies between two representable ones may differ by.
fn step(host: &Host, value: f64) -> f64 {
    match host {
        Host::F16(_) => (value.abs() * 2f64.powi(-10)).max(2f64.powi(-24)),
        // Where exp overflows, silu's last small values become 0.
        _ => 1e-35,
    }
}

/// A buffer's bytes; their number is a multiple of 4.
pub fn padded(host: &Host) -> Vec<u8> {
    let mut bytes = host.bytes();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The op, with the backend's handles in place of the case's numbers.
fn with_handles(op: &Op, handles: &[Buf]) -> Op {
    let mut op = op.clone();
    for buf in op.buffers() {
        *buf = handles[buf.0 as usize];
    }
    op
}
