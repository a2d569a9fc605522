//! Where pages of the cache outlive the page, as the package hands it over: an object with the
//! methods of a [`PageStorage`] (web/src/storage/prefixes.ts).

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;

use super::storage::settled;
use crate::error::Result;
use crate::prefix_cache::PageStorage;

#[wasm_bindgen]
extern "C" {
    /// What opens a model's pages, by the model's id.
    #[wasm_bindgen(typescript_type = "OpenPages")]
    pub type OpenPages;

    /// Open ones. Its methods return promises.
    pub type JsPages;
    #[wasm_bindgen(method, catch)]
    fn list(this: &JsPages) -> std::result::Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn read(this: &JsPages, name: &str) -> std::result::Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn write(this: &JsPages, name: &str, bytes: &[u8]) -> std::result::Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn remove(this: &JsPages, name: &str) -> std::result::Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn touch(this: &JsPages, names: Vec<String>) -> std::result::Result<JsValue, JsValue>;
}

/// Opens a model's pages.
///
/// # Errors
/// `io`.
pub async fn open(open: &OpenPages, id: &str) -> Result<JsPages> {
    let open: &js_sys::Function = open.unchecked_ref();
    settled(open.call1(&JsValue::UNDEFINED, &id.into())).await.map(JsCast::unchecked_into)
}

impl PageStorage for JsPages {
    async fn list(&self) -> Result<Option<Vec<String>>> {
        let names = settled(JsPages::list(self)).await?;
        let texts = |names: Array| names.iter().filter_map(|name| name.as_string()).collect();
        Ok(names.dyn_into().ok().map(texts))
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let bytes = settled(JsPages::read(self, name)).await?;
        Ok(bytes.dyn_into().ok().map(|bytes: Uint8Array| bytes.to_vec()))
    }

    async fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        settled(JsPages::write(self, name, bytes)).await.map(drop)
    }

    async fn remove(&self, name: &str) -> Result<()> {
        settled(JsPages::remove(self, name)).await.map(drop)
    }

    async fn touch(&self, names: &[String]) -> Result<()> {
        settled(JsPages::touch(self, names.to_vec())).await.map(drop)
    }
}
