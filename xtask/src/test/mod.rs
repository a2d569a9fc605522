//! Everything that must hold: steps that need one another, as many at a time as there are hands
//! for.

mod fetched;
mod readmes;
mod run;
mod steps;
mod times;

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;

use crate::libraries;
use crate::place::Place;
use steps::{STEPS, Step};
use times::Times;

/// Which checks to run.
#[derive(Args)]
pub struct Options {
    /// Only these, and what they need; --list names them
    #[arg(value_name = "STEP")]
    steps: Vec<String>,
    /// What needs neither browser nor model nor GPU: format, Biome, the native tests with clippy,
    /// the page's that need none
    #[arg(long, conflicts_with = "steps")]
    quick: bool,
    /// Full counts where other runs make do with fewer, and steps that are too long for those
    #[arg(long, conflicts_with = "quick")]
    long: bool,
    /// Print the steps and what they need
    #[arg(long)]
    list: bool,
    /// One step alone, in this process
    #[arg(long, hide = true, value_name = "STEP", conflicts_with_all = ["steps", "list"])]
    alone: Option<String>,
}

/// How much of a step is asked for.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub enum Extent {
    /// What needs neither browser nor model nor GPU.
    Quick,
    /// What every change must pass.
    Usual,
    /// What is too long for that, too.
    Long,
    /// What only runs when it is named.
    Named,
}

impl Extent {
    /// As it is given on the command line.
    fn option(self) -> Option<&'static str> {
        match self {
            Extent::Quick => Some("--quick"),
            Extent::Usual | Extent::Named => None,
            Extent::Long => Some("--long"),
        }
    }
}

/// Runs the steps that were asked for, and tells what they took.
pub fn all(place: &Place, options: &Options) -> Result<()> {
    let extent = match (options.quick, options.long) {
        (true, _) => Extent::Quick,
        (_, true) => Extent::Long,
        _ => Extent::Usual,
    };
    if options.list {
        STEPS.iter().for_each(|step| println!("{step}"));
        return Ok(());
    }
    if let Some(name) = &options.alone {
        return (steps::named(name)?.run)(place, extent);
    }
    let (start, mut times) = (Instant::now(), Times::default());
    let (target, logs) = (place.root.join("target"), place.root.join("target/test-logs"));
    fs::create_dir_all(&logs)
        .with_context(|| format!("cannot make the folder {}", logs.display()))?;
    let outcome = run::all(&choose(&options.steps, extent)?, extent, &logs, &mut times);
    times.tell(&target.join("test-times.json"))?;
    libraries::keep_only(place)?;
    outcome?;
    println!("{:7.1} s  in all; everything passed", start.elapsed().as_secs_f64());
    Ok(())
}

/// The steps of these names with all that they need, in the table's order; those of the extent
/// where no names are given.
fn choose(names: &[String], extent: Extent) -> Result<Vec<&'static Step>> {
    let mut wanted: Vec<&str> = STEPS
        .iter()
        .filter(|step| names.is_empty() && step.is_part_of(extent))
        .map(|step| step.name)
        .collect();
    for name in names {
        wanted.push(steps::named(name)?.name);
    }
    let mut at = 0;
    while let Some(name) = wanted.get(at) {
        wanted.extend(steps::named(name)?.needs.iter().filter(|_| extent != Extent::Quick));
        at += 1;
    }
    Ok(STEPS.iter().filter(|step| wanted.contains(&step.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(names: &[&str], extent: Extent) -> Result<Vec<&'static str>> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        Ok(choose(&names, extent)?.iter().map(|step| step.name).collect())
    }

    #[test]
    fn a_step_comes_after_all_that_it_needs() {
        for (at, step) in STEPS.iter().enumerate() {
            for needed in step.needs {
                assert!(
                    STEPS[..at].iter().any(|earlier| earlier.name == *needed),
                    "{} needs {needed}",
                    step.name
                );
            }
        }
    }

    #[test]
    fn steps_bring_what_they_need() -> Result<()> {
        assert_eq!(
            chosen(&["page"], Extent::Usual)?,
            ["set-up", "tools", "modules", "site", "page"]
        );
        assert_eq!(chosen(&["format"], Extent::Usual)?, ["format"]);
        assert_eq!(chosen(&[], Extent::Quick)?, ["format", "web", "native"]);
        assert!(chosen(&["none-such"], Extent::Usual).is_err());
        Ok(())
    }
}
