//! Pipelines in browsers: wgpu has them compiled at once there, which holds up whatever the browser
//! shows.

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::error::{Code, Error, Result};
use crate::gpu::Compiled;

#[wasm_bindgen(module = "/crate/web/pipelines.js")]
extern "C" {
    #[wasm_bindgen(js_name = compileAside)]
    fn compile_aside();
    fn compiled() -> Promise;
}

/// Has devices made from now on compile beside everything else. Gives what waits for them.
pub fn compile_beside() -> Compiled {
    compile_aside();
    || Box::pin(wait())
}

async fn wait() -> Result<()> {
    // It is never rejected.
    let failure = JsFuture::from(compiled()).await.ok().and_then(|failure| failure.as_string());
    failure.map_or(Ok(()), |failure| {
        Err(Error::new(Code::GpuFailed, format!("compiling for the GPU: refused ({failure})")))
    })
}
