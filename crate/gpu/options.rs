//! What whoever opens a GPU may choose.

use std::future::Future;
use std::pin::Pin;

use crate::error::Result;

/// Whether to use a feature of the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// Where the device has it and answers rightly with it.
    #[default]
    Auto,
    /// Always: a device without it is an error.
    On,
    /// Never, even where a device has it.
    Off,
}

/// What a caller may choose; the default chooses all by itself.
#[derive(Clone, Debug, Default)]
pub struct GpuOptions {
    /// Whether products of weights and activations are computed in half precision.
    pub f16: Switch,
    /// Whether many tokens are multiplied with 4- and 8-bit weights in whole numbers, by dots of
    /// four bytes.
    pub dots: Switch,
    /// Whether few tokens are, too, where many are: what is timed finds out by itself.
    pub few_dots: bool,
    /// Whether workgroups add up by subgroups. In browsers the page must first make devices ask for
    /// the feature.
    pub subgroups: Switch,
    /// Whether an adapter that is a program on the CPU, which our own CPU kernels outrun, is none.
    pub hardware_only: bool,
    /// Only an adapter whose name contains this, in any case.
    pub adapter: Option<String>,
    /// Invocations of a workgroup, 1 to 256.
    pub workgroup: Option<u32>,
    /// Quads of rows that a workgroup multiplies with one token, 1 to
    /// [`super::shaders::MOST_QUADS`].
    pub quads: Option<u32>,
    /// Whether norms before products of few tokens are kernels of their own: what is timed finds
    /// out by itself.
    pub norms_apart: bool,
    /// Dispatches of a submission at most; `None` for what the adapter can take.
    pub most_dispatches: Option<u32>,
    /// The largest buffer to ask for, in bytes, if the adapter allows it. WebGPU promises 128 MiB
    /// everywhere.
    pub max_buffer: Option<u64>,
    /// Whether to time every dispatch, for `Backend::take_kernels`. That makes everything slower.
    pub profile: bool,
    /// Whether to time variants on the model that is loaded; `None` leaves it at what is known of
    /// such devices.
    pub tune: Option<Tune>,
    /// What waits for pipelines, where they are compiled beside everything else; `None` where they
    /// are compiled when they are asked for.
    pub compiled: Option<Compiled>,
}

/// Waits until all pipelines that were asked for can be had.
pub type Compiled = fn() -> Pin<Box<dyn Future<Output = Result<()>>>>;

/// Whether and how to find the fastest variants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tune {
    /// What [`crate::backend::Backend::tuned`] gave some time ago; text that it did not give counts
    /// as nothing.
    pub known: String,
    /// Where the device is: the browser's name and version, nothing natively. What was timed
    /// elsewhere does not count.
    pub host: String,
    /// Whether to time again what is known. Programs on the CPU are timed only then.
    pub anew: bool,
}
