//! Steps as processes of their own, side by side: each waits for those that it needs, and what it
//! prints is shown whole when it ends.

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::Extent;
use super::steps::Step;
use super::times::Times;

/// Steps at a time: most of them leave a core idle for long, and few keep more than one busy.
const HANDS: usize = 2;

struct Ended {
    step: &'static Step,
    status: io::Result<ExitStatus>,
    seconds: f64,
}

/// Runs all of them, with their output in files of this folder. After a failure nothing new begins,
/// and what is under way ends.
pub fn all(steps: &[&'static Step], extent: Extent, logs: &Path, times: &mut Times) -> Result<()> {
    let (tell, ended) = mpsc::channel();
    let mut waiting = steps.to_vec();
    let (mut done, mut failed, mut busy) = (Vec::new(), Vec::new(), 0);
    thread::scope(|scope| -> Result<()> {
        loop {
            while busy < HANDS && failed.is_empty() {
                let chosen = |name: &str| steps.iter().any(|step| step.name == name);
                let Some(at) = waiting.iter().position(|step| {
                    step.needs.iter().all(|need| done.contains(need) || !chosen(need))
                }) else {
                    break;
                };
                let (step, tell) = (waiting.remove(at), tell.clone());
                eprintln!("== {} begins", step.name);
                busy += 1;
                scope.spawn(move || {
                    let begun = Instant::now();
                    let status = perform(step, extent, &log(logs, step));
                    // The other end lives as long as this scope.
                    let _ =
                        tell.send(Ended { step, status, seconds: begun.elapsed().as_secs_f64() });
                });
            }
            if busy == 0 {
                return Ok(());
            }
            let Ended { step, status, seconds } =
                ended.recv().context("a step ended without a word")?;
            busy -= 1;
            let passed = status.context("a step's process cannot be started")?.success();
            let (log, outcome) = (log(logs, step), if passed { "passed" } else { "FAILED" });
            show(step, &log, &format!("{outcome} after {seconds:.0} s"))?;
            times.note(step.name, seconds, &log)?;
            if passed { &mut done } else { &mut failed }.push(step.name);
        }
    })?;
    if let Some(first) = failed.first() {
        bail!("failed: {}; to run it alone: cargo xtask test {first}", failed.join(", "));
    }
    Ok(())
}

/// This program again, for one step, with all that it prints in a file.
fn perform(step: &Step, extent: Extent, log: &Path) -> io::Result<ExitStatus> {
    let log = File::create(log)?;
    let mut command = Command::new(env::current_exe()?);
    command.args(["test", "--alone", step.name]).args(extent.option());
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).status()
}

/// Prints what a step printed.
fn show(step: &Step, log: &Path, outcome: &str) -> Result<()> {
    let mut from = File::open(log).with_context(|| format!("{} cannot be read", log.display()))?;
    let mut out = io::stdout().lock();
    writeln!(out, "\n== {}: {}", step.name, step.about)?;
    io::copy(&mut from, &mut out)?;
    writeln!(out, "== {}: {outcome}", step.name)?;
    Ok(())
}

fn log(logs: &Path, step: &Step) -> PathBuf {
    logs.join(format!("{}.txt", step.name))
}
