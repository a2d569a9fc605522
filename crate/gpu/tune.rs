//! Which of the variants that answer rightly is fastest on this device: timed once on a model's own
//! shapes, then kept by whoever asked.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use super::device::Device;
use super::kernels::Tuning;
use super::options::Tune;
use super::shaders::{MOST_QUADS, MOST_TOKENS, Shader};
use super::{Gpu, check};
use crate::backend::Trials;
use crate::clock;
use crate::error::{Code, Result};
use crate::op::Op;
use crate::timing;

/// Seconds that timing takes, compiling what is timed included: after them no other variant is
/// begun.
const SECONDS: f64 = 1.0;
/// What another variant must take of the time of the one before to be worth it.
const WORTH: f64 = 0.97;

/// What was fastest, by device, host and build.
type Known = BTreeMap<String, Tuning>;

fn read(text: &str) -> Known {
    serde_json::from_str(text).unwrap_or_default()
}

/// What was found earlier for this device, if it is one of its variants.
pub(super) fn known(device: &Device, tune: &Tune, offered: &[Tuning]) -> Option<Tuning> {
    let tuning = *read(&tune.known).get(&key(&device.info, &tune.host))?;
    let has = |feature: fn(&Tuning) -> bool| offered.iter().any(feature);
    let dots = !(tuning.dots || tuning.few_dots) || has(|other| other.dots);
    let same = |other: &Tuning| (other.real, other.reduce) == (tuning.real, tuning.reduce);
    let (quads, teams) = tuning.tile;
    let sizes =
        [tuning.workgroup, quads.saturating_mul(teams)].iter().all(|size| (1..=256).contains(size))
            && (1..=MOST_QUADS).contains(&tuning.quads)
            && (1..=MOST_TOKENS).contains(&tuning.few_tokens)
            && (1..=64).contains(&tuning.splits)
            && tuning.query_teams >= 1;
    (!tune.anew && sizes && dots && offered.iter().any(same)).then_some(tuning)
}

/// Times the variants on a model's lists of ops and settles on the fastest. Answers what is worth
/// keeping: what was known, and this.
pub(super) async fn run(
    gpu: &mut Gpu,
    tune: &Tune,
    offered: &[Tuning],
    trials: &Trials<'_>,
) -> Result<String> {
    let start = clock::seconds();
    search(gpu, trials.one, trials, start + 0.6 * SECONDS, |best| one_token(best, offered)).await?;
    search(gpu, trials.many, trials, start + SECONDS, |best| many_tokens(best, offered)).await?;
    let mut known = read(&tune.known);
    known.insert(key(&gpu.device.info, &tune.host), gpu.tuning);
    Ok(serde_json::to_string(&known).unwrap_or_default())
}

/// Variations of what multiplies one token, one thing at a time.
fn one_token(best: Tuning, offered: &[Tuning]) -> Vec<Tuning> {
    let mut others: Vec<Tuning> = [2, 4, 1].map(|quads| Tuning { quads, ..best }).into();
    others.extend(
        [best.workgroup * 2, best.workgroup / 2]
            .map(|workgroup| Tuning { workgroup: workgroup.clamp(4, 256), ..best }),
    );
    others.push(Tuning { norms_apart: !best.norms_apart, ..best });
    others.extend(offered.iter().map(|other| Tuning { reduce: other.reduce, ..best }));
    others.extend(offered.iter().map(|other| Tuning { real: other.real, ..best }));
    others.extend(offered.iter().map(|other| Tuning { few_dots: other.dots, ..best }));
    others
}

/// Variations of what multiplies many tokens, one thing at a time.
fn many_tokens(best: Tuning, offered: &[Tuning]) -> Vec<Tuning> {
    let mut others: Vec<Tuning> =
        offered.iter().map(|other| Tuning { dots: other.dots, ..best }).collect();
    others.extend([(16, 8), (16, 4), (8, 8)].map(|tile| Tuning { tile, ..best }));
    others
}

/// Goes from the variant in use to faster ones, as long as there are some and time is left.
async fn search(
    gpu: &mut Gpu,
    ops: &[Op],
    trials: &Trials<'_>,
    until: f64,
    variations: impl Fn(Tuning) -> Vec<Tuning>,
) -> Result<()> {
    let mut best = gpu.tuning;
    let Some(mut least) = time(gpu, ops, trials, best).await? else { return Ok(()) };
    let (mut tried, mut left) = (vec![best], variations(best));
    while let Some(tuning) = (!left.is_empty()).then(|| left.remove(0)) {
        if clock::seconds() > until {
            break;
        }
        if tried.contains(&tuning) {
            continue;
        }
        tried.push(tuning);
        let seconds = time(gpu, ops, trials, tuning).await?;
        if let Some(seconds) = seconds.filter(|seconds| *seconds < WORTH * least)
            && answers_rightly(gpu, tuning).await?
        {
            (best, least, left) = (tuning, seconds, variations(tuning));
        }
    }
    gpu.tuning = best;
    Ok(())
}

/// Seconds that a list takes with a variant; `None` where the device refuses it.
async fn time(
    gpu: &mut Gpu,
    ops: &[Op],
    trials: &Trials<'_>,
    tuning: Tuning,
) -> Result<Option<f64>> {
    gpu.tuning = tuning;
    let outcome = timing::seconds(gpu, ops, trials.after).await;
    unless_refused(gpu, outcome)
}

/// What came of a variant; `None` where that was a failure, which another variant need not have.
fn unless_refused<T>(gpu: &Gpu, outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Err(error) if error.code == Code::GpuFailed => {
            gpu.health().forgive();
            Ok(None)
        }
        outcome => outcome.map(Some),
    }
}

async fn answers_rightly(gpu: &mut Gpu, tuning: Tuning) -> Result<bool> {
    gpu.tuning = tuning;
    let outcome = check::known_answers(gpu).await;
    Ok(unless_refused(gpu, outcome)?.is_some())
}

/// What computes: all shaders' hash.
static BUILD: LazyLock<String> = LazyLock::new(|| {
    let mut shaders = Sha256::new();
    Shader::all().into_iter().for_each(|shader| shaders.update(shader.source()));
    shaders.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
});

/// Names a device, where it is, and what computes on it.
pub(super) fn key(info: &wgpu::AdapterInfo, host: &str) -> String {
    let parts: [&str; 7] = [
        &info.vendor.to_string(),
        &info.device.to_string(),
        &info.name,
        &info.driver,
        &info.driver_info,
        host,
        &BUILD,
    ];
    parts.join("; ")
}
