//! `phi eval mmlu`, `arc` and `hellaswag`: questions with choices.

use std::path::{Path, PathBuf};

use clap::Args;
use phi_wasm::backend::Backend;
use phi_wasm::eval::tasks::{Answered, Item, arc, hellaswag, mmlu};
use phi_wasm::{Code, Error, Result};
use serde::Serialize;

use super::ModelsArgs;
use super::report::{Report, ReportArgs, Run, table};
use crate::cli::device::{self, Task};
use crate::cli::options::{ModelArgs, named, parse_count, read_text};
use crate::cli::{cache, output, progress};

/// Ask MMLU's questions, each after examples of its subject, and score which of " A" to " D" is
/// most probable.
#[derive(Debug, Args)]
pub struct Mmlu {
    #[command(flatten)]
    asking: Asking,
    /// Examples before each question.
    #[arg(long, value_name = "N", default_value_t = mmlu::SHOTS)]
    #[arg(allow_hyphen_values = true, value_parser = parse_shots)]
    shots: usize,
    /// Ask this subject's questions only, such as high_school_physics; may be given several times.
    #[arg(long, value_name = "NAME")]
    subject: Vec<String>,
    /// The folder of MMLU's data, which has dev/SUBJECT_dev.csv and test/SUBJECT_test.csv.
    #[arg(value_name = "DIRECTORY")]
    data: PathBuf,
}

/// Ask ARC's questions, and score which choice is most probable (acc), and which for each of its
/// characters (acc_norm).
#[derive(Debug, Args)]
pub struct Arc {
    #[command(flatten)]
    asking: Asking,
    /// ARC's files, such as ARC-Challenge-Test.jsonl.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// Have HellaSwag's scenes go on, and score which ending is most probable (acc), and which for each
/// of its characters (acc_norm).
#[derive(Debug, Args)]
pub struct Hellaswag {
    #[command(flatten)]
    asking: Asking,
    /// HellaSwag's files, such as hellaswag_val.jsonl.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// Whom to ask, and how much.
#[derive(Debug, Args)]
struct Asking {
    #[command(flatten)]
    models: ModelsArgs,
    /// Take the first items of each file only.
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count)]
    limit: Option<usize>,
    #[command(flatten)]
    report: ReportArgs,
}

/// A file's items, or a subject's.
struct Group {
    name: String,
    items: Vec<Item>,
}

#[derive(Serialize)]
struct Figures {
    shots: usize,
    #[serde(flatten)]
    scores: Scores,
    /// Items whose beginning had no room in the context.
    cut: usize,
    groups: Vec<GroupScores>,
}

#[derive(Serialize)]
struct GroupScores {
    name: String,
    #[serde(flatten)]
    scores: Scores,
    samples: Vec<Sample>,
}

#[derive(Serialize)]
struct Scores {
    items: usize,
    acc: f64,
    acc_stderr: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    acc_norm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acc_norm_stderr: Option<f64>,
}

#[derive(Serialize)]
struct Sample {
    gold: usize,
    choice: usize,
    choice_norm: usize,
    log_probs: Vec<f64>,
    #[serde(skip)]
    is_cut: bool,
}

fn parse_shots(text: &str) -> std::result::Result<usize, String> {
    text.parse().map_err(|_| crate::cli::options::range(0))
}

impl Mmlu {
    /// Asks and prints.
    pub async fn run(self) -> Result<()> {
        let subjects = self.subjects()?;
        let file = |split: &str, subject: &str| {
            let path = self.data.join(split).join(format!("{subject}_{split}.csv"));
            read_text(&path).map(|text| (named(&path), text))
        };
        let group = |subject: String| {
            let questions = file("test", &subject)?;
            let examples = if self.shots > 0 { file("dev", &subject)? } else { Default::default() };
            let [examples, questions] =
                [&examples, &questions].map(|(file, text)| (&**file, &**text));
            let items = mmlu::items(&subject, examples, questions, self.shots)?;
            Ok(Group { name: subject, items })
        };
        let groups = subjects.into_iter().map(group).collect::<Result<_>>()?;
        self.asking.ask("mmlu", self.shots, groups, false).await
    }

    /// Those named, or all that there are, by name.
    fn subjects(&self) -> Result<Vec<String>> {
        if !self.subject.is_empty() {
            return Ok(self.subject.clone());
        }
        let folder = self.data.join("test");
        let reading = |error| Error::reading(&folder, &error);
        let mut subjects = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(reading)? {
            let name = entry.map_err(reading)?.file_name();
            subjects.extend(name.to_string_lossy().strip_suffix("_test.csv").map(str::to_owned));
        }
        if subjects.is_empty() {
            let what = format!("{} has no file SUBJECT_test.csv", named(&folder));
            return Err(Error::new(Code::NotFound, what)
                .advise("name the folder of MMLU's data, in which dev and test are"));
        }
        subjects.sort();
        Ok(subjects)
    }
}

impl Arc {
    /// Asks and prints.
    pub async fn run(self) -> Result<()> {
        let groups = groups(&self.files, arc::items)?;
        self.asking.ask("arc", 0, groups, true).await
    }
}

