//! A model in files that the user picked.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, File};

use super::js;
use crate::error::{Code, Error, Result, fail};
use crate::weights::source::{self, Source};

/// Files by name; a single one stands for the model.
#[derive(Debug)]
pub struct FileSource {
    files: Vec<(String, Blob)>,
}

impl FileSource {
    /// From a `Blob`, a `File` or an array of `File`s; `None` for anything else.
    pub fn of(value: &JsValue) -> Option<FileSource> {
        let blobs = match value.dyn_ref::<Array>() {
            Some(array) => {
                array.iter().map(|item| item.dyn_into::<Blob>().ok()).collect::<Option<Vec<_>>>()?
            }
            None => vec![value.dyn_ref::<Blob>()?.clone()],
        };
        let files = blobs
            .into_iter()
            .map(|blob| (blob.dyn_ref::<File>().map_or("model".to_owned(), File::name), blob));
        Some(FileSource { files: files.collect() })
    }

    /// What tells these files from others: names, sizes and times of change.
    pub fn identity(&self) -> String {
        let each = self
            .files
            .iter()
            .map(|(name, blob)| format!("{name} {} {};", blob.size(), changed(blob)));
        each.collect()
    }

    fn find(&self, name: &str) -> Option<&Blob> {
        self.files.iter().find(|(file, _)| file == name).map(|(_, blob)| blob)
    }
}

/// When a file was changed last; 0 for bytes that are no file.
fn changed(blob: &Blob) -> f64 {
    blob.dyn_ref::<File>().map_or(0.0, File::last_modified)
}

impl Source for FileSource {
    fn name(&self) -> String {
        self.entry().unwrap_or("the chosen files").to_owned()
    }

    fn entry(&self) -> Option<&str> {
        if let [(name, _)] = &self.files[..] { Some(name) } else { None }
    }

    async fn list(&self) -> Result<Option<Vec<String>>> {
        Ok(Some(self.files.iter().map(|(name, _)| name.clone()).collect()))
    }

    async fn version(&self, file: &str) -> Result<String> {
        Ok(self
            .find(file)
            .map_or_else(String::new, |blob| format!("{} {}", blob.size(), changed(blob))))
    }

    async fn size(&self, file: &str) -> Result<Option<u64>> {
        Ok(self.find(file).map(|blob| blob.size() as u64))
    }

    async fn read(&self, file: &str, offset: u64, into: &mut [u8]) -> Result<()> {
        let Some(blob) = self.find(file) else {
            fail!(Code::NotFound, "{file} is not among the chosen files; choose it too")
        };
        let (size, end) = (blob.size() as u64, offset.saturating_add(into.len() as u64));
        if end > size {
            return Err(source::truncated(file, &self.name(), size, end));
        }
        let unreadable = |error: JsValue| {
            js::failure(&error, |why| {
                Error::new(
                    Code::Io,
                    format!(
                        "{file} cannot be read ({why}); it may have moved or changed, choose it \
                            again"
                    ),
                )
            })
        };
        let part = blob.slice_with_f64_and_f64(offset as f64, end as f64).map_err(unreadable)?;
        let bytes = JsFuture::from(part.array_buffer()).await.map_err(unreadable)?;
        Uint8Array::new(&bytes).copy_to(into);
        Ok(())
    }
}
