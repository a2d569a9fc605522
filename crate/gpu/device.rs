//! Finding a GPU and opening it with the features that help and the limits that hold everywhere.

use super::health::Health;
use super::kernels::Tuning;
use super::options::{GpuOptions, Switch};
use super::platform;
use super::shaders::{MOST_QUADS, MOST_TOKENS, Real, Reduce};
use crate::error::{Code, Result, fail};

/// What makes kernels faster, and none of them needs.
const HELPFUL: wgpu::Features = wgpu::Features::SHADER_F16.union(wgpu::Features::SUBGROUP);

/// Dispatches that are timed in one submission at most: a set of queries holds 4096.
pub(super) const MOST_TIMED: u32 = 2048;

/// An open device.
pub(super) struct Device {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub info: wgpu::AdapterInfo,
    pub health: Health,
    pub max_buffer: u64,
    /// After so many dispatches they are submitted.
    pub most_dispatches: u32,
    has_f16: bool,
    has_dots: bool,
    has_subgroups: bool,
}

impl Device {
    /// Opens the adapter that the options ask for.
    ///
    /// # Errors
    /// `no-gpu` where there is none or it refuses.
    pub async fn open(options: &GpuOptions) -> Result<Device> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapter = find(&instance, options).await?;
        let info = adapter.get_info();
        let limits = limits(&adapter, options);
        let max_buffer = limits.max_storage_buffer_binding_size;
        let mut wanted = HELPFUL;
        if options.profile {
            if !adapter.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
                fail!(
                    Code::NoGpu,
                    "the GPU {} has no clock that kernels can be timed by",
                    name(&info);
                    "bench without --profile"
                );
            }
            // Nobody else asks: it alone slows some devices down.
            wanted |= wgpu::Features::TIMESTAMP_QUERY;
        }
        let mut descriptor = wgpu::DeviceDescriptor {
            label: Some("phi"),
            required_features: adapter.features() & wanted,
            required_limits: limits,
            ..Default::default()
        };
        let mut opened = adapter.request_device(&descriptor).await;
        if opened.is_err() && descriptor.required_features.intersects(HELPFUL) {
            // Some adapters list what they then refuse.
            descriptor.required_features.remove(HELPFUL);
            opened = adapter.request_device(&descriptor).await.or(opened);
        }
        let (device, queue) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                fail!(
                    Code::NoGpu,
                    "the GPU {} cannot be opened ({error})",
                    name(&info);
                    "run on the CPU"
                )
            }
        };
        let health = Health::default();
        health.watch(&device);
        let has_f16 = device.features().contains(wgpu::Features::SHADER_F16);
        let has_dots = instance
            .wgsl_language_features()
            .contains(wgpu::WgslLanguageFeatures::Packed4x8IntegerDotProduct);
        // Where nobody wants them, nobody tries: some browsers write every failed try into their
        // console.
        let has_subgroups =
            options.subgroups != Switch::Off && platform::has_subgroups(&device).await;
        // Adreno's drivers lose the device over longer ones.
        let is_adreno =
            [&info.name, &info.driver].iter().any(|name| name.to_lowercase().contains("adreno"));
        let most = if options.profile { MOST_TIMED } else { u32::MAX };
        let most_dispatches = options
            .most_dispatches
            .unwrap_or(if is_adreno { 100 } else { u32::MAX })
            .clamp(1, most);
        Ok(Device {
            device,
            queue,
            info,
            health,
            max_buffer,
            most_dispatches,
            has_f16,
            has_dots,
            has_subgroups,
        })
    }

    /// The variants to try, the best first.
    ///
    /// # Errors
    /// `no-gpu` when the options insist on what the device lacks, `bad-option` for an impossible
    /// workgroup.
    pub fn tunings(&self, options: &GpuOptions) -> Result<Vec<Tuning>> {
        let f16 = match options.f16 {
            // Programs convert to f32 and back for every product: lavapipe takes 1.5 to 1.8 times
            // as long.
            Switch::Auto if self.is_software() => Switch::Off,
            choice => choice,
        };
        let halves = offers(f16, self.has_f16, "half precision (shader-f16)", &self.info)?;
        let dots = offers(
            options.dots,
            self.has_dots,
            "integer dots (packed_4x8_integer_dot_product)",
            &self.info,
        )?;
        let subgroups = offers(options.subgroups, self.has_subgroups, "subgroups", &self.info)?;
        let workgroup = options.workgroup.unwrap_or(if self.is_software() { 8 } else { 64 });
        if !(1..=256).contains(&workgroup) {
            fail!(Code::BadOption, "a workgroup of {workgroup}: it must have 1 to 256 invocations");
        }
        if let Some(quads) = options.quads.filter(|quads| !(1..=MOST_QUADS).contains(quads)) {
            fail!(
                Code::BadOption,
                "{quads} quads of rows for a workgroup: it takes 1 to {MOST_QUADS}"
            );
        }
        let tuning = |half: bool, subgroup: bool, dots: bool| Tuning {
            real: if half { Real::F16 } else { Real::F32 },
            dots,
            few_dots: dots && options.few_dots,
            reduce: if subgroup { Reduce::Subgroup } else { Reduce::Workgroup },
            workgroup,
            // Codes take less of a workgroup's memory than floats.
            tile: if dots { (16, 8) } else { (16, 4) },
            query_teams: 8,
            quads: options.quads.unwrap_or(1),
            few_tokens: MOST_TOKENS,
            splits: if self.is_software() { 2 } else { 16 },
            norms_apart: options.norms_apart,
        };
        let mut tunings = Vec::new();
        for &half in halves {
            for &subgroup in subgroups {
                tunings.extend(dots.iter().map(|&dots| tuning(half, subgroup, dots)));
            }
        }
        Ok(tunings)
    }

    /// Whether it is a program on the CPU.
    pub fn is_software(&self) -> bool {
        self.info.device_type == wgpu::DeviceType::Cpu
    }
}

