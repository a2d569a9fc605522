//! What keeps answers to forms, in a browser: another module, which is fetched when it is asked for
//! (`grammars/`). What crosses is plain: bytes, ids, and a form in JSON.

use std::rc::Rc;

use js_sys::Function;
use wasm_bindgen::prelude::*;

use super::js;
use crate::error::{Code, Error, Result, fail};
use crate::text::constraint::{Constraint, Form, Grammars, Spellings};

#[wasm_bindgen]
extern "C" {
    /// The other module.
    #[wasm_bindgen(typescript_type = "GrammarModule")]
    pub type GrammarModule;

    #[wasm_bindgen(method, catch)]
    fn check(this: &GrammarModule, form: &str) -> std::result::Result<(), JsValue>;

    #[wasm_bindgen(method, catch)]
    fn open(
        this: &GrammarModule,
        bytes: &[u8],
        lengths: &[u32],
        stop_tokens: &[u32],
        encode: &JsValue,
    ) -> std::result::Result<JsGrammars, JsValue>;

    type JsGrammars;

    #[wasm_bindgen(method, catch)]
    fn constraint(this: &JsGrammars, form: &str) -> std::result::Result<JsConstraint, JsValue>;

    #[wasm_bindgen(method)]
    fn free(this: &JsGrammars);

    type JsConstraint;

    #[wasm_bindgen(method, catch)]
    fn mask(this: &JsConstraint) -> std::result::Result<Vec<u32>, JsValue>;

    #[wasm_bindgen(method, catch, js_name = beginWith)]
    fn begin_with(this: &JsConstraint, text: &str) -> std::result::Result<(), JsValue>;

    #[wasm_bindgen(method, catch)]
    fn accept(this: &JsConstraint, token: u32) -> std::result::Result<(), JsValue>;

    #[wasm_bindgen(method, catch, js_name = takeForced)]
    fn take_forced(this: &JsConstraint, most: usize) -> std::result::Result<Vec<u32>, JsValue>;

    #[wasm_bindgen(method, js_name = isOver)]
    fn is_over(this: &JsConstraint) -> bool;

    #[wasm_bindgen(method, js_name = free)]
    fn free_constraint(this: &JsConstraint);

    /// Gives the module, once it is open.
    #[wasm_bindgen(typescript_type = "() => GrammarModule | undefined")]
    pub type OpenedGrammars;
}

/// Refuses a form that no model's answers could be held to, before there is a model.
pub fn refuse(module: Option<&GrammarModule>, form: &Form) -> Result<()> {
    opened(module)?.check(&written(form)?).map_err(|thrown| told(&thrown))
}

/// What makes constraints for a model whose tokens spell this.
pub fn open(
    opened_module: Option<&OpenedGrammars>,
    spellings: Spellings,
) -> Result<Rc<dyn Grammars>> {
    let module = opened_module.and_then(|given| {
        let given: &Function = given.unchecked_ref();
        let module = given.call0(&JsValue::UNDEFINED).ok()?;
        (!module.is_undefined()).then(|| module.unchecked_into::<GrammarModule>())
    });
    let Spellings { tokens, stop_tokens, encode } = spellings;
    let lengths: Vec<u32> = tokens.iter().map(|token| token.len() as u32).collect();
    let encode = Closure::new(move |text: String| encode.as_ref()?(&text));
    let opened = opened(module.as_ref())?
        .open(&tokens.concat(), &lengths, &stop_tokens, encode.as_ref())
        .map_err(|thrown| told(&thrown))?;
    Ok(Rc::new(PageGrammars { opened, _encode: encode }))
}

fn opened(module: Option<&GrammarModule>) -> Result<&GrammarModule> {
    match module {
        Some(module) => Ok(module),
        None => fail!(
            Code::BadOption,
            "answers are held to forms by a module of its own, which is not open: open it first"
        ),
    }
}

fn written(form: &Form) -> Result<String> {
    serde_json::to_string(form)
        .map_err(|why| Error::new(Code::Internal, format!("a form cannot be told: {why}")))
}

/// What the other module throws: an error with a code, or it has trapped.
fn told(thrown: &JsValue) -> Error {
    let code = js::get(thrown, "code").as_string();
    let code = Code::ALL.iter().copied().find(|known| code.as_deref() == Some(known.as_str()));
    match code {
        Some(code) => Error::new(code, js::message_of(thrown)),
        None => js::failure(thrown, |why| {
            let message = format!("what holds answers to forms has failed: {why}");
            Error::new(Code::Internal, message).advise("load the model again")
        }),
    }
}

struct PageGrammars {
    opened: JsGrammars,
    _encode: Closure<dyn Fn(String) -> Option<Vec<u32>>>,
}

impl Drop for PageGrammars {
    fn drop(&mut self) {
        self.opened.free();
    }
}

impl Grammars for PageGrammars {
    fn constraint(&self, form: &Form) -> Result<Box<dyn Constraint>> {
        let constraint = self.opened.constraint(&written(form)?).map_err(|thrown| told(&thrown))?;
        Ok(Box::new(PageConstraint(constraint)))
    }
}

struct PageConstraint(JsConstraint);

impl Drop for PageConstraint {
    fn drop(&mut self) {
        self.0.free_constraint();
    }
}

impl Constraint for PageConstraint {
    fn mask(&mut self) -> Result<Vec<u32>> {
        self.0.mask().map_err(|thrown| told(&thrown))
    }

    fn begin_with(&mut self, text: &str) -> Result<()> {
        self.0.begin_with(text).map_err(|thrown| told(&thrown))
    }

    fn accept(&mut self, token: u32) -> Result<()> {
        self.0.accept(token).map_err(|thrown| told(&thrown))
    }

    fn take_forced(&mut self, most: usize) -> Result<Vec<u32>> {
        self.0.take_forced(most).map_err(|thrown| told(&thrown))
    }

    fn is_over(&self) -> bool {
        self.0.is_over()
    }
}
