//! What integration tests share: one way to write a test that runs natively, under WASI and in a
//! browser; models; backends.

pub mod backends;
pub mod mixed;
#[cfg(all(feature = "gpu-tests", not(target_family = "wasm")))]
pub mod narrow;
#[cfg(all(feature = "real-model-tests", not(target_family = "wasm")))]
pub mod perplexity;
pub mod tiny_phi;
#[cfg(not(target_os = "unknown"))]
pub mod watched;

/// Whether `cargo xtask test --long` runs this: what is cut short for its time then is not.
#[cfg(not(target_os = "unknown"))]
pub fn is_long() -> bool {
    std::env::var_os("PHI_LONG").is_some()
}

/// Once in a test binary: in a browser its tests run in a worker, as the engine does.
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
macro_rules! tests_run_in_worker {
    () => {
        wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);
    };
}

/// Once in a test binary: in a browser its tests run in a worker, as the engine does.
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
macro_rules! tests_run_in_worker {
    () => {};
}

/// `async_test! { async fn name() { … } }`: a test that awaits.
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
macro_rules! async_test {
    ($($(#[$meta:meta])* async fn $name:ident() $body:block)+) => {
        $($(#[$meta])* #[wasm_bindgen_test::wasm_bindgen_test] async fn $name() $body)+
    };
}

/// `async_test! { async fn name() { … } }`: a test that awaits.
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
macro_rules! async_test {
    ($($(#[$meta:meta])* async fn $name:ident() $body:block)+) => {
        $($(#[$meta])* #[test] fn $name() { pollster::block_on(async $body) })+
    };
}
