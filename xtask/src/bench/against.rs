//! This checkout beside an earlier commit: both are measured in turn, so that each ratio is of two
//! measurements that follow one another.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::earlier::Commit;
use super::machine::Machine;
use super::record::{self, Record, median};
use super::runs::{Model, Run, Who};
use super::{Options, bars, keep, lines, prepare, report};
use crate::place::Place;

/// How both builds do at the same, and how many times as fast ours is.
#[derive(Debug, Serialize)]
pub struct Comparison {
    pub against: String,
    pub ours: Record,
    pub earlier: Record,
    pub ratios: Vec<Ratio>,
}

/// Of one figure, over all pairs of measurements; more than 1 where ours is the faster.
#[derive(Debug, PartialEq, Serialize)]
pub struct Ratio {
    pub figure: &'static str,
    pub min: f64,
    pub median: f64,
    pub max: f64,
    /// In the order in which they were measured.
    pub pairs: Vec<f64>,
}

/// Of which more is better.
type Speed = fn(&Record) -> f64;

const FIGURES: [(&str, Speed); 3] = [
    ("prefill", |record| record.prefill_tps),
    ("decode", |record| record.decode_tps),
    ("load", |record| 1e3 / record.load_ms),
];

/// One of the two builds.
struct Build<'a> {
    place: &'a Place,
    /// Said beside its measurements.
    name: String,
    /// The model, which is one for both.
    file: PathBuf,
}

/// Builds both, measures them, and tells how many times as fast this checkout is.
pub fn all(place: &Place, options: &Options, name: &str) -> Result<()> {
    let commit = Commit::find(place, name)?;
    let earlier = commit.build(place, options)?;
    let everybody = prepare(place, options)?;
    let comparisons = measure(place, options, &everybody, &commit, &earlier);
    if comparisons.is_empty() {
        bail!("nothing was measured beside {}: what failed stands above", commit.short());
    }
    let records: Vec<Record> = comparisons.iter().map(|one| one.ours.clone()).collect();
    let machine = Machine::describe(place);
    keep(place, &machine, &records, &bars::standings(&records), &comparisons)?;
    if options.json {
        return lines(&comparisons);
    }
    println!("{}\n", machine.sentence());
    println!(
        "How many times as fast as {} ({}) this checkout is, by pairs of measurements:\n",
        commit.short(),
        commit.subject
    );
    print!("{}", table(&commit, &comparisons));
    Ok(())
}

/// What fails is said and left out.
fn measure(
    place: &Place,
    options: &Options,
    everybody: &[Who],
    commit: &Commit,
    earlier: &Place,
) -> Vec<Comparison> {
    let mut comparisons = Vec::new();
    for model in options.models() {
        let builds = match warm_up(
            model,
            [(place, " here".to_owned()), (earlier, format!(" at {}", commit.short()))],
        ) {
            Ok(builds) => builds,
            Err(error) => {
                eprintln!("{} not measured: {error:#}", model.name);
                continue;
            }
        };
        let repeat = options.repeat.unwrap_or(model.repeat);
        for who in everybody.iter().filter(|who| is_in_both(who, &builds)) {
            for threads in options.threads_of(who) {
                let one = |build: &Build| {
                    Run { who, model, threads, file: Some(&build.file) }
                        .once(build.place, &build.name)
                };
                match alternate(repeat, &builds, one)
                    .and_then(|pairs| Comparison::new(commit, pairs))
                {
                    Ok(comparison) => comparisons.push(comparison),
                    Err(error) => eprintln!("not measured: {error:#}"),
                }
            }
        }
    }
    complete(&mut comparisons);
    comparisons
}

