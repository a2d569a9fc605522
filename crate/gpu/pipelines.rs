//! Compiled shaders, each variant with its constants once.

use std::collections::HashMap;

use super::shaders::{Access, Shader};

/// All that was compiled for a device.
pub(super) struct Pipelines {
    /// What a shader's module is made from: [`Shader::source`], but for tests of what a wrong one
    /// does.
    source: fn(Shader) -> String,
    modules: HashMap<Shader, Module>,
    compiled: HashMap<(Shader, Constants), wgpu::ComputePipeline>,
}

/// Values of a shader's `override`s.
pub(super) type Constants = Vec<(&'static str, u32)>;

struct Module {
    module: wgpu::ShaderModule,
    bindings: wgpu::BindGroupLayout,
    layout: wgpu::PipelineLayout,
}

impl Pipelines {
    /// None yet.
    pub fn new(source: fn(Shader) -> String) -> Pipelines {
        Pipelines { source, modules: HashMap::new(), compiled: HashMap::new() }
    }

    /// How many were compiled so far.
    pub fn compiled(&self) -> u64 {
        self.compiled.len() as u64
    }

    /// The pipeline of a variant with its constants, and the layout of its bindings.
    pub fn get(
        &mut self,
        device: &wgpu::Device,
        shader: Shader,
        constants: &[(&'static str, u32)],
    ) -> (wgpu::ComputePipeline, &wgpu::BindGroupLayout) {
        let source = || (self.source)(shader);
        let Module { module, bindings, layout } =
            self.modules.entry(shader).or_insert_with(|| Module::new(device, shader, source()));
        let pipeline = self.compiled.entry((shader, constants.to_vec())).or_insert_with(|| {
            let constants: Vec<(&str, f64)> =
                constants.iter().map(|&(name, value)| (name, value.into())).collect();
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(shader.name()),
                layout: Some(layout),
                module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &constants,
                    // Every kernel writes what it reads.
                    zero_initialize_workgroup_memory: false,
                },
                cache: None,
            })
        });
        (pipeline.clone(), bindings)
    }
}

impl Module {
    fn new(device: &wgpu::Device, shader: Shader, source: String) -> Module {
        let label = Some(shader.name());
        let source = wgpu::ShaderSource::Wgsl(source.into());
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label, source });
        let entries: Vec<_> =
            shader.bindings().into_iter().map(|(binding, access)| entry(binding, access)).collect();
        let bindings = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label,
            entries: &entries,
        });
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&bindings)],
            immediate_size: 0,
        });
        Module { module, bindings, layout }
    }
}

fn entry(binding: u32, access: Access) -> wgpu::BindGroupLayoutEntry {
    let ty = match access {
        Access::Uniform => wgpu::BufferBindingType::Uniform,
        Access::Read => wgpu::BufferBindingType::Storage { read_only: true },
        Access::ReadWrite => wgpu::BufferBindingType::Storage { read_only: false },
    };
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    }
}
