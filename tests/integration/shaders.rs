//! Every module that the GPU backend can put together, looked at with naga: it validates, its
//! parameters lie as Rust's do, its bindings are the table's, and it stays within WebGPU's default
//! limits.

use std::collections::BTreeSet;
use std::mem::offset_of;

use naga::back::pipeline_constants::process_overrides;
use naga::proc::Layouter;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess, TypeInner};
use phi_wasm::gpu::{Access, Shader};
use phi_wasm::op::SamplerParams;

/// WebGPU's default limits.
const WORKGROUP_BYTES: u32 = 16 << 10;
const WORKGROUP_INVOCATIONS: u32 = 256;
const STORAGE_BUFFERS: usize = 8;

fn parse(shader: Shader) -> Module {
    let source = shader.source();
    naga::front::wgsl::parse_str(&source)
        .unwrap_or_else(|error| panic!("{shader:?}: {}", error.emit_to_string(&source)))
}

fn validate(shader: Shader, module: &Module) -> ModuleInfo {
    let capabilities = Capabilities::SHADER_FLOAT16
        | Capabilities::SHADER_FLOAT16_IN_FLOAT32
        | Capabilities::SUBGROUP;
    let mut validator = Validator::new(ValidationFlags::all(), capabilities);
    validator
        .validate(module)
        .unwrap_or_else(|error| panic!("{shader:?}: {}", error.emit_to_string(&shader.source())))
}

/// The largest constants that the engine asks for, together.
fn largest(module: &Module) -> Vec<naga::back::PipelineConstants> {
    // Wide heads are shared by few teams.
    [(64.0, 2.0), (16.0, 8.0)].map(|(fours, teams)| with(module, fours, teams)).into()
}

fn with(module: &Module, fours: f64, teams: f64) -> naga::back::PipelineConstants {
    let values = [
        ("WG", 256.0),
        ("FOURS", fours),
        ("GROUPS", 512.0),
        ("QUADS", 16.0),
        ("TEAMS", teams),
        ("SPLITS", 16.0),
        ("RUNS", 256.0),
    ];
    let declared =
        |name: &str| module.overrides.iter().any(|(_, found)| found.name.as_deref() == Some(name));
    values
        .into_iter()
        .filter(|(name, _)| declared(name))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[test]
fn every_module_validates() {
    for shader in Shader::all() {
        validate(shader, &parse(shader));
    }
}

#[test]
fn every_file_is_part_of_a_module() {
    let modules: Vec<String> = Shader::all().into_iter().map(Shader::source).collect();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/shaders");
    for folder in [root.to_owned(), format!("{root}/lib")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // Natively wgpu knows subgroups as a feature of the device, without a directive.
            if path.is_dir() || path.ends_with("lib/enable_subgroups.wgsl") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            // Modules have no comments and no indents.
            let bare = |line: &str| {
                let code = line.trim_start_matches(' ');
                code.find("//").map_or(code, |at| &code[..at]).to_owned()
            };
            let text = text.lines().map(bare).collect::<Vec<_>>().join("\n");
            assert!(
                modules.iter().any(|module| module.contains(text.trim_end())),
                "{} is used nowhere",
                path.display()
            );
        }
    }
}

#[test]
fn parameters_lie_as_in_rust() {
    for shader in Shader::all() {
        let module = parse(shader);
        let mut layouter = Layouter::default();
        layouter.update(module.to_ctx()).unwrap();
        let params = module
            .global_variables
            .iter()
            .find(|(_, global)| global.name.as_deref() == Some("params"))
            .unwrap()
            .1;
        assert_eq!(params.space, AddressSpace::Uniform, "{shader:?}");
        let TypeInner::Struct { members, .. } = &module.types[params.ty].inner else {
            panic!("{shader:?}: parameters are a struct")
        };
        let found: Vec<(&str, usize)> = members
            .iter()
            .map(|member| (member.name.as_deref().unwrap(), member.offset as usize))
            .collect();
        let rust = shader.params();
        assert_eq!(found, rust.members, "{shader:?}");
        assert_eq!(layouter[params.ty].size as usize, rust.size, "{shader:?}");
    }
}

