//! What one measurement says: a line of JSON, in the same words whoever was timed.

use serde::{Deserialize, Serialize};

use super::gpu::Profile;

/// A measurement. What a tool leaves out, the chore knows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// `phi-wasm`, `wllama` or `llama.cpp`.
    pub engine: String,
    pub version: String,
    /// `native`, `chromium` or `wasmtime`.
    pub host: String,
    /// Which of an engine's builds, or which instructions.
    pub variant: String,
    /// `cpu` or `gpu`.
    pub backend: String,
    /// 0 on a GPU.
    pub threads: usize,
    pub model: String,
    pub prompt_tokens: usize,
    pub generated_tokens: usize,
    pub prefill_tps: f64,
    pub decode_tps: f64,
    pub load_ms: f64,
    /// The process's, or the wasm module's where the engine tells.
    pub peak_bytes: Option<u64>,
    /// In browsers: the most that the process of the tab has had, JavaScript and all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tab_bytes: Option<u64>,
    /// Weights, keys and values that a decoded token reads.
    pub bytes_per_token: Option<u64>,
    /// What the machine reads with as many threads, in bytes a second.
    pub read_bandwidth: Option<f64>,
    /// How much of it decoding uses.
    pub bandwidth_share: Option<f64>,
    /// How often it was measured; the figures are medians, the memory is the most.
    pub runs: usize,
    /// How much of the machine nobody used just before; the least.
    pub idle_before: Option<f64>,
    /// What the kernels of a GPU took, where they were timed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    #[serde(skip_serializing)]
    pub file: String,
}

impl Record {
    /// Who it is, in a few words.
    pub fn title(&self) -> String {
        let threads = match self.threads {
            0 => String::new(),
            1 => ", 1 thread".to_owned(),
            threads => format!(", {threads} threads"),
        };
        let variant =
            if self.variant.is_empty() { String::new() } else { format!(" {}", self.variant) };
        format!("{} {}{variant}{threads}", self.engine, self.host)
    }

    /// One record of several measurements of the same.
    pub fn median(runs: Vec<Record>) -> Option<Record> {
        let middle = |figure: fn(&Record) -> f64| median(runs.iter().map(figure).collect());
        let one = runs.first()?;
        Some(Record {
            prefill_tps: middle(|run| run.prefill_tps),
            decode_tps: middle(|run| run.decode_tps),
            load_ms: middle(|run| run.load_ms),
            peak_bytes: runs.iter().filter_map(|run| run.peak_bytes).max(),
            tab_bytes: runs.iter().filter_map(|run| run.tab_bytes).max(),
            read_bandwidth: runs.iter().filter_map(|run| run.read_bandwidth).max_by(f64::total_cmp),
            idle_before: runs.iter().filter_map(|run| run.idle_before).min_by(f64::total_cmp),
            runs: runs.len(),
            ..one.clone()
        })
    }
}

/// Of an even number, the mean of the two in the middle; there must be one.
pub fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    (all[all.len() / 2] + all[(all.len() - 1) / 2]) / 2.0
}

/// Fills in what follows from our native runs: what a token reads is the same for everybody, and so
/// is the machine.
pub fn complete(records: &mut [Record]) {
    let known: Vec<Record> = records
        .iter()
        .filter(|record| record.host == "native" && record.engine == "phi-wasm")
        .cloned()
        .collect();
    for record in records {
        let same_model = known.iter().find(|other| other.model == record.model);
        record.bytes_per_token =
            record.bytes_per_token.or(same_model.and_then(|other| other.bytes_per_token));
        // The best that was seen is the nearest to what the machine can do.
        let bandwidths = known
            .iter()
            .filter(|other| other.threads == record.threads)
            .filter_map(|other| other.read_bandwidth);
        record.read_bandwidth = bandwidths.max_by(f64::total_cmp);
        record.bandwidth_share = match (record.bytes_per_token, record.read_bandwidth) {
            (Some(bytes), Some(bandwidth)) => Some(record.decode_tps * bytes as f64 / bandwidth),
            _ => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_medians_and_memory_is_the_most() {
        let run =
            |decode_tps, peak| Record { decode_tps, peak_bytes: Some(peak), ..Record::default() };
        let three = Record::median(vec![run(5.0, 1), run(1.0, 9), run(3.0, 2)]).unwrap_or_default();
        assert_eq!((three.decode_tps, three.peak_bytes, three.runs), (3.0, Some(9), 3));
        let two = Record::median(vec![run(5.0, 1), run(1.0, 2)]).unwrap_or_default();
        assert_eq!(two.decode_tps, 3.0);
        assert!(Record::median(Vec::new()).is_none());
    }

    #[test]
    fn peers_read_as_many_bytes_as_we_do() {
        let ours = Record {
            engine: "phi-wasm".into(),
            host: "native".into(),
            threads: 2,
            decode_tps: 5.0,
            bytes_per_token: Some(10),
            read_bandwidth: Some(100.0),
            ..Record::default()
        };
        let peer = Record {
            engine: "wllama".into(),
            host: "chromium".into(),
            threads: 2,
            decode_tps: 1.0,
            ..Record::default()
        };
        let alone = Record { threads: 1, ..peer.clone() };
        let mut all = [ours, peer, alone];
        complete(&mut all);
        assert_eq!(all.map(|record| record.bandwidth_share), [Some(0.5), Some(0.1), None]);
    }
}
