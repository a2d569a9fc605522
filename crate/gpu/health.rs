//! What is known of a device's condition: its first failure, told by callbacks, and who waits for
//! it meanwhile.

use std::future::poll_fn;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use crate::error::{Code, Error, Result};

/// What to do about a device that is gone.
pub(super) const LOAD_AGAIN: &str = "load the model again";

/// Shared by a device and its callbacks.
#[derive(Clone, Default)]
pub(super) struct Health(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    failure: Option<Error>,
    lost: bool,
    waiting: Vec<Waker>,
}

/// A result that a callback leaves for a future.
pub(super) struct Answer<T>(Arc<Mutex<Option<T>>>);

impl<T> Clone for Answer<T> {
    fn clone(&self) -> Self {
        Answer(self.0.clone())
    }
}

impl<T> Answer<T> {
    pub fn new() -> Self {
        Answer(Arc::default())
    }
    pub fn is_here(&self) -> bool {
        lock(&self.0).is_some()
    }
}

impl Health {
    /// Tells the device to tell us.
    pub fn watch(&self, device: &wgpu::Device) {
        let health = self.clone();
        device.set_device_lost_callback(move |_, message| {
            health.fail(
                Error::new(Code::GpuLost, format!("the GPU was lost ({message})"))
                    .advise(LOAD_AGAIN),
                true,
            );
        });
        let health = self.clone();
        device.on_uncaptured_error(Arc::new(move |error| {
            health.fail(explain("the GPU", error), false)
        }));
    }

    /// Takes note of a failure. A loss explains whatever failed before it was told.
    pub fn fail(&self, error: Error, lost: bool) {
        let mut state = lock(&self.0);
        if lost || state.failure.is_none() {
            state.failure = Some(error);
        }
        state.lost |= lost;
        let waiting = take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The first failure, if any: after it nothing that the device says can be believed.
    pub fn check(&self) -> Result<()> {
        lock(&self.0).failure.clone().map_or(Ok(()), Err)
    }

    /// Forgets a failure that another variant may not have.
    pub fn forgive(&self) {
        lock(&self.0).failure = None;
    }

    /// Whether the device is gone, so that waiting for it is in vain.
    pub fn is_lost(&self) -> bool {
        lock(&self.0).lost
    }

    /// Leaves an answer and wakes who waits for it.
    pub fn answer<T>(&self, answer: &Answer<T>, value: T) {
        *lock(&answer.0) = Some(value);
        let waiting = take(&mut lock(&self.0).waiting);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Waits for an answer, or for the device's loss.
    pub async fn wait<T>(&self, answer: &Answer<T>) -> Result<T> {
        poll_fn(|context| {
            let mut state = lock(&self.0);
            if let Some(value) = lock(&answer.0).take() {
                return Poll::Ready(Ok(value));
            }
            if let (true, Some(error)) = (state.lost, &state.failure) {
                return Poll::Ready(Err(error.clone()));
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// A device's error in our words.
pub(super) fn explain(what: &str, error: wgpu::Error) -> Error {
    match error {
        wgpu::Error::OutOfMemory { .. } => {
            Error::new(Code::OutOfMemory, format!("{what}: the GPU has no memory left"))
                .advise("choose a shorter context or fewer bits")
        }
        wgpu::Error::Validation { description, .. } => {
            Error::new(Code::GpuFailed, format!("{what}: refused ({description})"))
        }
        wgpu::Error::Internal { description, .. } => {
            Error::new(Code::GpuFailed, format!("{what}: the driver failed ({description})"))
        }
    }
}

/// No panic can leave these states half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
