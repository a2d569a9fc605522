//! `phi convert`: a model into the form that streams.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use indicatif::HumanBytes;
use phi_wasm::Result;
use phi_wasm::convert::convert;
use phi_wasm::weights::DirSource;
use phi_wasm::weights::format::Bits;
use phi_wasm::weights::write::Report;

use super::options::parse_bits;
use super::{output, progress};

/// Convert a model into the form that streams to the GPU and the CPU as it lies in the file.
#[derive(Debug, Args)]
pub struct Convert {
    /// A Hugging Face directory or a GGUF file.
    source: PathBuf,
    /// The directory to make.
    destination: PathBuf,
    /// Bits of weights that come unquantised: 4 (4.5 with scales), 5 (8 for queries, keys and
    /// values, offsets in the down projections), 8, 16 or 32, which keeps them exactly.
    #[arg(long, value_name = "BITS", default_value = "4", value_parser = parse_bits)]
    bits: Bits,
}

impl Convert {
    /// Converts, and prints what became of the weights.
    pub async fn run(self) -> Result<()> {
        let start = Instant::now();
        let bar = progress::bytes("converting");
        let report = convert(
            DirSource::open(&self.source)?,
            &self.destination,
            self.bits,
            &mut |progress| {
                bar.set_length(progress.total);
                bar.set_position(progress.done);
            },
        )
        .await;
        bar.finish_and_clear();
        print(&report?)?;
        output::line(format_args!(
            "{} in {:.1} s",
            self.destination.display(),
            start.elapsed().as_secs_f64()
        ))
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
