//! The types that JavaScript's side of a call has in TypeScript.

use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = concat!(include_str!("types.ts"), "\n", include_str!("shapes.ts"));

#[wasm_bindgen]
extern "C" {
    /// How to load, as `types.ts` has it.
    #[wasm_bindgen(typescript_type = "LoadOptions")]
    pub type JsLoadOptions;
    /// What was loaded.
    #[wasm_bindgen(typescript_type = "Description")]
    pub type JsDescription;
    /// A conversation.
    #[wasm_bindgen(typescript_type = "ChatMessage[]")]
    pub type JsMessages;
    /// A conversation to be answered, and how.
    #[wasm_bindgen(typescript_type = "ChatRequest")]
    pub type JsChatRequest;
    /// A text to be gone on with, and how.
    #[wasm_bindgen(typescript_type = "CompletionRequest")]
    pub type JsCompletionRequest;
    /// A conversation, and the answers to decide between.
    #[wasm_bindgen(typescript_type = "DecideRequest")]
    pub type JsDecideRequest;
    /// How probable each is.
    #[wasm_bindgen(typescript_type = "Decision[]")]
    pub type JsDecisions;
    /// What checking found.
    #[wasm_bindgen(typescript_type = "Checked")]
    pub type JsChecked;
    /// What was measured.
    #[wasm_bindgen(typescript_type = "BenchFigures")]
    pub type JsBenchFigures;
    /// Hears how far loading has come.
    #[wasm_bindgen(typescript_type = "(progress: Progress) => void")]
    pub type OnProgress;
    /// Sees to it that workers help this one: `help` says what they do.
    #[wasm_bindgen(typescript_type = "StartHelpers")]
    pub type StartHelpers;
    /// How to render a conversation; every field may be left out.
    #[wasm_bindgen(typescript_type = "TemplateOptions | undefined")]
    pub type JsTemplateOptions;
    /// Hears of an answer's steps, and says whether it shall go on.
    #[wasm_bindgen(typescript_type = "(event: Event) => Promise<boolean> | boolean")]
    pub type OnEvent;
}
