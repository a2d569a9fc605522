//! Which is faster, the GPU or the CPU: measured when a model is first loaded onto a device, then
//! kept by whoever opened that.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Session;
use crate::backend::Backend;
use crate::engine::Tokens;
use crate::error::Result;

/// What is compared: reading and writing may differ, and conversations are both.
const TOKENS: Tokens = Tokens { read: 500, written: 200 };

/// Seconds for 500 tokens read and 200 written, from a few of the model's layers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Verdict {
    /// On the GPU.
    pub gpu: f64,
    /// On the CPU.
    pub cpu: f64,
}

impl Verdict {
    /// Whether the CPU is faster.
    pub fn is_for_cpu(&self) -> bool {
        self.cpu < self.gpu
    }

    /// Times a model where it is, and what it would take elsewhere. None where that cannot be had,
    /// for want of memory, say: nobody loses by that.
    ///
    /// # Errors
    /// The GPU's.
    pub(super) async fn measure<G: Backend, C: Backend>(
        session: &mut Session<G>,
        cpu: Result<C>,
    ) -> Result<Option<Verdict>> {
        let (engine, sequence) = session.engine_and_sequence();
        let gpu = engine.estimate(sequence, TOKENS).await?;
        let Ok(cpu) = cpu else { return Ok(None) };
        // To the microsecond, so that what is kept is read again as it was.
        let rounded = |seconds: f64| (seconds * 1e6).round() / 1e6;
        Ok(engine
            .estimate_on(cpu, TOKENS)
            .await
            .ok()
            .map(|cpu| Verdict { gpu: rounded(gpu), cpu: rounded(cpu) }))
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Tokens { read, written } = TOKENS;
        write!(
            f,
            "GPU: {:.2} s for {read} read and {written} written tokens, CPU: {:.2} s",
            self.gpu, self.cpu
        )
    }
}

/// A GPU and a CPU, and what is known of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rivals {
    /// Names both, with all that their speed depends on.
    pub names: String,
    /// What [`super::Host::judged`] was given some time ago; text that it was not given counts as
    /// nothing.
    pub known: String,
    /// Whether to measure again what is known.
    pub anew: bool,
}

impl Rivals {
    /// What is known of them with a model that takes so many bytes.
    pub(super) fn verdict(&self, bytes: u64) -> Option<Verdict> {
        let known = self.all();
        let seconds = |side: &str| {
            known.get(&self.key(bytes))?.get(side)?.as_f64().filter(|seconds| *seconds >= 0.0)
        };
        let verdict = Verdict { gpu: seconds("gpu")?, cpu: seconds("cpu")? };
        (!self.anew).then_some(verdict)
    }

    /// All that is known, with this.
    pub(super) fn with(&self, bytes: u64, Verdict { gpu, cpu }: Verdict) -> String {
        let mut known = self.all();
        known.insert(self.key(bytes), json!({ "gpu": gpu, "cpu": cpu }));
        Value::Object(known).to_string()
    }

    fn all(&self) -> Map<String, Value> {
        serde_json::from_str(&self.known).unwrap_or_default()
    }

    fn key(&self, bytes: u64) -> String {
        format!("{}; phi {}; {bytes} bytes", self.names, env!("CARGO_PKG_VERSION"))
    }
}
