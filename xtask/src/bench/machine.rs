//! The machine that is timed, and how busy it is with other things.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde::Serialize;

use crate::place::Place;
use crate::sh;

/// What speed depends on.
#[derive(Debug, Serialize)]
pub struct Machine {
    cpu: String,
    cores: usize,
    memory_bytes: Option<u64>,
    system: &'static str,
    architecture: &'static str,
    rustc: String,
    commit: String,
    browser: Option<String>,
}

impl Machine {
    /// Asks the system, as far as it tells.
    pub fn describe(place: &Place) -> Machine {
        let first_line = |command: &mut Command| {
            let said = sh::output(command).unwrap_or_default();
            said.lines().next().unwrap_or_default().trim().to_owned()
        };
        let git = ["describe", "--always", "--dirty", "--abbrev=10"];
        Machine {
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: field("/proc/meminfo", "MemTotal")
                .and_then(|text| Some(text.strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)),
            system: std::env::consts::OS,
            architecture: std::env::consts::ARCH,
            rustc: first_line(Command::new("rustc").arg("--version")),
            commit: first_line(Command::new("git").args(git).current_dir(&place.root)),
            browser: sh::find(&[
                "chromium",
                "chromium-browser",
                "google-chrome-stable",
                "google-chrome",
            ])
            .map(|program| first_line(Command::new(program).arg("--version"))),
        }
    }

    /// In a line.
    pub fn sentence(&self) -> String {
        format!("{}, {} core{}", self.cpu, self.cores, if self.cores == 1 { "" } else { "s" })
    }
}

/// The first `name : value` of a file of the system's.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

/// Lets the machine come to rest for a while and says how much of it was idle meanwhile, 0 to 1,
/// where the system tells.
pub fn settle() -> Option<f64> {
    let before = ticks();
    thread::sleep(Duration::from_secs(2));
    let (before, after) = (before?, ticks()?);
    let all = (after.1 - before.1) as f64;
    (all > 0.0).then(|| (after.0 - before.0) as f64 / all)
}

/// Ticks that all cores together were idle, and ticks in all.
fn ticks() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let numbers: Vec<u64> = text
        .lines()
        .next()?
        .split_whitespace()
        .skip(1)
        .map_while(|number| number.parse().ok())
        .collect();
    // user, nice, system, idle, iowait …
    Some((numbers.get(3)? + numbers.get(4)?, numbers.iter().take(8).sum()))
}
