//! What we want to reach beside our peers. The benchmark says whether it is reached; no test does,
//! since no machine is like another.

use serde::Serialize;

use super::record::Record;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    Prefill,
    Decode,
}

/// Whose figure: the fastest of an engine's variants on a host with some threads.
#[derive(Clone, Copy, Debug)]
struct Who {
    engine: &'static str,
    host: &'static str,
    threads: usize,
    variants: Variants,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Variants {
    All,
    /// Of our modules, those with or without relaxed SIMD.
    Relaxed(bool),
}

struct Bar {
    model: &'static str,
    figure: Figure,
    ours: Who,
    theirs: Who,
    at_least: f64,
}

/// A bar and how we stand.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    pub model: String,
    pub figure: &'static str,
    pub what: String,
    pub ratio: f64,
    pub at_least: f64,
    pub met: bool,
}

const SMALL: &str = "smollm2";
const LARGE: &str = "phi-4-mini";
const MIXED: &str = "phi-4-mini-q4km";

const fn who(engine: &'static str, host: &'static str, threads: usize) -> Who {
    Who { engine, host, threads, variants: Variants::All }
}

const fn ours(host: &'static str, threads: usize) -> Who {
    who("phi-wasm", host, threads)
}

const fn ours_in_chromium(threads: usize, relaxed: bool) -> Who {
    Who { variants: Variants::Relaxed(relaxed), ..ours("chromium", threads) }
}

const fn wllama(threads: usize) -> Who {
    who("wllama", "chromium", threads)
}

const fn llama_cpp(threads: usize) -> Who {
    who("llama.cpp", "native", threads)
}

const fn bar(model: &'static str, figure: Figure, ours: Who, theirs: Who, at_least: f64) -> Bar {
    Bar { model, figure, ours, theirs, at_least }
}

const BARS: &[Bar] = &[
    bar(SMALL, Figure::Decode, ours("chromium", 1), wllama(1), 5.0),
    bar(SMALL, Figure::Decode, ours("chromium", 2), wllama(2), 5.0),
    bar(SMALL, Figure::Prefill, ours("chromium", 1), wllama(1), 10.0),
    bar(SMALL, Figure::Prefill, ours("chromium", 2), wllama(2), 10.0),
    bar(LARGE, Figure::Decode, ours("chromium", 2), wllama(2), 8.0),
    bar(LARGE, Figure::Prefill, ours("chromium", 2), wllama(2), 15.0),
    bar(LARGE, Figure::Decode, ours("chromium", 2), llama_cpp(2), 0.6),
    bar(LARGE, Figure::Prefill, ours("chromium", 2), llama_cpp(2), 0.25),
    bar(SMALL, Figure::Decode, ours("native", 1), llama_cpp(1), 1.0),
    bar(SMALL, Figure::Decode, ours("native", 2), llama_cpp(2), 1.0),
    bar(SMALL, Figure::Prefill, ours("native", 1), llama_cpp(1), 0.7),
    bar(SMALL, Figure::Prefill, ours("native", 2), llama_cpp(2), 0.7),
    bar(LARGE, Figure::Decode, ours("native", 1), llama_cpp(1), 1.0),
    bar(LARGE, Figure::Decode, ours("native", 2), llama_cpp(2), 1.0),
    bar(LARGE, Figure::Prefill, ours("native", 1), llama_cpp(1), 0.7),
    bar(LARGE, Figure::Prefill, ours("native", 2), llama_cpp(2), 0.7),
    bar(MIXED, Figure::Decode, ours("native", 1), llama_cpp(1), 1.0),
    bar(MIXED, Figure::Decode, ours("native", 2), llama_cpp(2), 1.0),
    bar(SMALL, Figure::Decode, ours_in_chromium(1, false), ours_in_chromium(1, true), 0.5),
    bar(SMALL, Figure::Decode, ours_in_chromium(2, false), ours_in_chromium(2, true), 0.5),
    bar(LARGE, Figure::Decode, ours_in_chromium(2, false), ours_in_chromium(2, true), 0.5),
    // The WASI module has no relaxed SIMD; beside the browser's module that has, it would be
    // measured by its instructions.
    bar(SMALL, Figure::Decode, ours("wasmtime", 1), ours_in_chromium(1, false), 0.8),
    bar(LARGE, Figure::Decode, ours("wasmtime", 1), ours_in_chromium(1, false), 0.8),
    bar(LARGE, Figure::Decode, ours("chromium", 2), ours("chromium", 1), 1.5),
    bar(LARGE, Figure::Decode, ours("native", 2), ours("native", 1), 1.5),
];

/// How we stand at every bar that the records tell about.
pub fn standings(records: &[Record]) -> Vec<Standing> {
    BARS.iter().filter_map(|bar| bar.standing(records)).collect()
}

impl Standing {
    pub fn new(
        model: &str,
        figure: &'static str,
        what: String,
        ratio: f64,
        at_least: f64,
    ) -> Standing {
        Standing { model: model.to_owned(), figure, what, ratio, at_least, met: ratio >= at_least }
    }
}

impl Bar {
    fn standing(&self, records: &[Record]) -> Option<Standing> {
        let (ours, theirs) = (self.best(self.ours, records)?, self.best(self.theirs, records)?);
        let ratio = self.figure.of(ours) / self.figure.of(theirs);
        let what = format!("{} / {}", ours.title(), theirs.title());
        Some(Standing::new(self.model, self.figure.name(), what, ratio, self.at_least))
    }

    fn best<'r>(&self, who: Who, records: &'r [Record]) -> Option<&'r Record> {
        let fits = |record: &&Record| {
            let same = (&*record.engine, &*record.host, record.threads, &*record.model)
                == (who.engine, who.host, who.threads, self.model);
            same && match who.variants {
                Variants::All => true,
                Variants::Relaxed(wanted) => record.variant.contains("relaxed") == wanted,
            }
        };
        records
            .iter()
            .filter(fits)
            .max_by(|one, other| self.figure.of(one).total_cmp(&self.figure.of(other)))
    }
}

impl Figure {
    pub fn of(self, record: &Record) -> f64 {
        match self {
            Figure::Prefill => record.prefill_tps,
            Figure::Decode => record.decode_tps,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Figure::Prefill => "prefill",
            Figure::Decode => "decode",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(engine: &str, host: &str, variant: &str, threads: usize, decode_tps: f64) -> Record {
        let [engine, host, variant, model] = [engine, host, variant, SMALL].map(str::to_owned);
        Record {
            engine,
            host,
            variant,
            threads,
            model,
            decode_tps,
            prefill_tps: 1.0,
            ..Record::default()
        }
    }

    #[test]
    fn the_best_variant_counts_and_what_was_not_measured_is_left_out() {
        let records = [
            record("phi-wasm", "chromium", "simd", 1, 40.0),
            record("phi-wasm", "chromium", "relaxed", 1, 60.0),
            record("wllama", "chromium", "", 1, 10.0),
        ];
        let all = standings(&records);
        let decode: Vec<_> = all
            .iter()
            .filter(|one| one.figure == "decode")
            .map(|one| (one.ratio, one.met))
            .collect();
        assert_eq!(decode, [(6.0, true), (40.0 / 60.0, true)]);
        let prefill: Vec<_> =
            all.iter().filter(|one| one.figure == "prefill").map(|one| one.met).collect();
        assert_eq!(prefill, [false]);
    }
}
