//! The cache of models as a page has it: in the storage that the page opens.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use js_sys::Function;
use wasm_bindgen::prelude::*;

use super::progress::report;
use super::source::PageSource;
use super::storage::{self, JsStorage, OpenStorage};
use crate::engine::Key;
use crate::error::{Code, Result, fail};
use crate::model_cache::{self, CachedModel, Checked, Published, Stored};
use crate::weights::format::{Bits, WeightFormat};
use crate::weights::source::Source;
use crate::weights::store::chunk_hash;
use crate::wire::{LoadProgress, Phase};

/// The cache as one page's model has it.
pub struct ModelCache {
    open: OpenStorage,
    /// The storage's.
    pub id: String,
    format: WeightFormat,
    /// What its files' publisher says of them, by name.
    sha256: BTreeMap<String, String>,
    /// While it is loaded.
    pub opened: RefCell<Option<(CachedModel<PageSource, JsStorage>, JsStorage)>>,
    /// Which storage it was, and what it had to say.
    pub kind: RefCell<Option<String>>,
    pub notice: RefCell<Option<String>>,
    /// The hash of its manifest, once it is complete.
    pub weights: Cell<Option<Key>>,
}

impl ModelCache {
    /// Of a model that is held in some way.
    pub fn of(
        model: &JsValue,
        format: WeightFormat,
        sha256: BTreeMap<String, String>,
        open: OpenStorage,
    ) -> Result<ModelCache> {
        let id = id_of(&PageSource::named(model)?, format);
        Ok(ModelCache {
            open,
            id,
            format,
            sha256,
            opened: RefCell::default(),
            kind: RefCell::default(),
            notice: RefCell::default(),
            weights: Cell::default(),
        })
    }

    /// What the storage has of the model, which gets what is missing from `origin`; that itself
    /// where nothing can be stored.
    pub async fn source(&self, origin: PageSource, on_progress: &Function) -> Result<PageSource> {
        let phase =
            if matches!(origin, PageSource::Http(_)) { Phase::Downloading } else { Phase::Loading };
        let known = self.opened.borrow().as_ref().map(|(cached, _)| cached.clone());
        if let Some(cached) = known {
            return Ok(PageSource::Cached(cached));
        }
        let Some(storage) = storage::open(&self.open, &self.id).await? else { return Ok(origin) };
        self.kind.replace(Some(storage.kind()));
        let origin = if self.sha256.is_empty() {
            origin
        } else {
            PageSource::Published(Box::new(Published::new(origin, self.sha256.clone())))
        };
        match CachedModel::open(origin, storage.clone(), self.format).await {
            Ok(cached) => {
                self.notice.replace(cached.notice().map(str::to_owned));
                let on_progress = on_progress.clone();
                cached.listen(move |Stored { bytes, total, .. }| {
                    report(
                        &on_progress,
                        &LoadProgress { phase, done: bytes, total, stored: Some(bytes) },
                    );
                });
                self.opened.replace(Some((cached.clone(), storage)));
                Ok(PageSource::Cached(cached))
            }
            Err(error) => {
                // The error is what matters.
                drop(storage.let_go().await);
                Err(error)
            }
        }
    }
}

/// What a model that is held in some way is stored under.
fn id_of(origin: &PageSource, format: WeightFormat) -> String {
    let which = match origin {
        PageSource::Stored(stored) => return stored.id.clone(),
        PageSource::Files(files) => files.identity(),
        other => other.name(),
    };
    let mut id = chunk_hash(format!("{which} {}", format.stored_name()).as_bytes());
    id.truncate(32);
    id
}

/// Hashes the model with this id again, and gets what is bad once more from `source`.
pub async fn check(
    id: &str,
    source: &JsValue,
    on_progress: &Function,
    open_storage: &OpenStorage,
) -> Result<Checked> {
    let origin = PageSource::named(source)?;
    // Nothing but the id tells how the weights are held.
    let Some(format) =
        Bits::all().map(WeightFormat::from).find(|&format| id_of(&origin, format) == id)
    else {
        fail!(
            Code::NotFound,
            "{} does not make the model {id}; load it again instead",
            origin.name()
        );
    };
    let Some(storage) = storage::open(open_storage, id).await? else {
        fail!(Code::NotFound, "nothing is kept here, so there is nothing to check");
    };
    let mut hashed = |done, total| {
        report(on_progress, &LoadProgress { phase: Phase::Checking, done, total, stored: None })
    };
    let checked = model_cache::check(origin, storage.clone(), format, &mut hashed).await;
    storage.let_go().await?;
    checked
}