/// Has each build load the model once: ours would otherwise write a synthetic one, and read the
/// disk, for the earlier.
fn warm_up<'a>(model: &Model, [ours, earlier]: [(&'a Place, String); 2]) -> Result<[Build<'a>; 2]> {
    let shortest = Model { prompt: 1, generate: 1, ..*model };
    let load = |(place, name): (&'a Place, String), file: Option<&Path>| -> Result<Build<'a>> {
        let record = Run { who: &Who::Native, model: &shortest, threads: 1, file }
            .once(place, &format!("{name}, to warm up"))?;
        Ok(Build { place, name, file: PathBuf::from(record.file) })
    };
    let ours = load(ours, None)?;
    let earlier = load(earlier, Some(&ours.file))?;
    Ok([ours, earlier])
}

/// Each browser module has a name, which the other build may not know.
fn is_in_both(who: &Who, [_, earlier]: &[Build<'_>; 2]) -> bool {
    let Who::Chromium { variant } = who else { return true };
    let there = earlier.place.root.join("pkg").join(variant).join("phi_wasm_bg.wasm").is_file();
    if !there {
        eprintln!("{variant} not measured: the earlier commit has no such module");
    }
    there
}

/// Ours, the earlier one, ours, the earlier one …: what changes about the machine meanwhile changes
/// both of a pair.
fn alternate<S, T>(
    times: usize,
    [ours, earlier]: &[S; 2],
    mut measure: impl FnMut(&S) -> Result<T>,
) -> Result<Vec<[T; 2]>> {
    (0..times.max(1)).map(|_| Ok([measure(ours)?, measure(earlier)?])).collect()
}

/// As among other records, ours and the earlier ones each by themselves.
fn complete(comparisons: &mut [Comparison]) {
    let sides: [fn(&mut Comparison) -> &mut Record; 2] =
        [|one| &mut one.ours, |one| &mut one.earlier];
    for side in sides {
        let mut records: Vec<Record> =
            comparisons.iter_mut().map(|one| side(one).clone()).collect();
        record::complete(&mut records);
        comparisons.iter_mut().zip(records).for_each(|(one, record)| *side(one) = record);
    }
}

impl Comparison {
    fn new(commit: &Commit, pairs: Vec<[Record; 2]>) -> Result<Comparison> {
        let ratios = FIGURES
            .into_iter()
            .filter_map(|(figure, of)| Ratio::new(figure, ratios(&pairs, of)))
            .collect();
        let (ours, earlier) = pairs.into_iter().map(|[ours, earlier]| (ours, earlier)).unzip();
        let nothing = "nothing was measured";
        Ok(Comparison {
            against: commit.hash.clone(),
            ours: Record::median(ours).context(nothing)?,
            earlier: Record::median(earlier).context(nothing)?,
            ratios,
        })
    }
}

/// Pair by pair. A figure that a build does not tell is 0, and has no ratio.
fn ratios(pairs: &[[Record; 2]], of: Speed) -> Vec<f64> {
    pairs
        .iter()
        .map(|[ours, earlier]| of(ours) / of(earlier))
        .filter(|ratio| ratio.is_normal())
        .collect()
}

impl Ratio {
    fn new(figure: &'static str, pairs: Vec<f64>) -> Option<Ratio> {
        let min = pairs.iter().copied().min_by(f64::total_cmp)?;
        let max = pairs.iter().copied().max_by(f64::total_cmp)?;
        Some(Ratio { figure, min, median: median(pairs.clone()), max, pairs })
    }
}

/// Every figure of both builds and its ratio.
fn table(commit: &Commit, comparisons: &[Comparison]) -> String {
    let headings =
        ["model", "engine", "figure", "here", commit.short(), "min", "median", "max", "pairs"];
    let mut rows = vec![headings.map(str::to_owned)];
    rows.extend(comparisons.iter().flat_map(|one| one.ratios.iter().map(|ratio| row(one, ratio))));
    report::aligned(&rows, 3)
}

fn row(one: &Comparison, ratio: &Ratio) -> [String; 9] {
    let said = |record: &Record| match ratio.figure {
        "prefill" => format!("{:.2} tok/s", record.prefill_tps),
        "decode" => format!("{:.2} tok/s", record.decode_tps),
        _ => format!("{:.2} s", record.load_ms / 1e3),
    };
    let [min, middle, max] =
        [ratio.min, ratio.median, ratio.max].map(|ratio| format!("{ratio:.3}"));
    [
        one.ours.model.clone(),
        one.ours.title(),
        ratio.figure.to_owned(),
        said(&one.ours),
        said(&one.earlier),
        min,
        middle,
        max,
        ratio.pairs.len().to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(prefill_tps: f64, decode_tps: f64, load_ms: f64) -> Record {
        Record { prefill_tps, decode_tps, load_ms, ..Record::default() }
    }

    #[test]
    fn builds_take_turns_and_each_pair_is_of_neighbours() -> Result<()> {
        for (times, pairs) in
            [(0, vec![[1, 2]]), (1, vec![[1, 2]]), (3, vec![[1, 2], [3, 4], [5, 6]])]
        {
            let (mut turns, mut order) = (0, String::new());
            let measured = alternate(times, &["A", "B"], |build| {
                order += build;
                turns += 1;
                Ok(turns)
            })?;
            assert_eq!((measured, order), (pairs, "AB".repeat(times.max(1))));
        }
        assert!(
            alternate(3, &[1, 2], |&build| if build == 2 {
                anyhow::bail!("no figures")
            } else {
                Ok(())
            })
            .is_err()
        );
        Ok(())
    }

    #[test]
    fn ratios_are_pair_by_pair_and_more_is_faster() {
        let pairs = [
            [record(20.0, 6.0, 50.0), record(10.0, 2.0, 100.0)],
            [record(60.0, 2.0, 300.0), record(20.0, 4.0, 100.0)],
        ];
        let all = FIGURES.map(|(figure, of)| Ratio::new(figure, ratios(&pairs, of)));
        let expected = [
            ("prefill", [2.0, 3.0], 2.5),
            ("decode", [3.0, 0.5], 1.75),
            ("load", [2.0, 1.0 / 3.0], 7.0 / 6.0),
        ];
        for (found, (figure, of, median)) in all.into_iter().zip(expected) {
            let close = |one: f64, other: f64| (one - other).abs() < 1e-9;
            let found = found.unwrap_or(Ratio {
                figure: "none",
                min: 0.0,
                median: 0.0,
                max: 0.0,
                pairs: Vec::new(),
            });
            assert_eq!(found.figure, figure);
            assert!(found.pairs.iter().zip(of).all(|(&one, other)| close(one, other)), "{found:?}");
            assert!(
                close(found.min, of[0].min(of[1]))
                    && close(found.max, of[0].max(of[1]))
                    && close(found.median, median),
                "{found:?}"
            );
        }
    }

    #[test]
    fn what_a_build_does_not_tell_has_no_ratio() {
        for (ours, earlier) in [(5.0, 0.0), (0.0, 5.0), (0.0, 0.0)] {
            let pairs = [[record(1.0, 1.0, ours), record(1.0, 1.0, earlier)]];
            let figures: Vec<_> = FIGURES
                .into_iter()
                .filter_map(|(figure, of)| Ratio::new(figure, ratios(&pairs, of)))
                .collect();
            assert_eq!(
                figures.iter().map(|ratio| ratio.figure).collect::<Vec<_>>(),
                ["prefill", "decode"]
            );
        }
    }
}
