//! The few things that every JavaScript host has and no library hands over as one.

use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Request};

use crate::error::{Code, Error};

#[wasm_bindgen]
extern "C" {
    /// The same function on a page and in a worker.
    pub(super) fn fetch(request: &Request) -> Promise;

    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, milliseconds: i32) -> JsValue;

    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
}

/// A property, `undefined` where there is none.
pub(super) fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED)
}

/// What relative addresses count from.
pub(super) fn script_address() -> String {
    get(&get(&js_sys::global(), "location"), "href").as_string().unwrap_or_default()
}

/// The browser's name and version, as it gives them.
pub(super) fn browser() -> String {
    get(&get(&js_sys::global(), "navigator"), "userAgent").as_string().unwrap_or_default()
}

/// What a thrown value says.
pub(super) fn message_of(thrown: &JsValue) -> String {
    get(thrown, "message").as_string().unwrap_or_else(|| format!("{thrown:?}"))
}

/// What browsers say in place of memory; the page's `memory.ts` has the same.
const REFUSALS: [&str; 5] = [
    "out of memory",
    "allocation failed",
    "allocation size overflow",
    "could not allocate",
    "invalid array length",
];

/// What a thrown value stands for: want of memory, whoever met it, or else this, of its words.
pub(super) fn failure(thrown: &JsValue, otherwise: impl FnOnce(String) -> Error) -> Error {
    let why = message_of(thrown);
    let said = why.to_lowercase();
    if !REFUSALS.iter().any(|refusal| said.contains(refusal)) {
        return otherwise(why);
    }
    Error::new(Code::OutOfMemory, format!("the browser has no memory left ({why})"))
        .advise("load with a shorter context or a smaller model, or close other tabs")
}

pub(super) async fn sleep(milliseconds: i32) {
    let elapsed = Promise::new(&mut |resolve, _| {
        set_timeout(&resolve, milliseconds);
    });
    // A timer's promise is never rejected.
    let _ = JsFuture::from(elapsed).await;
}

/// Aborts something unless dropped in time.
pub(super) struct Timer(JsValue);

impl Timer {
    pub(super) fn start(what: &AbortController, milliseconds: i32) -> Timer {
        let abort = get(what, "abort").unchecked_into::<Function>().bind0(what);
        Timer(set_timeout(&abort, milliseconds))
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        clear_timeout(&self.0);
    }
}
