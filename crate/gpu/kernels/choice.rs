//! The choice of a token, where the logits are.

use bytemuck::bytes_of;

use super::{Dispatch, Tuning};
use crate::gpu::params::{Argmax, LogProbs, Sample};
use crate::gpu::shaders::Shader;
use crate::gpu::work::Work;
use crate::op::{self, Buf};

/// Workgroups among which a search for the largest logits is divided.
const RUNS: u32 = 64;

/// Runs of logits that are weighed apart from each other.
const SAMPLE_RUNS: u32 = 256;

/// Invocations of the one workgroup that draws: as many as may be. Programs on the CPU end loops
/// after 65535 rounds, and the candidates of a whole vocabulary must be far fewer for each.
const SAMPLING: u32 = 256;

/// Bytes that the runs of a search for the largest logit need for what they found.
pub(super) const ARGMAX_BYTES: u64 = RUNS as u64 * 8;
/// Bytes that the runs of a draw need.
pub(super) const SAMPLE_BYTES: u64 = SAMPLE_RUNS as u64 * 12;

pub(super) fn argmax(tuning: &Tuning, op: &op::Argmax, partials: Buf) -> Vec<Dispatch> {
    let op::Argmax { x, allowed, out, width } = *op;
    let dispatch = |shader, buffers, workgroups| Dispatch {
        shader,
        constants: vec![("WG", tuning.workgroup), ("RUNS", RUNS)],
        params: bytes_of(&Argmax { width }).to_vec(),
        buffers,
        groups: [workgroups, 1, 1],
        work: Work::floats(
            width.to_string(),
            if shader == Shader::Argmax { width + width / 32 } else { 2 * RUNS },
        ),
    };
    vec![
        dispatch(Shader::Argmax, vec![(1, x), (2, allowed), (3, partials)], RUNS),
        dispatch(Shader::ArgmaxOfRuns, vec![(1, partials), (2, out)], 1),
    ]
}

pub(super) fn sample(tuning: &Tuning, op: &op::Sample, runs: Buf) -> Vec<Dispatch> {
    let op::Sample { logits, processed, allowed, seen, bias, params, candidates, out, width } = *op;
    let dispatch = |shader, workgroup, buffers, workgroups, floats| Dispatch {
        shader,
        constants: vec![("WG", workgroup), ("RUNS", SAMPLE_RUNS)],
        params: bytes_of(&Sample { width }).to_vec(),
        buffers,
        groups: [workgroups, 1, 1],
        work: Work::floats(width.to_string(), floats),
    };
    let prepared = vec![
        (1, params),
        (2, allowed),
        (3, seen),
        (4, bias),
        (5, logits),
        (6, processed),
        (7, runs),
    ];
    let sampled =
        vec![(1, params), (2, processed), (3, runs), (4, seen), (5, candidates), (6, out)];
    vec![
        dispatch(
            Shader::SamplePrepare(tuning.reduce),
            tuning.workgroup,
            prepared,
            SAMPLE_RUNS,
            4 * width + width / 32,
        ),
        dispatch(Shader::Sample(tuning.reduce), SAMPLING, sampled, 1, width),
    ]
}

/// Bytes that the runs need for what they found: each its weight and its most probable tokens.
pub(super) fn log_probs_bytes(op: &op::LogProbs) -> u64 {
    u64::from(op.rows) * u64::from(RUNS) * u64::from(1 + op.top.max(1)) * 8
}

pub(super) fn log_probs(tuning: &Tuning, op: &op::LogProbs, runs: Buf) -> Vec<Dispatch> {
    let op::LogProbs { logits, ids, out, rows, asked, top, width } = *op;
    let dispatch = |shader, buffers, groups, floats| Dispatch {
        shader,
        constants: vec![("WG", tuning.workgroup), ("RUNS", RUNS)],
        params: bytes_of(&LogProbs { width, asked, top }).to_vec(),
        buffers,
        groups,
        work: Work::floats(format!("{rows} × {width}"), floats),
    };
    let found = rows * RUNS * 2 * (1 + top.max(1));
    vec![
        dispatch(Shader::LogProbs, vec![(1, logits), (2, runs)], [RUNS, rows, 1], rows * width),
        dispatch(
            Shader::LogProbsOfRuns,
            vec![(1, logits), (2, ids), (3, runs), (4, out)],
            [rows, 1, 1],
            found,
        ),
    ]
}