impl Hellaswag {
    /// Asks and prints.
    pub async fn run(self) -> Result<()> {
        let groups = groups(&self.files, hellaswag::items)?;
        self.asking.ask("hellaswag", 0, groups, true).await
    }
}

fn groups(
    files: &[PathBuf],
    items: impl Fn(&str, &str) -> Result<Vec<Item>>,
) -> Result<Vec<Group>> {
    let group = |file: &PathBuf| {
        let name = Path::new(file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Group { name, items: items(&named(file), &read_text(file)?)? })
    };
    files.iter().map(group).collect()
}

impl Asking {
    async fn ask(
        &self,
        test: &'static str,
        shots: usize,
        mut groups: Vec<Group>,
        has_norm: bool,
    ) -> Result<()> {
        let limit = self.limit.unwrap_or(usize::MAX);
        if limit == 0 {
            return Err(Error::new(Code::BadOption, "--limit is 0; ask for at least one item"));
        }
        groups.iter_mut().for_each(|group| group.items.truncate(limit));
        let mut runs = Vec::new();
        for model in self.models.each() {
            let task = Choosing { model: &model, shots, groups: &groups, has_norm };
            runs.push(device::run(&model, task).await?);
        }
        for run in &runs {
            let Figures { cut, scores, .. } = &run.figures;
            if *cut > 0 {
                output::note(format_args!(
                    "phi: the context had no room for {cut} of {} items, whose beginnings were \
                        left out; --ctx gives a longer one",
                    scores.items
                ));
            }
        }
        let report = Report::new(test, runs);
        let heads = ["items", "acc", "acc_norm"];
        let heads = if has_norm { &heads[..] } else { &heads[..2] };
        report.tell(&self.report, |runs| {
            report.table(heads, runs.iter().map(|run| run.figures.scores.row()))?;
            let [Run { figures: Figures { groups, .. }, .. }] = runs else { return Ok(()) };
            if groups.len() < 2 {
                return Ok(());
            }
            output::line("")?;
            let row = |group: &GroupScores| [vec![group.name.clone()], group.scores.row()].concat();
            table(groups.iter().map(row))
        })
    }
}

impl Scores {
    fn of<'a>(samples: impl Iterator<Item = &'a Sample>, has_norm: bool) -> Scores {
        let (mut items, mut right, mut right_norm) = (0, 0, 0);
        for sample in samples {
            items += 1;
            right += usize::from(sample.choice == sample.gold);
            right_norm += usize::from(sample.choice_norm == sample.gold);
        }
        let (acc, acc_stderr) = mean(right, items);
        let (acc_norm, acc_norm_stderr) = mean(right_norm, items);
        Scores {
            items,
            acc,
            acc_stderr,
            acc_norm: has_norm.then_some(acc_norm),
            acc_norm_stderr: has_norm.then_some(acc_norm_stderr),
        }
    }

    fn row(&self) -> Vec<String> {
        let with = |value: f64, error: f64| format!("{value:.4} ± {error:.4}");
        let norm = self.acc_norm.zip(self.acc_norm_stderr);
        [self.items.to_string(), with(self.acc, self.acc_stderr)]
            .into_iter()
            .chain(norm.map(|(value, error)| with(value, error)))
            .collect()
    }
}

/// A share, and its standard error as a sample's; that is unknown of one item alone.
fn mean(right: usize, items: usize) -> (f64, f64) {
    let share = right as f64 / items as f64;
    let error = (share * (1.0 - share) / items.saturating_sub(1).max(1) as f64).sqrt();
    (share, error)
}

struct Choosing<'a> {
    model: &'a ModelArgs,
    shots: usize,
    groups: &'a [Group],
    has_norm: bool,
}

impl Task for Choosing<'_> {
    type Output = Run<Figures>;

    async fn on<B: Backend>(self, backend: B) -> Result<Run<Figures>> {
        let Choosing { model, shots, groups, has_norm } = self;
        let mut session = progress::open(model, backend, None).await?;
        cache::keep_tuned(session.engine());
        let all = groups.iter().map(|group| group.items.len()).sum();
        let bar = progress::items("asking", all);
        let mut scored = Vec::new();
        for group in groups {
            let mut samples = Vec::new();
            for item in &group.items {
                let Answered { log_probs, choice, choice_norm, is_cut } =
                    item.answer(&mut session).await?;
                samples.push(Sample { gold: item.gold, choice, choice_norm, log_probs, is_cut });
                bar.inc(1);
            }
            let scores = Scores::of(samples.iter(), has_norm);
            scored.push(GroupScores { name: group.name.clone(), scores, samples });
        }
        bar.finish_and_clear();
        let samples = || scored.iter().flat_map(|group| &group.samples);
        let figures = Figures {
            shots,
            scores: Scores::of(samples(), has_norm),
            cut: samples().filter(|sample| sample.is_cut).count(),
            groups: scored,
        };
        Ok(Run::new(model, session.engine().describe_backend(), figures))
    }
}
