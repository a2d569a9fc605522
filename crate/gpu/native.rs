//! What differs between platforms, here: native ones, where a thread may wait.

use std::time::Duration;

use super::health::{Health, LOAD_AGAIN};
use crate::error::{Code, Result, fail};

/// What a module that uses subgroups begins with: nothing, wgpu asks for a device feature instead.
pub(super) const ENABLE_SUBGROUPS: &str = "";

/// Why there may be no adapter at all.
pub(super) const NO_ADAPTER: &str = "no driver for Vulkan, Metal or Direct3D 12 offers one";

/// All adapters, for a choice by name.
pub(super) async fn adapters(instance: &wgpu::Instance) -> Vec<wgpu::Adapter> {
    instance.enumerate_adapters(wgpu::Backends::PRIMARY).await
}

/// Whether shaders may use subgroups.
pub(super) async fn has_subgroups(device: &wgpu::Device) -> bool {
    device.features().contains(wgpu::Features::SUBGROUP)
}

/// Drives the device until a submission is done and its callbacks have been called.
pub(super) fn finish(
    device: &wgpu::Device,
    health: &Health,
    submission: Option<wgpu::SubmissionIndex>,
    done: impl Fn() -> bool,
) -> Result<()> {
    while !done() && !health.is_lost() {
        let wait = wgpu::PollType::Wait {
            submission_index: submission.clone(),
            timeout: Some(Duration::from_secs(1)),
        };
        match device.poll(wait) {
            // A slow device may be at it for long; a lost one says so.
            Err(wgpu::PollError::Timeout) => {}
            Ok(_) if done() => {}
            Ok(status) => {
                fail!(Code::GpuFailed, "the GPU went silent ({status:?})"; "{LOAD_AGAIN}")
            }
            Err(error) => {
                fail!(Code::GpuFailed, "the GPU cannot be waited for ({error})"; "{LOAD_AGAIN}")
            }
        }
    }
    Ok(())
}

/// Lets the device call back with what it has to tell, which a lost one does when nothing is under
/// way any more.
pub(super) fn listen(device: &wgpu::Device) {
    let wait =
        wgpu::PollType::Wait { submission_index: None, timeout: Some(Duration::from_secs(10)) };
    // What it tells is heard by the callbacks.
    let _ = device.poll(wait);
}

/// Keeps the copies that wait to be written from piling up: waits for the submission before the
/// last one.
pub(super) fn keep_pace(device: &wgpu::Device, before: wgpu::SubmissionIndex) {
    let wait = wgpu::PollType::Wait {
        submission_index: Some(before),
        timeout: Some(Duration::from_secs(10)),
    };
    // A timeout only means more memory in use, and a lost device speaks up by its callback.
    let _ = device.poll(wait);
}
