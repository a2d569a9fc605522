//! `phi eval mmlu`, `arc` and `hellaswag`: questions with choices.

use std::path::PathBuf;

use clap::Args;
use phi_wasm::backend::Backend;
use phi_wasm::eval::tasks::{Answered, Item, arc, hellaswag, mmlu};
use phi_wasm::{Code, Error, Result};
use serde::Serialize;

use super::report::{Report, Run, Share, table};
use super::{Asking, parse_shots, read_data};
use crate::cli::device::{self, Task};
use crate::cli::options::{ModelArgs, named};
use crate::cli::{cache, output, progress};

/// Ask MMLU's questions.
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

/// Ask ARC's questions.
#[derive(Debug, Args)]
pub struct Arc {
    #[command(flatten)]
    asking: Asking,
    /// ARC's files, such as ARC-Challenge-Test.jsonl.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// Have HellaSwag's scenes go on.
#[derive(Debug, Args)]
pub struct Hellaswag {
    #[command(flatten)]
    asking: Asking,
    /// HellaSwag's files, such as hellaswag_val.jsonl.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
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
    acc: Share,
    #[serde(skip_serializing_if = "Option::is_none")]
    acc_norm: Option<Share>,
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

impl Mmlu {
    /// Asks and prints.
    pub async fn run(self) -> Result<()> {
        let subjects = self.subjects()?;
        let file = |split: &str, subject: &str| {
            read_data(&self.data.join(split).join(format!("{subject}_{split}.csv")))
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
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (file, text) = read_data(file)?;
        Ok(Group { name, items: items(&file, &text)? })
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
        let limit = self.limit();
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
        let acc_norm = has_norm.then(|| Share::of(right_norm, items));
        Scores { items, acc: Share::of(right, items), acc_norm }
    }

    fn row(&self) -> Vec<String> {
        let shares = [Some(self.acc), self.acc_norm];
        let shares = shares.iter().flatten().map(Share::to_string);
        [self.items.to_string()].into_iter().chain(shares).collect()
    }
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
