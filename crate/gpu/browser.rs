//! What differs between platforms, here: browsers, where nothing may wait and everything comes by
//! callback.

use super::health::Health;
use crate::error::Result;

/// What a module that uses subgroups begins with.
pub(super) const ENABLE_SUBGROUPS: &str = include_str!("../../shaders/lib/enable_subgroups.wgsl");

/// Why there may be no adapter at all.
pub(super) const NO_ADAPTER: &str = "this browser offers none";

/// All adapters, for a choice by name: browsers offer one.
pub(super) async fn adapters(instance: &wgpu::Instance) -> Vec<wgpu::Adapter> {
    instance.enumerate_adapters(wgpu::Backends::BROWSER_WEBGPU).await
}

/// Whether shaders may use subgroups. wgpu does not know of the feature here, so try it on the
/// smallest module that needs it.
pub(super) async fn has_subgroups(device: &wgpu::Device) -> bool {
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let source = wgpu::ShaderSource::Wgsl(ENABLE_SUBGROUPS.into());
    let _tried = device
        .create_shader_module(wgpu::ShaderModuleDescriptor { label: Some("subgroups"), source });
    scope.pop().await.is_none()
}

/// Nothing to drive: callbacks come by themselves.
pub(super) fn finish(
    _device: &wgpu::Device,
    _health: &Health,
    _submission: Option<wgpu::SubmissionIndex>,
    _done: impl Fn() -> bool,
) -> Result<()> {
    Ok(())
}

/// Nothing to do: the device calls back by itself.
pub(super) fn listen(_device: &wgpu::Device) {}

/// Nothing to wait for: the browser keeps the pace.
pub(super) fn keep_pace(_device: &wgpu::Device, _before: wgpu::SubmissionIndex) {}
