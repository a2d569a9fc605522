//! The browser's storage, as the package hands it over: an object with the methods of a
//! [`ModelStorage`] (web/src/storage).

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::js;
use crate::error::{Code, Details, Error, Result};
use crate::model_cache::ModelStorage;

#[wasm_bindgen]
extern "C" {
    /// What opens a model's storage, by the model's id; nothing where nothing can be kept.
    #[wasm_bindgen(typescript_type = "OpenStorage")]
    pub type OpenStorage;

    /// An open one. Its methods return what they promise at once, or a promise of it.
    #[derive(Clone, Debug)]
    pub type JsStorage;
    /// Which storage it is: `opfs` or `indexeddb`.
    #[wasm_bindgen(method, getter)]
    pub fn kind(this: &JsStorage) -> String;
    #[wasm_bindgen(method, catch, js_name = askForRoom)]
    fn ask(this: &JsStorage, bytes: f64) -> std::result::Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn size(this: &JsStorage, file: &str) -> std::result::Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn read(
        this: &JsStorage,
        file: &str,
        at: f64,
        into: &mut [u8],
    ) -> std::result::Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch, js_name = read)]
    fn read_into(
        this: &JsStorage,
        file: &str,
        at: f64,
        into: &Uint8Array,
    ) -> std::result::Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn write(
        this: &JsStorage,
        file: &str,
        at: f64,
        bytes: &[u8],
    ) -> std::result::Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn resize(this: &JsStorage, file: &str, size: f64) -> std::result::Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn remove(this: &JsStorage, file: &str) -> std::result::Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn close(this: &JsStorage) -> std::result::Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn flush(this: &JsStorage, file: &str) -> std::result::Result<JsValue, JsValue>;
}

/// Opens the storage of a model, if the package keeps models.
///
/// # Errors
/// `in-use`, `storage-full`, `io`.
pub async fn open(open: &OpenStorage, id: &str) -> Result<Option<JsStorage>> {
    let open: &js_sys::Function = open.unchecked_ref();
    let storage = settled(open.call1(&JsValue::UNDEFINED, &id.into())).await?;
    Ok((!storage.is_undefined()).then(|| storage.unchecked_into()))
}

impl JsStorage {
    /// Lets others have it.
    pub async fn let_go(&self) -> Result<()> {
        settled(JsStorage::close(self)).await.map(drop)
    }
}

impl ModelStorage for JsStorage {
    fn name(&self) -> String {
        "the browser's storage".to_owned()
    }

    async fn ask_for_room(&self, bytes: u64) -> Result<()> {
        settled(self.ask(bytes as f64)).await.map(drop)
    }

    async fn size(&self, file: &str) -> Result<Option<u64>> {
        Ok(settled(JsStorage::size(self, file)).await?.as_f64().map(|size| size as u64))
    }

    async fn read(&self, file: &str, offset: u64, into: &mut [u8]) -> Result<()> {
        if self.kind() == "opfs" {
            // Opens the file: after that, reading waits for nothing, and our memory stays where it
            // is.
            ModelStorage::size(self, file).await?;
            return settled(JsStorage::read(self, file, offset as f64, into)).await.map(drop);
        }
        let array = Uint8Array::new_with_length(into.len() as u32);
        settled(self.read_into(file, offset as f64, &array)).await?;
        array.copy_to(into);
        Ok(())
    }

    async fn write(&self, file: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        settled(JsStorage::write(self, file, offset as f64, bytes)).await.map(drop)
    }

    async fn resize(&self, file: &str, size: u64) -> Result<()> {
        settled(JsStorage::resize(self, file, size as f64)).await.map(drop)
    }

    async fn remove(&self, file: &str) -> Result<()> {
        settled(JsStorage::remove(self, file)).await.map(drop)
    }

    async fn flush(&self, file: &str) -> Result<()> {
        settled(JsStorage::flush(self, file)).await.map(drop)
    }
}

/// The value, after it is there.
pub(super) async fn settled(result: std::result::Result<JsValue, JsValue>) -> Result<JsValue> {
    let value = result.map_err(|error| failure(&error))?;
    match value.dyn_into::<Promise>() {
        Ok(promise) => JsFuture::from(promise).await.map_err(|error| failure(&error)),
        Err(value) => Ok(value),
    }
}

/// An error of storage, with its own code if it has one that we know.
fn failure(thrown: &JsValue) -> Error {
    let code = js::get(thrown, "code").as_string();
    let known = [
        Code::StorageFull,
        Code::StorageLost,
        Code::InUse,
        Code::Truncated,
        Code::Cancelled,
        Code::OutOfMemory,
    ];
    let code = known.into_iter().find(|known| code.as_deref() == Some(known.as_str()));
    match code {
        Some(code) => {
            let missing = js::get(thrown, "missing").as_f64().map(|bytes| bytes as u64);
            Error::new(code, js::message_of(thrown)).with(Details { missing, ..Details::default() })
        }
        None => js::failure(thrown, |why| {
            Error::new(
                Code::Io,
                format!(
                    "the browser's storage failed ({why}); try again, or load without keeping the \
                        model"
                ),
            )
        }),
    }
}
