//! What was measured, as a table for people and as JSON for programs.

use std::fmt::{self, Display};
use std::path::PathBuf;

use clap::Args;
use phi_wasm::{Error, Result};
use serde::{Serialize, Serializer};

use crate::cli::options::{ModelArgs, is_stdin};
use crate::cli::{output, whole};

/// Where the report goes.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// Write the report as JSON to this file; - for standard output, in place of the table.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A share of a test's items.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Share {
    value: f64,
    /// Its standard error, were the items drawn from many more; of one item alone it is unknown.
    stderr: f64,
}

impl Share {
    pub fn of(count: usize, items: usize) -> Share {
        let value = count as f64 / items as f64;
        let stderr = (value * (1.0 - value) / items.saturating_sub(1).max(1) as f64).sqrt();
        Share { value, stderr }
    }
}

impl Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4} ± {:.4}", self.value, self.stderr)
    }
}

/// What was measured with a model in a format.
#[derive(Debug, Serialize)]
pub struct Run<F> {
    model: String,
    /// Of weights that come unquantised.
    #[serde(serialize_with = "as_written")]
    bits: f64,
    /// What computed.
    backend: String,
    #[serde(flatten)]
    pub figures: F,
}

impl<F> Run<F> {
    pub fn new(args: &ModelArgs, backend: String, figures: F) -> Run<F> {
        let model = args.model.display().to_string();
        Run { model, bits: args.compute.bits.number(), backend, figures }
    }

    /// The model's file, without the folders that all may have in common.
    fn name(&self) -> String {
        let path = PathBuf::from(&self.model);
        path.file_name().map_or(self.model.clone(), |name| name.to_string_lossy().into_owned())
    }
}

/// Bits as people write them: 4, not 4.0.
fn as_written<S: Serializer>(bits: &f64, to: S) -> std::result::Result<S::Ok, S::Error> {
    if bits.fract() == 0.0 { to.serialize_u64(*bits as u64) } else { to.serialize_f64(*bits) }
}

/// All runs of a test.
#[derive(Debug, Serialize)]
pub struct Report<F> {
    test: &'static str,
    version: &'static str,
    runs: Vec<Run<F>>,
}

impl<F: Serialize> Report<F> {
    pub fn new(test: &'static str, runs: Vec<Run<F>>) -> Report<F> {
        Report { test, version: env!("CARGO_PKG_VERSION"), runs }
    }

    /// Writes the JSON where it is asked for, and prints what people read.
    pub fn tell(
        &self,
        args: &ReportArgs,
        print: impl FnOnce(&[Run<F>]) -> Result<()>,
    ) -> Result<()> {
        let Some(file) = &args.json else { return print(&self.runs) };
        let json = serde_json::json!(self);
        if is_stdin(file) {
            return output::line(json);
        }
        whole::write(file, format!("{json}\n").as_bytes())
            .map_err(|error| Error::writing(file, &error))?;
        print(&self.runs)
    }

    /// A row for each run: the model, its bits, and its figures.
    pub fn table(&self, heads: &[&str], figures: impl Iterator<Item = Vec<String>>) -> Result<()> {
        let heads = ["model", "bits"].iter().chain(heads).map(|&head| head.to_owned()).collect();
        let row = |(run, figures): (&Run<F>, Vec<String>)| {
            [vec![run.name(), run.bits.to_string()], figures].concat()
        };
        table(std::iter::once(heads).chain(self.runs.iter().zip(figures).map(row)))
    }
}

/// Rows whose columns stand under each other: names to the left, figures to the right.
pub fn table(rows: impl Iterator<Item = Vec<String>>) -> Result<()> {
    let rows: Vec<Vec<String>> =
        rows.map(|row| row.iter().map(|cell| output::printable(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") }
        });
        output::line(cells.collect::<String>().trim_end())?;
    }
    Ok(())
}
