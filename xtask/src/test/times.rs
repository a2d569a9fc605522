//! What steps and single tests take: gathered from what they print, written to
//! `target/test-times.json`, the slowest told.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

/// Tests that are told.
const SLOWEST: usize = 20;

/// Of one run.
#[derive(Default, Serialize)]
pub struct Times {
    steps: Vec<Timed>,
    tests: Vec<Timed>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Timed {
    /// Of a test also the step that it belongs to.
    name: String,
    seconds: f64,
}

impl Times {
    /// A step that has ended, and the tests that its output tells of.
    pub fn note(&mut self, step: &str, seconds: f64, log: &Path) -> Result<()> {
        let text = fs::read(log).with_context(|| format!("{} cannot be read", log.display()))?;
        self.steps.push(Timed { name: step.to_owned(), seconds });
        let tests = String::from_utf8_lossy(&text);
        self.tests.extend(
            tests
                .lines()
                .filter_map(test)
                .map(|(name, seconds)| Timed { name: format!("{step}: {name}"), seconds }),
        );
        Ok(())
    }

    /// Writes all of them and prints the slowest.
    pub fn tell(&mut self, file: &Path) -> Result<()> {
        for times in [&mut self.steps, &mut self.tests] {
            times.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
        }
        fs::write(file, serde_json::to_string_pretty(self)?)
            .with_context(|| format!("{} cannot be written", file.display()))?;
        println!("\nThe slowest tests:");
        print(&self.tests[..self.tests.len().min(SLOWEST)]);
        println!("The steps:");
        print(&self.steps);
        Ok(())
    }
}

fn print(times: &[Timed]) {
    for Timed { name, seconds } in times {
        println!("{seconds:7.1} s  {name}");
    }
}

/// The test that a line tells of, and its seconds: `test NAME ... ok <1.234s>` of Rust's harness,
/// `✔ NAME (12.3ms)` of Node's.
fn test(line: &str) -> Option<(&str, f64)> {
    let line = line.trim();
    if let Some(told) = line.strip_prefix("test ") {
        let (name, rest) = told.split_once(" ... ")?;
        let (_, time) = rest.strip_suffix("s>")?.rsplit_once('<')?;
        return Some((name, time.parse().ok()?));
    }
    let (name, time) =
        line.strip_prefix(['✔', '✖'])?.trim().strip_suffix("ms)")?.rsplit_once(" (")?;
    Some((name, time.parse::<f64>().ok()? / 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_of_tests() {
        let rows = [
            ("test golden::cpu::logits ... ok <1.250s>", Some(("golden::cpu::logits", 1.25))),
            ("test model_cache::kills ... FAILED <61.000s>", Some(("model_cache::kills", 61.0))),
            ("test result: ok. 3 passed; 0 failed; finished in 0.00s", None),
            (
                "    ✔ answers (again) as before (1500.5ms)",
                Some(("answers (again) as before", 1.5005)),
            ),
            ("✖ falls (2ms)", Some(("falls", 0.002))),
            ("▶ the app in firefox (90000ms)", None),
            ("error: test failed", None),
        ];
        for (line, expected) in rows {
            assert_eq!(test(line), expected, "{line}");
        }
    }
}
