//! Plain data and errors on their way between Rust and JavaScript.

use std::borrow::Cow;

use js_sys::{JSON, Reflect};
use serde::Serialize;
use serde_json::Value;
use wasm_bindgen::prelude::*;

use super::refused;
use crate::error::{Code, Error};

/// Plain data crosses as JSON, which both sides read and write in one call.
pub(super) fn from_js(what: &str, value: &JsValue) -> std::result::Result<Value, JsValue> {
    let json = JSON::stringify(value)?;
    let bad = |error| to_js_error(Error::new(Code::BadOption, format!("the {what} is not plain data: {error}")));
    serde_json::from_slice(well_formed(&String::from(json)).as_bytes()).map_err(bad)
}

/// JSON in which halves of a character, which JavaScript's texts may hold and `stringify` writes as escapes, are U+FFFD.
fn well_formed(json: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(escape) = json[at..].find('\\').map(|found| at + found) {
        at = escape + 2;
        // Whole characters stand as they are; of what is escaped, only these halves begin with a D.
        if json[escape..].starts_with("\\ud") && json[escape + 3..].starts_with(|c: char| c.is_ascii_hexdigit()) {
            out.push_str(&json[copied..escape]);
            out.push(char::REPLACEMENT_CHARACTER);
            at = escape + 6;
            copied = at;
        }
    }
    if copied == 0 {
        return json.into();
    }
    out.push_str(&json[copied..]);
    out.into()
}

/// Plain data as JavaScript has it.
pub(super) fn to_js(value: &impl Serialize) -> JsValue {
    let json = serde_json::to_string(value).expect("plain data turns into JSON");
    JSON::parse(&json).expect("serde_json writes JSON")
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