#[test]
fn rules_lie_as_in_rust() {
    let members = [
        ("temperature", offset_of!(SamplerParams, temperature)),
        ("top_k", offset_of!(SamplerParams, top_k)),
        ("top_p", offset_of!(SamplerParams, top_p)),
        ("min_p", offset_of!(SamplerParams, min_p)),
        ("repetition_penalty", offset_of!(SamplerParams, repetition_penalty)),
        ("presence_penalty", offset_of!(SamplerParams, presence_penalty)),
        ("frequency_penalty", offset_of!(SamplerParams, frequency_penalty)),
        ("uniform", offset_of!(SamplerParams, uniform)),
    ];
    let mut looked_at = 0;
    for shader in Shader::all() {
        let module = parse(shader);
        let Some((_, rules)) =
            module.types.iter().find(|(_, one)| one.name.as_deref() == Some("SamplerParams"))
        else {
            continue;
        };
        let TypeInner::Struct { members: found, span } = &rules.inner else {
            panic!("{shader:?}: rules are a struct")
        };
        let found: Vec<(&str, usize)> = found
            .iter()
            .map(|member| (member.name.as_deref().unwrap(), member.offset as usize))
            .collect();
        assert_eq!(found, members, "{shader:?}");
        assert_eq!(*span as usize, size_of::<SamplerParams>(), "{shader:?}");
        looked_at += 1;
    }
    assert!(looked_at > 0, "no shader has them");
}

#[test]
fn bindings_are_the_tables() {
    for shader in Shader::all() {
        let module = parse(shader);
        let mut found = Vec::new();
        for (_, global) in module.global_variables.iter() {
            let Some(binding) = &global.binding else { continue };
            assert_eq!(binding.group, 0, "{shader:?}");
            let access = match global.space {
                AddressSpace::Uniform => Access::Uniform,
                AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => {
                    Access::ReadWrite
                }
                AddressSpace::Storage { .. } => Access::Read,
                other => panic!("{shader:?}: a binding in {other:?}"),
            };
            found.push((binding.binding, access));
        }
        found.sort_by_key(|&(binding, _)| binding);
        assert_eq!(found, shader.bindings(), "{shader:?}");

        let order = |access: Access| {
            [Access::Uniform, Access::Read, Access::ReadWrite].iter().position(|&a| a == access)
        };
        assert!(
            found.is_sorted_by_key(|&(_, access)| order(access)),
            "{shader:?}: parameters, then inputs, then outputs: {found:?}"
        );
        assert!(found.len() - 1 <= STORAGE_BUFFERS, "{shader:?}");
    }
}

#[test]
fn workgroups_stay_within_the_default_limits() {
    for shader in Shader::all() {
        let module = parse(shader);
        let info = validate(shader, &module);
        for constants in largest(&module) {
            let (module, _) = process_overrides(&module, &info, None, &constants).unwrap();
            let mut layouter = Layouter::default();
            layouter.update(module.to_ctx()).unwrap();
            let shared = module
                .global_variables
                .iter()
                .filter(|(_, global)| global.space == AddressSpace::WorkGroup);
            let bytes: u32 =
                shared.map(|(_, global)| layouter[global.ty].size.next_multiple_of(16)).sum();
            assert!(bytes <= WORKGROUP_BYTES, "{shader:?}: {bytes} bytes of workgroup memory");
            let size: u32 = module.entry_points[0].workgroup_size.iter().product();
            assert!((1..=WORKGROUP_INVOCATIONS).contains(&size), "{shader:?}: {size} invocations");
        }
    }
}

#[test]
fn variants_differ() {
    let all = Shader::all();
    let sources: BTreeSet<String> = all.iter().map(|shader| shader.source()).collect();
    assert_eq!(sources.len(), all.len(), "two variants are the same text");
}
