//! Plain data and errors on their way between Rust and JavaScript.

use js_sys::Reflect;
use serde::Serialize;
use serde_json::Value;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::prelude::*;

use super::refused;
use crate::error::{Code, Error};

/// Plain data of JavaScript's: halves of characters become U+FFFD, and infinities null.
pub(super) fn from_js(what: &str, value: &JsValue) -> std::result::Result<Value, JsValue> {
    let bad = |error| {
        to_js_error(Error::new(Code::BadOption, format!("the {what} is not plain data: {error}")))
    };
    serde_wasm_bindgen::from_value(value.clone()).map_err(bad)
}

/// Plain data as JavaScript has it.
pub(super) fn to_js(value: &impl Serialize) -> JsValue {
    value.serialize(&Serializer::json_compatible()).expect("plain data is plain in JavaScript, too")
}

/// An `Error` as JavaScript throws them.
pub(super) fn to_js_error(error: Error) -> JsValue {
    refused::forget();
    let object = js_sys::Error::new(&error.sentence());
    object.set_name("PhiError");
    let set = |name: &str, value: JsValue| {
        // Setting a property of a fresh object cannot fail.
        let _ = Reflect::set(&object, &name.into(), &value);
    };
    set("code", error.code.as_str().into());
    if let Some(ctx_len) = error.details().ctx_len {
        set("contextLength", ctx_len.into());
    }
    if let Some(missing) = error.details().missing {
        set("missing", (missing as f64).into());
    }
    object.into()
}
