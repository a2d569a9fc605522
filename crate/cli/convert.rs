//! `phi convert`: a model into the form that streams.

#[cfg(not(target_family = "wasm"))]
use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use indicatif::HumanBytes;
#[cfg(not(target_family = "wasm"))]
use phi_wasm::Error;
use phi_wasm::Result;
#[cfg(not(target_family = "wasm"))]
use phi_wasm::calibrate::{Calibration, Importance};
use phi_wasm::convert::{ConvertProgress, convert};
use phi_wasm::weights::DirSource;
use phi_wasm::weights::format::Bits;
use phi_wasm::weights::write::Report;

use super::options::parse_bits;
#[cfg(not(target_family = "wasm"))]
use super::options::read_text;
use super::{output, progress};

/// Convert a model into the form that streams to the GPU and the CPU as it lies in the file.
#[derive(Debug, Args)]
pub struct Convert {
    /// A Hugging Face directory or a GGUF file.
    source: PathBuf,
    /// The directory to make.
    destination: PathBuf,
    /// Bits of weights that come unquantised: 4 (4.5 with scales), 5 (8 for queries, keys and
    /// values, offsets in the down projections), 8, 16 or 32, which keeps them exactly; or an
    /// average from 2.5 to 8, scales and all, like 3.5 or 5.25, a kind for each matrix.
    #[arg(long, value_name = "BITS", default_value = "4", value_parser = parse_bits)]
    bits: Bits,
    /// Round the weights so that the model computes what it did of this text: a file, - for
    /// standard input, some 25,000 tokens of what it is to be good at; or `auto`, which has the
    /// model write one. Takes minutes to hours.
    #[cfg(not(target_family = "wasm"))]
    #[arg(long, value_name = "TEXT")]
    calibrate: Option<PathBuf>,
    /// Round the weights so that those lose least which count most: by an importance matrix of
    /// llama.cpp, in either form.
    #[cfg(not(target_family = "wasm"))]
    #[arg(long, value_name = "FILE", conflicts_with = "calibrate")]
    imatrix: Option<PathBuf>,
}

impl Convert {
    /// Converts, and prints what became of the weights.
    pub async fn run(self) -> Result<()> {
        let start = Instant::now();
        let bar = progress::bytes("converting");
        let report = self
            .converted(&mut |progress| {
                bar.set_length(progress.total);
                bar.set_position(progress.done);
            })
            .await;
        bar.finish_and_clear();
        print(&report?)?;
        output::line(format_args!(
            "{} in {:.1} s",
            self.destination.display(),
            start.elapsed().as_secs_f64()
        ))
    }

    async fn converted(&self, told: &mut dyn FnMut(ConvertProgress)) -> Result<Report> {
        let (source, destination) = (DirSource::open(&self.source)?, &self.destination);
        #[cfg(not(target_family = "wasm"))]
        if let Some(file) = &self.calibrate {
            let calibration = Calibration::open(source, self.bits).await?;
            let windows = if file == Path::new("auto") {
                let bar = progress::tokens("writing", 0);
                let windows = calibration
                    .write(&mut |done, total| {
                        bar.set_length(total as u64);
                        bar.set_position(done as u64);
                    })
                    .await;
                bar.finish_and_clear();
                windows?
            } else {
                calibration.read(&read_text(file)?)?
            };
            return calibration.convert(destination, &windows, told).await;
        }
        #[cfg(not(target_family = "wasm"))]
        if let Some(file) = &self.imatrix {
            let bytes = std::fs::read(file).map_err(|error| Error::reading(file, &error))?;
            let importance = Importance::read(&file.display().to_string(), bytes).await?;
            let calibration = Calibration::open(source, self.bits).await?;
            return calibration.convert_weighted(destination, &importance, told).await;
        }
        convert(source, destination, self.bits, told).await
    }
}

fn print(report: &Report) -> Result<()> {
    let head = ["kind", "tensors", "weights", "bits", "size"];
    output::line(format_args!(
        "{:<6} {:>7} {:>14} {:>8} {:>12}  error (rms, of the weights')",
        head[0], head[1], head[2], head[3], head[4]
    ))?;
    for held in &report.kinds {
        let kind = format!("{:?}", held.kind).to_lowercase();
        let error = if held.quant_error.error > 0.0 {
            format!("{:.3} %", held.quant_error.relative_rms() * 100.0)
        } else {
            "none".to_owned()
        };
        let size = HumanBytes(held.bytes).to_string();
        let (tensors, weights, bits) = (held.tensors, held.weights, held.bits());
        output::line(format_args!(
            "{kind:<6} {tensors:>7} {weights:>14} {bits:>8.2} {size:>12}  {error}"
        ))?;
    }
    output::line(format_args!("{} in all", HumanBytes(report.bytes)))
}
