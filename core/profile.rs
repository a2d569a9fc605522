//! What a backend's kernels took, where somebody asked it to time them, and what its device does at
//! best.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

/// A benchmark's kernels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    /// Those of the prompt, up to the choice of the first token.
    pub prefill: Vec<Kernel>,
    /// Those of the tokens after it.
    pub decode: Vec<Kernel>,
    /// What to hold them against.
    pub peaks: Peaks,
}

/// All runs of one variant of a kernel over operands of one size.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Kernel {
    /// The variant, as the backend's code writes it: `Matvec(Q4, F16, Subgroup, Normed, 1)`.
    pub name: String,
    /// The operands: `5120 × 3072`.
    pub over: String,
    /// How often it ran.
    pub calls: u64,
    /// How long it ran in all.
    pub seconds: f64,
    /// Bytes of memory that it had to read or write, each once a call.
    pub bytes: u64,
    /// Those of them that are matrices.
    pub weight_bytes: u64,
    /// Those of them that are cached keys and values of positions up to the call's.
    pub cache_bytes: u64,
    /// Multiplications and additions of its dot products.
    pub operations: u64,
}

/// What a device was measured to do at best.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Peaks {
    /// Whether it is a program on the CPU, which says only what is relatively expensive.
    pub software: bool,
    /// Bytes a second that it reads.
    pub bandwidth: f64,
    /// Multiplications and additions of f32 a second.
    pub floats: f64,
    /// Multiplications and additions of bytes a second, by `dot4I8Packed`.
    pub bytes: f64,
}

impl Kernel {
    /// Bytes a second.
    pub fn bandwidth(&self) -> f64 {
        self.bytes as f64 / self.seconds
    }

    /// Operations a second.
    pub fn rate(&self) -> f64 {
        self.operations as f64 / self.seconds
    }
}

/// A table, the most expensive kernels first.
impl Display for Profile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Peaks { bandwidth, floats, bytes, .. } = self.peaks;
        let [bandwidth, floats, bytes] = [bandwidth, floats, bytes].map(|peak| peak / 1e9);
        writeln!(
            f,
            "the device reads {bandwidth:.1} GB/s and computes {floats:.0} GOP/s in f32, \
                {bytes:.0} in dots of four bytes"
        )?;
        for (phase, kernels) in [("prefill", &self.prefill), ("decode", &self.decode)] {
            let total: f64 = kernels.iter().map(|kernel| kernel.seconds).sum();
            let calls: u64 = kernels.iter().map(|kernel| kernel.calls).sum();
            writeln!(f, "\n{phase}: {:.2} ms in {calls} calls\n{HEADING}", total * 1e3)?;
            let mut sorted: Vec<&Kernel> = kernels.iter().collect();
            sorted.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
            sorted.into_iter().try_for_each(|kernel| self.row(f, kernel, total))?;
        }
        Ok(())
    }
}

const HEADING: &str = "   ms/call    calls  of all     GB/s  of peak    GOP/s  of peak  kernel";

impl Profile {
    fn row(&self, f: &mut Formatter<'_>, kernel: &Kernel, total: f64) -> fmt::Result {
        let (bandwidth, rate) = (kernel.bandwidth(), kernel.rate());
        writeln!(
            f,
            "{:10.4} {:8} {:5.1} % {:8.2} {:6.1} % {:8.1} {:6.1} %  {} over {}",
            kernel.seconds * 1e3 / kernel.calls as f64,
            kernel.calls,
            100.0 * kernel.seconds / total,
            bandwidth / 1e9,
            100.0 * bandwidth / self.peaks.bandwidth,
            rate / 1e9,
            100.0 * rate / self.peaks.floats,
            kernel.name,
            kernel.over,
        )
    }
}
