//! What keeps answers to forms, as a browser's module of its own: the engine's have no room for it,
//! and most pages never ask for one. The engine calls it for each token (`crate/web/grammars.rs`).
#![cfg(all(target_family = "wasm", target_os = "unknown"))]

// Named so that its clock is the browser's.
use instant as _;
use js_sys::{Error as JsError, Function, Reflect, Uint32Array};
use llguidance as _;
use phi_wasm::text::constraint::{self, Constraint, Encode, Form, Grammars, Spellings};
use phi_wasm::{Code, Error};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;

type Result<T> = std::result::Result<T, JsValue>;

/// Called once by the generated bindings.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
}

/// Throws where no model's answers could be held to a form, which is in JSON.
#[wasm_bindgen]
pub fn check(form: &str) -> Result<()> {
    constraint::check(&read(form)?).map_err(to_js_error)
}

/// Makes constraints for one model's tokens.
#[wasm_bindgen(js_name = Grammars)]
pub struct JsGrammars(Box<dyn Grammars>);

#[wasm_bindgen(js_class = Grammars)]
impl JsGrammars {
    /// `bytes` has what all tokens spell, one after the other, each as long as `lengths` says;
    /// `encode` gives a text's tokens, or nothing.
    #[wasm_bindgen(constructor)]
    pub fn new(
        bytes: &[u8],
        lengths: &[u32],
        stop_tokens: Vec<u32>,
        encode: Function,
    ) -> Result<JsGrammars> {
        let mut rest = bytes;
        let tokens = lengths.iter().map(|&length| rest.split_off(..length as usize));
        let tokens: Option<Vec<_>> = tokens.map(|token| Some(token?.to_vec())).collect();
        let Some(tokens) = tokens.filter(|_| rest.is_empty()) else {
            let message = "the tokens' lengths are not those of their bytes";
            return Err(to_js_error(Error::new(Code::Internal, message)));
        };
        let encode = Some(encoder(encode));
        constraint::grammars(Spellings { tokens, stop_tokens, encode })
            .map(|made| JsGrammars(made))
            .map_err(to_js_error)
    }

    /// The constraint that keeps an answer to a form, which is in JSON.
    pub fn constraint(&self, form: &str) -> Result<JsConstraint> {
        self.0.constraint(&read(form)?).map(JsConstraint).map_err(to_js_error)
    }
}

/// Keeps one answer to its form.
#[wasm_bindgen(js_name = Constraint)]
pub struct JsConstraint(Box<dyn Constraint>);

#[wasm_bindgen(js_class = Constraint)]
impl JsConstraint {
    /// Which tokens may come next, a bit each, 32 to a word.
    pub fn mask(&mut self) -> Result<Vec<u32>> {
        self.0.mask().map_err(to_js_error)
    }

    /// Takes note of a text that the answer goes on with, before all else.
    #[wasm_bindgen(js_name = beginWith)]
    pub fn begin_with(&mut self, text: &str) -> Result<()> {
        self.0.begin_with(text).map_err(to_js_error)
    }

    /// Takes note of the token that was chosen.
    pub fn accept(&mut self, token: u32) -> Result<()> {
        self.0.accept(token).map_err(to_js_error)
    }

    /// Takes the tokens that can come next without a choice, at most so many, and says which.
    #[wasm_bindgen(js_name = takeForced)]
    pub fn take_forced(&mut self, most: usize) -> Result<Vec<u32>> {
        self.0.take_forced(most).map_err(to_js_error)
    }

    /// Whether the answer is complete, and nothing may follow.
    #[wasm_bindgen(js_name = isOver)]
    pub fn is_over(&self) -> bool {
        self.0.is_over()
    }
}

/// How the engine spells texts. This module has one thread.
fn encoder(encode: Function) -> Encode {
    let encode = SendWrapper::new(encode);
    Box::new(move |text| {
        let tokens = encode.call1(&JsValue::UNDEFINED, &text.into()).ok()?;
        tokens.dyn_into::<Uint32Array>().ok().map(|tokens| tokens.to_vec())
    })
}

fn read(form: &str) -> Result<Form> {
    serde_json::from_str(form).map_err(|why| {
        to_js_error(Error::new(Code::Internal, format!("the form cannot be read: {why}")))
    })
}

/// An `Error` with its code, for the engine to read.
fn to_js_error(error: Error) -> JsValue {
    let object = JsError::new(&error.sentence());
    // Setting a property of a fresh object cannot fail.
    let _ = Reflect::set(&object, &"code".into(), &error.code.as_str().into());
    object.into()
}
