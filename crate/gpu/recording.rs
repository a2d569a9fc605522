//! What has been told to run: written down, and submitted when something is read or written or the
//! device takes no more at once.

use super::health::Answer;
use super::profiler::Profiler;
use super::program::Run;
use super::{Gpu, Readback};

/// Commands that are being written down.
pub(super) struct Recording {
    /// Begun with the first dispatch. Before the encoder, which must outlive it.
    pass: Option<wgpu::ComputePass<'static>>,
    encoder: wgpu::CommandEncoder,
    dispatches: u32,
}

impl Gpu {
    /// What is wrong with the commands is known before their results are believed: it is waited for
    /// with the next answer.
    pub(super) fn submit(&mut self, commands: Option<wgpu::CommandEncoder>) {
        let scope = self.device.device.push_error_scope(wgpu::ErrorFilter::Validation);
        self.counters.submits += 1;
        self.submitted = Some(self.device.queue.submit(commands.map(wgpu::CommandEncoder::finish)));
        self.written = 0;
        let outcome = scope.pop();
        if let Err(failure) = self.settle("the GPU's work", outcome) {
            self.health().fail(failure, false);
        }
    }

    /// The commands for what has been told to run, then `more`.
    pub(super) fn submit_recording(&mut self, more: impl FnOnce(&mut wgpu::CommandEncoder)) {
        let mut encoder = match self.recording.take() {
            Some(Recording { pass, encoder, .. }) => {
                drop(pass);
                encoder
            }
            None => self
                .device
                .device
                .create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("read") }),
        };
        let stamps = self.resolve_stamps(&mut encoder);
        more(&mut encoder);
        self.submit(Some(encoder));
        let stamps = stamps.map(|(staging, length)| self.map(staging, length));
        if let (Some(profiler), Some(stamps)) = (&mut self.profiler, stamps) {
            profiler.sent(stamps);
        }
    }

    /// Sends off what has been told to run, before what would overtake it.
    pub(super) fn flush(&mut self) {
        if self.recording.is_some() {
            self.submit_recording(|_| ());
        }
    }

    pub(super) fn record(&mut self, Run { pipeline, bindings, groups: [x, y, z], measured }: &Run) {
        let (device, counters) = (&self.device, &mut self.counters);
        let recording = self.recording.get_or_insert_with(|| Recording::begin(&device.device));
        let timestamps = self.profiler.as_mut().map(|profiler| profiler.time(measured));
        let pass = recording.pass(timestamps, &mut counters.passes);
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, bindings, &[]);
        pass.dispatch_workgroups(*x, *y, *z);
        recording.dispatches += 1;
        counters.dispatches += 1;
        if recording.dispatches == device.most_dispatches {
            self.flush();
        }
    }

    /// Writes down commands that are no dispatches.
    pub(super) fn encode(&mut self, commands: impl FnOnce(&mut wgpu::CommandEncoder)) {
        let device = &self.device.device;
        let recording = self.recording.get_or_insert_with(|| Recording::begin(device));
        recording.pass = None; // It must end first.
        commands(&mut recording.encoder);
    }

    /// Has what was timed copied into staging of so many bytes, where anything was.
    fn resolve_stamps(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
    ) -> Option<(wgpu::Buffer, u64)> {
        let length = self.profiler.as_ref().map_or(0, Profiler::stamps);
        if length == 0 {
            return None;
        }
        let staging = self.staging_of(length);
        self.profiler.as_ref()?.resolve(encoder, &staging);
        Some((staging, length))
    }

    /// A buffer for bytes on their way out, used before if there is one.
    pub(super) fn staging_of(&mut self, length: u64) -> wgpu::Buffer {
        match self.staging.iter().position(|staging| staging.size() >= length) {
            Some(place) => self.staging.swap_remove(place),
            None => self.new_staging(length),
        }
    }

    /// Asks for bytes that the last submission copies into staging.
    pub(super) fn map(&self, staging: wgpu::Buffer, length: u64) -> Readback {
        let (answer, health) = (Answer::new(), self.health().clone());
        let told = answer.clone();
        staging
            .map_async(wgpu::MapMode::Read, ..length, move |outcome| health.answer(&told, outcome));
        Readback { staging, length, submission: self.submitted.clone(), answer }
    }

    fn new_staging(&mut self, size: u64) -> wgpu::Buffer {
        self.counters.created += 1;
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        self.device.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("staging"),
            size,
            usage,
            mapped_at_creation: false,
        })
    }
}

impl Recording {
    fn begin(device: &wgpu::Device) -> Recording {
        let label = Some("step");
        let encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label });
        Recording { pass: None, encoder, dispatches: 0 }
    }

    /// The pass to write into: the open one, or a new one between timestamps.
    fn pass(
        &mut self,
        timestamps: Option<wgpu::ComputePassTimestampWrites<'_>>,
        passes: &mut u64,
    ) -> &mut wgpu::ComputePass<'static> {
        if timestamps.is_some() {
            self.pass = None; // It must end before another begins.
        }
        self.pass.get_or_insert_with(|| {
            *passes += 1;
            let descriptor =
                wgpu::ComputePassDescriptor { label: Some("step"), timestamp_writes: timestamps };
            self.encoder.begin_compute_pass(&descriptor).forget_lifetime()
        })
    }
}