/// The adapter that would be opened.
pub(super) async fn adapter_info(options: &GpuOptions) -> Result<wgpu::AdapterInfo> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    Ok(find(&instance, options).await?.get_info())
}

/// The settings of a feature to try, the best first.
fn offers(
    choice: Switch,
    present: bool,
    what: &str,
    info: &wgpu::AdapterInfo,
) -> Result<&'static [bool]> {
    match (choice, present) {
        (Switch::Auto, true) => Ok(&[true, false]),
        (Switch::On, true) => Ok(&[true]),
        (Switch::Auto, false) | (Switch::Off, _) => Ok(&[false]),
        (Switch::On, false) => {
            fail!(
                Code::NoGpu,
                "the GPU {} has no {what}",
                name(info);
                "leave the choice to the engine"
            )
        }
    }
}

async fn find(instance: &wgpu::Instance, options: &GpuOptions) -> Result<wgpu::Adapter> {
    let adapter = find_any(instance, options).await?;
    let info = adapter.get_info();
    if options.hardware_only && info.device_type == wgpu::DeviceType::Cpu {
        fail!(Code::NoGpu, "the only GPU, {}, is a program on the CPU", name(&info));
    }
    Ok(adapter)
}

async fn find_any(instance: &wgpu::Instance, options: &GpuOptions) -> Result<wgpu::Adapter> {
    let Some(wanted) = &options.adapter else {
        let request = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        return match instance.request_adapter(&request).await {
            Ok(adapter) => Ok(adapter),
            Err(_) => {
                fail!(
                    Code::NoGpu,
                    "there is no GPU to use: {}",
                    platform::NO_ADAPTER;
                    "run on the CPU"
                )
            }
        };
    };
    let mut names = Vec::new();
    for adapter in platform::adapters(instance).await {
        let name = name(&adapter.get_info()).to_owned();
        if name.to_lowercase().contains(&wanted.to_lowercase()) {
            return Ok(adapter);
        }
        names.push(name);
    }
    let found = if names.is_empty() { "none at all".to_owned() } else { names.join(", ") };
    fail!(
        Code::NoGpu,
        "there is no GPU named {wanted}: found {found}";
        "name one of these or run on the CPU"
    );
}

/// WebGPU's default limits, so that what works here works everywhere; larger buffers only when
/// asked for.
fn limits(adapter: &wgpu::Adapter, options: &GpuOptions) -> wgpu::Limits {
    let (mut limits, allowed) = (wgpu::Limits::default(), adapter.limits());
    if let Some(wanted) = options.max_buffer {
        let binding =
            wanted.min(allowed.max_storage_buffer_binding_size).min(allowed.max_buffer_size) & !3;
        limits.max_storage_buffer_binding_size =
            limits.max_storage_buffer_binding_size.max(binding);
        limits.max_buffer_size = limits.max_buffer_size.max(binding);
    }
    limits
}

/// What an adapter is called; some browsers don't say.
pub(super) fn name(info: &wgpu::AdapterInfo) -> &str {
    if info.name.is_empty() { "of this browser" } else { &info.name }
}

#[cfg(all(test, feature = "gpu-tests", not(target_family = "wasm")))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_a_profile_asks_for_timestamps() {
        for profile in [false, true] {
            let device =
                pollster::block_on(Device::open(&GpuOptions { profile, ..GpuOptions::default() }))
                    .unwrap();
            assert_eq!(device.device.features().contains(wgpu::Features::TIMESTAMP_QUERY), profile);
        }
    }
}
