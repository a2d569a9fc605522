//! Subgroups in browsers: wgpu does not know the feature there, and a device has only what was
//! asked for when it was made.

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::gpu::Switch;

#[wasm_bindgen(module = "/crate/web/subgroups.js")]
extern "C" {
    #[wasm_bindgen(js_name = requestSubgroups)]
    fn request_subgroups() -> Promise;
    #[wasm_bindgen(js_name = adapterName)]
    fn adapter_name() -> Promise;
}

/// Has devices made from now on ask for subgroups; `Off` where the adapter has none, so that nobody
/// tries.
pub async fn request() -> Switch {
    match JsFuture::from(request_subgroups()).await {
        Ok(offered) if offered.is_truthy() => Switch::Auto,
        _ => Switch::Off,
    }
}

/// Which adapter this browser hands out, as far as it says.
pub async fn adapter() -> String {
    JsFuture::from(adapter_name()).await.ok().and_then(|name| name.as_string()).unwrap_or_default()
}
