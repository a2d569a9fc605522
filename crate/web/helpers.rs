//! Threads in a browser: workers that share this module's memory. JavaScript starts them, because
//! only a page may in every browser.

use js_sys::{Function, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::js;
use super::js_types::StartHelpers;
use crate::cpu;
use crate::error::{Code, Result, fail};

/// Decoding waits for memory, which a few cores keep busy; each further one costs a stack and a
/// worker.
const MOST_BY_DEFAULT: usize = 16;
/// As many as a page may ask for.
const MOST: usize = 64;

/// Makes this worker a thread of the engine whose module and memory it was started with: it never
/// returns. Call it once, after `initSync`; `ready` is called as soon as the engine can count on
/// it.
#[wasm_bindgen]
pub fn help(ready: &Function) {
    // Whoever hears of it has nothing to answer, and this thread goes on whatever it does.
    cpu::help(|| drop(ready.call0(&JsValue::UNDEFINED)))
}

/// Has helpers started for `threads` threads, 0 for as many as the machine has.
pub async fn start(threads: usize, start: Option<&StartHelpers>) -> Result<()> {
    if threads > MOST {
        fail!(Code::BadOption, "{threads} threads were asked for; a page may have {MOST}");
    }
    let wanted = wanted(threads);
    let Some(start) = start.filter(|_| wanted > 1) else { return Ok(()) };
    let start: &Function = start.unchecked_ref();
    let started = match start.call3(
        &JsValue::UNDEFINED,
        &(wanted - 1).into(),
        &wasm_bindgen::module(),
        &wasm_bindgen::memory(),
    ) {
        Ok(promise) => JsFuture::from(Promise::resolve(&promise)).await,
        Err(thrown) => Err(thrown),
    };
    match started {
        // Nobody asked for a number: those that did start will do.
        Err(why) if threads > 0 => {
            fail!(
                Code::OutOfMemory,
                "{threads} threads could not be started ({})",
                js::message_of(&why);
                "ask for fewer"
            )
        }
        _ => Ok(()),
    }
}

/// What `threads` means here.
pub fn wanted(threads: usize) -> usize {
    if threads > 0 { threads } else { cores().clamp(1, MOST_BY_DEFAULT) }
}

/// What the browser says of the machine.
fn cores() -> usize {
    js::get(&js::get(&js_sys::global(), "navigator"), "hardwareConcurrency")
        .as_f64()
        .map_or(1, |cores| cores as usize)
}
