//! Dispatches made ready to run: their pipelines, bindings and parameters.

use super::Gpu;
use super::kernels::Dispatch;
use super::profiler::Measured;
use crate::error::Result;

/// A list of ops with all that it takes to run it.
pub struct Program {
    pub(super) runs: Vec<Run>,
}

/// A kernel with its bindings.
pub(super) struct Run {
    pub pipeline: wgpu::ComputePipeline,
    pub bindings: wgpu::BindGroup,
    pub groups: [u32; 3],
    pub measured: Measured,
}

impl Gpu {
    /// Makes dispatches ready to run.
    pub(super) fn make_ready(&mut self, dispatches: &[Dispatch]) -> Result<Program> {
        let scope = self.device.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let stride = self.device.device.limits().min_uniform_buffer_offset_alignment as usize;
        let mut bytes = vec![0; stride * dispatches.len().max(1)];
        for (slot, dispatch) in bytes.chunks_exact_mut(stride).zip(dispatches) {
            slot[..dispatch.params.len()].copy_from_slice(&dispatch.params);
        }
        let params = self.device.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("parameters"),
            size: bytes.len() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.counters.created += 1;
        self.device.queue.write_buffer(&params, 0, &bytes);
        let offsets = (0..).step_by(stride);
        let runs = dispatches
            .iter()
            .zip(offsets)
            .map(|(dispatch, offset)| self.make_run(dispatch, &params, offset));
        let runs = runs.collect::<Result<_>>()?;
        let outcome = scope.pop();
        self.settle("preparing the GPU's work", outcome)?;
        Ok(Program { runs })
    }

    fn make_run(&mut self, dispatch: &Dispatch, params: &wgpu::Buffer, offset: u64) -> Result<Run> {
        let size = std::num::NonZeroU64::new(dispatch.params.len() as u64);
        let uniform =
            wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer: params, offset, size });
        let mut resources = vec![(0, uniform)];
        let buffers: Vec<wgpu::Buffer> = dispatch
            .buffers
            .iter()
            .map(|&(_, buf)| self.buffer(buf).cloned())
            .collect::<Result<_>>()?;
        resources.extend(
            dispatch
                .buffers
                .iter()
                .zip(&buffers)
                .map(|(&(binding, _), buffer)| (binding, buffer.as_entire_binding())),
        );
        let entries: Vec<_> = resources
            .into_iter()
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource })
            .collect();
        let (pipeline, layout) =
            self.pipelines.get(&self.device.device, dispatch.shader, &dispatch.constants);
        let descriptor = wgpu::BindGroupDescriptor {
            label: Some(dispatch.shader.name()),
            layout,
            entries: &entries,
        };
        self.counters.created += 1;
        let bindings = self.device.device.create_bind_group(&descriptor);
        Ok(Run { pipeline, bindings, groups: dispatch.groups, measured: dispatch.into() })
    }
}
