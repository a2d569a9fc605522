//! How long each dispatch takes: in a pass of its own, between two of the device's timestamps.
//! Passes cost time, and on some devices so does the feature, so there is a profiler only where
//! somebody asked for one.

use std::collections::HashMap;

use super::Readback;
use super::device::{Device, MOST_TIMED};
use super::kernels::Dispatch;
use super::shaders::Shader;
use super::work::Work;
use crate::op::Buf;
use crate::profile::Kernel;

/// Bytes of a dispatch's two timestamps.
const STAMPS: u64 = 16;

/// Times dispatches.
pub(super) struct Profiler {
    queries: wgpu::QuerySet,
    /// Where timestamps become numbers.
    resolved: wgpu::Buffer,
    /// Seconds of a tick.
    tick: f64,
    /// What was recorded and not submitted yet, in the order of its queries.
    recorded: Vec<Timed>,
    /// What was submitted.
    submitted: Vec<(Vec<Timed>, Readback)>,
    /// The first word that was last written to each buffer: of a step it is the position, which
    /// decides how much attention there is.
    first_words: HashMap<Buf, u32>,
}

/// A dispatch under way.
pub(super) struct Timed {
    what: Measured,
    position: u32,
}

/// What a profile says of a dispatch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    shader: Shader,
    work: Work,
}

impl From<&Dispatch> for Measured {
    fn from(dispatch: &Dispatch) -> Self {
        Measured { shader: dispatch.shader, work: dispatch.work.clone() }
    }
}

impl Profiler {
    pub fn new(device: &Device) -> Profiler {
        let queries = device.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("timestamps"),
            ty: wgpu::QueryType::Timestamp,
            count: 2 * MOST_TIMED,
        });
        let resolved = device.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("timestamps"),
            size: STAMPS * u64::from(MOST_TIMED),
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let tick = f64::from(device.queue.get_timestamp_period()) * 1e-9;
        Profiler {
            queries,
            resolved,
            tick,
            recorded: Vec::new(),
            submitted: Vec::new(),
            first_words: HashMap::new(),
        }
    }

    /// Takes note of what was written to the beginning of a buffer.
    pub fn wrote(&mut self, buf: Buf, bytes: &[u8]) {
        if let Some(&word) = bytes.first_chunk() {
            self.first_words.insert(buf, u32::from_le_bytes(word));
        }
    }

    /// The timestamps of a dispatch that is about to be recorded.
    pub fn time(&mut self, what: &Measured) -> wgpu::ComputePassTimestampWrites<'_> {
        let first = 2 * self.recorded.len() as u32;
        let position = what
            .work
            .attention
            .and_then(|attention| self.first_words.get(&attention.step))
            .copied()
            .unwrap_or(0);
        self.recorded.push(Timed { what: what.clone(), position });
        wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        }
    }

    /// Bytes of the timestamps of what was recorded.
    pub fn stamps(&self) -> u64 {
        STAMPS * self.recorded.len() as u64
    }

    /// Has them copied out, at the end of a submission.
    pub fn resolve(&self, encoder: &mut wgpu::CommandEncoder, staging: &wgpu::Buffer) {
        encoder.resolve_query_set(
            &self.queries,
            0..2 * self.recorded.len() as u32,
            &self.resolved,
            0,
        );
        encoder.copy_buffer_to_buffer(&self.resolved, 0, staging, 0, self.stamps());
    }

    /// What was recorded is submitted, and its timestamps are on their way.
    pub fn sent(&mut self, stamps: Readback) {
        self.submitted.push((std::mem::take(&mut self.recorded), stamps));
    }

    /// What was submitted since this was last asked.
    pub fn take(&mut self) -> Vec<(Vec<Timed>, Readback)> {
        std::mem::take(&mut self.submitted)
    }

    /// Seconds of a tick.
    pub fn tick(&self) -> f64 {
        self.tick
    }
}

/// Dispatches of the same kernel over operands of the same size, together.
#[derive(Default)]
pub(super) struct Tally {
    places: HashMap<(Shader, String), usize>,
    pub kernels: Vec<Kernel>,
}

impl Tally {
    /// Adds a submission's dispatches with their timestamps, two to each.
    pub fn add(&mut self, dispatches: &[Timed], stamps: &[[u64; 2]], tick: f64) {
        for (Timed { what: Measured { shader, work }, position }, [begin, end]) in
            dispatches.iter().zip(stamps)
        {
            let (cached, products) =
                work.attention.map_or((0, 0), |attention| attention.at(*position));
            let kernel = self.kernel(*shader, &work.over);
            kernel.calls += 1;
            // Some devices' clocks step back now and then.
            kernel.seconds += end.saturating_sub(*begin) as f64 * tick;
            kernel.bytes += work.weights + work.others + cached;
            kernel.weight_bytes += work.weights;
            kernel.cache_bytes += cached;
            kernel.operations += work.operations + products;
        }
    }

    fn kernel(&mut self, shader: Shader, over: &str) -> &mut Kernel {
        let place = *self.places.entry((shader, over.to_owned())).or_insert_with(|| {
            let (name, over) = (format!("{shader:?}"), over.to_owned());
            self.kernels.push(Kernel { name, over, ..Kernel::default() });
            self.kernels.len() - 1
        });
        &mut self.kernels[place]
    }
}
