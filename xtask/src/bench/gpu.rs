//! The GPU's figures. What measures them is a folder that can be copied to a machine that has
//! nothing but a driver: here it is filled, run, and read.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::bars::{Figure, Standing};
use super::record::{self, Record};
use super::report;
use crate::place::Place;
use crate::{setup, sh};

/// What `./run` leaves in its folder: all that was measured, every kernel's times included.
const RESULTS: &str = "results.jsonl";

/// Of the device's measured bandwidth, in every kernel of decoding that reads weights.
const BANDWIDTH: f64 = 0.7;

/// What llama.cpp's figures are times.
const DECODE: f64 = 1.5;
const PREFILL: f64 = 1.0;

/// The kernels of a benchmark, as far as they are judged here.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Profile {
    decode: Vec<Kernel>,
    peaks: Peaks,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kernel {
    name: String,
    over: String,
    seconds: f64,
    bytes: u64,
    weight_bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Peaks {
    /// Whether the GPU is a program on the CPU.
    software: bool,
    bandwidth: f64,
}

/// Measures on this machine and tells.
pub fn all(place: &Place, peers: bool, models: Option<&str>, as_json: bool) -> Result<()> {
    let folder = place.target.join("bench/gpu");
    if folder.exists() {
        fs::remove_dir_all(&folder).context("target/bench/gpu cannot be written anew")?;
    }
    pack(place, &folder, peers)?;
    sh::run(Command::new(folder.join("run")).args(models).env("PHI_WASM_CACHE", &place.cache))?;
    tell(&folder, as_json)
}

/// Gathers in a new folder what it takes to measure.
pub fn pack(place: &Place, folder: &Path, peers: bool) -> Result<()> {
    if folder.exists() {
        bail!("{} is there already: name a folder that is not, or remove it", folder.display());
    }
    sh::run(place.command("cargo").args([
        "build",
        "--release",
        "--bin=phi",
        "--no-default-features",
        "--features=cli,gpu",
    ]))?;
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let ours = place.root.join("xtask/bench/gpu");
    let mut files = vec![place.target.join("release/phi"), ours.join("run")];
    if peers {
        files.extend([ours.join("time_llama_cpp.mjs"), setup::peers::node_llama_cpp(place)?]);
        files.push(sh::find(&["node"]).context("node is not on the PATH")?);
    }
    sh::run(Command::new("cp").args(["--recursive", "--dereference"]).args(files).arg(folder))
}

/// Prints what a folder's `./run` measured, here or elsewhere.
pub fn tell(folder: &Path, as_json: bool) -> Result<()> {
    let file = folder.join(RESULTS);
    let text = fs::read_to_string(&file)
        .with_context(|| format!("{} cannot be read: ./run there writes it", file.display()))?;
    let records = read(&text)
        .with_context(|| format!("{} holds something else than figures", file.display()))?;
    if as_json {
        print!("{text}");
        return Ok(());
    }
    let whole: Vec<Record> =
        records.iter().filter(|record| record.profile.is_none()).cloned().collect();
    print!("{}", report::table(&whole, &standings(&records)));
    if is_software(&records) {
        println!(
            "\nThis GPU is a program on the CPU: its figures say only what is relatively \
                expensive, and nothing is judged by them."
        );
    }
    eprintln!("{}", file.display());
    Ok(())
}

fn read(text: &str) -> serde_json::Result<Vec<Record>> {
    let lines = text.lines().map(serde_json::from_str::<Record>);
    let mut records: Vec<Record> = lines
        .map(|record| record.map(|record| Record { threads: 0, ..record }))
        .collect::<Result<_, _>>()?;
    record::complete(&mut records);
    Ok(records)
}

fn is_software(records: &[Record]) -> bool {
    profiles(records).any(|(_, profile)| profile.peaks.software)
}

fn profiles(records: &[Record]) -> impl Iterator<Item = (&str, &Profile)> {
    records.iter().filter_map(|record| Some((&*record.model, record.profile.as_ref()?)))
}

/// How we stand, where a real GPU was measured.
fn standings(records: &[Record]) -> Vec<Standing> {
    if is_software(records) {
        return Vec::new();
    }
    let beside_llama_cpp =
        records.iter().filter(|record| record.engine == "llama.cpp").flat_map(|peer| {
            let ours = records.iter().find(|ours| {
                ours.engine == "phi-wasm" && ours.model == peer.model && ours.profile.is_none()
            });
            let bars = [(Figure::Decode, DECODE), (Figure::Prefill, PREFILL)];
            ours.into_iter().flat_map(move |ours| {
                bars.map(|(figure, at_least)| beside(ours, peer, figure, at_least))
            })
        });
    let of_kernels = profiles(records).flat_map(|(model, profile)| {
        let reading = profile.decode.iter().filter(|kernel| kernel.weight_bytes > 0);
        reading.map(move |kernel| of_bandwidth(model, kernel, profile.peaks))
    });
    beside_llama_cpp.chain(of_kernels).collect()
}

fn beside(ours: &Record, peer: &Record, figure: Figure, at_least: f64) -> Standing {
    let what = format!("{} / {}", ours.title(), peer.title());
    Standing::new(&ours.model, figure.name(), what, figure.of(ours) / figure.of(peer), at_least)
}

fn of_bandwidth(model: &str, kernel: &Kernel, peaks: Peaks) -> Standing {
    let what = format!("{} over {} / the bandwidth", kernel.name, kernel.over);
    Standing::new(
        model,
        "bandwidth",
        what,
        kernel.bytes as f64 / kernel.seconds / peaks.bandwidth,
        BANDWIDTH,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(software: bool) -> String {
        let kernel = |name: &str, seconds: f64, weight_bytes: u64| {
            serde_json::json!({
                "name": name, "over": "8 × 32", "calls": 2, "seconds": seconds, "bytes": 100,
                "weight_bytes": weight_bytes,
            })
        };
        let decode = [kernel("Matvec", 1.0, 90), kernel("Gated", 4.0, 90), kernel("Merge", 9.0, 0)];
        let profile = serde_json::json!({
            "prefill": [],
            "decode": decode,
            "peaks": { "software": software, "bandwidth": 125.0 },
        });
        let of = |engine: &str, decode: f64, prefill: f64| {
            serde_json::json!({
                "engine": engine, "host": "native", "model": "tiny", "threads": 4,
                "decode_tps": decode, "prefill_tps": prefill,
            })
        };
        let mut profiled = of("phi-wasm", 1.0, 1.0);
        profiled["profile"] = profile;
        [of("phi-wasm", 30.0, 90.0), profiled, of("llama.cpp", 10.0, 100.0)]
            .map(|line| format!("{line}\n"))
            .concat()
    }

    #[test]
    fn a_real_gpu_is_judged_by_its_run_without_a_profile_and_by_its_kernels() -> Result<()> {
        let standings = standings(&read(&lines(false))?);
        let found: Vec<_> = standings.iter().map(|one| (one.figure, one.ratio, one.met)).collect();
        assert_eq!(
            found,
            [
                ("decode", 3.0, true),
                ("prefill", 0.9, false),
                ("bandwidth", 0.8, true),
                ("bandwidth", 0.2, false)
            ]
        );
        Ok(())
    }

    #[test]
    fn a_software_gpu_is_not_judged() -> Result<()> {
        assert!(standings(&read(&lines(true))?).is_empty());
        Ok(())
    }
}
