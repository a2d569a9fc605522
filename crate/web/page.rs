//! What a session asks of a page's worker: devices, the model's bytes, and who hears of progress.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::Function;
use sha2::{Digest, Sha256};
use wasm_bindgen::prelude::*;

use super::grammars::{self, OpenedGrammars};
use super::js_types::StartHelpers;
use super::model_cache::ModelCache;
use super::pages::{self, OpenPages};
use super::progress::report;
use super::source::PageSource;
use super::{helpers, js, pipelines, rivals, subgroups};
use crate::cpu::{Cpu, CpuOptions};
use crate::engine::{Engine, Key, PrefixStore};
use crate::error::Result;
use crate::gpu::{Gpu, GpuOptions, Tune};
use crate::prefix_cache::PrefixCache;
use crate::session::{Host, Progress, Rivals, Verdict};
use crate::text::constraint::{Grammars, Spellings};
use crate::wire::{LoadProgress, Phase};

/// The page's worker, and what the page gave it.
pub struct Page {
    pub model: JsValue,
    pub cache: Option<ModelCache>,
    pub threads: usize,
    /// Whether a GPU that is a program on the CPU will not do.
    pub hardware_only: bool,
    pub tune: RefCell<Tune>,
    pub known: rivals::Known,
    pub start_helpers: Option<StartHelpers>,
    pub grammars: Option<OpenedGrammars>,
    /// Where pages of the cache outlive the page, and bytes that they may take.
    pub prefixes: Option<(OpenPages, u64)>,
    pub on_progress: Function,
}

impl Page {
    /// Where its GPU is.
    async fn place(&self) -> String {
        format!("{}; {}", js::browser(), subgroups::adapter().await)
    }
}

impl Host for Page {
    type Gpu = Gpu;
    type Cpu = Cpu;
    type Source = PageSource;

    async fn gpu(&self) -> Result<Gpu> {
        let place = self.place().await;
        self.tune.borrow_mut().host = place;
        let (subgroups, tune) = (subgroups::request().await, Some(self.tune.borrow().clone()));
        let compiled = Some(pipelines::compile_beside());
        Gpu::new(GpuOptions {
            subgroups,
            tune,
            compiled,
            hardware_only: self.hardware_only,
            ..GpuOptions::default()
        })
        .await
    }

    async fn rivals(&self) -> Option<Rivals> {
        self.known.of(self.hardware_only, &self.place().await, self.threads).await
    }

    fn judged(&self, _verdict: Verdict, known: String) {
        self.known.learn(known);
    }

    /// What is neither in storage nor on this device comes over the network.
    fn is_at_hand(&self) -> bool {
        !self.model.is_string()
            || self.cache.as_ref().is_some_and(|cache| cache.opened.borrow().is_some())
    }

    fn loaded(&self, engine: &Engine<Gpu>) {
        if let Some(tuned) = engine.tuned() {
            // Another GPU after this one is the same.
            self.tune.replace_with(|tune| Tune {
                known: tuned.to_owned(),
                host: tune.host.clone(),
                anew: false,
            });
        }
    }

    async fn cpu(&self) -> Result<Cpu> {
        helpers::start(self.threads, self.start_helpers.as_ref()).await?;
        Cpu::new(CpuOptions { threads: self.threads, ..CpuOptions::default() })
    }

    async fn source(&self) -> Result<PageSource> {
        let origin = PageSource::named(&self.model)?;
        match &self.cache {
            Some(cache) => cache.source(origin, &self.on_progress).await,
            None => Ok(origin),
        }
    }

    async fn grammars(
        &self,
        spellings: &dyn Fn() -> Result<Spellings>,
    ) -> Result<Rc<dyn Grammars>> {
        grammars::open(self.grammars.as_ref(), spellings()?)
    }

    fn weights(&self) -> Option<Key> {
        self.cache.as_ref()?.weights.get()
    }

    async fn prefixes(&self, weights: Key, page_bytes: u64) -> Result<Option<Rc<dyn PrefixStore>>> {
        let (Some((open, max_bytes)), Some(cache)) = (&self.prefixes, &self.cache) else {
            return Ok(None);
        };
        let pages = pages::open(open, &cache.id).await?;
        Ok(Some(Rc::new(PrefixCache::new(pages, weights, page_bytes, *max_bytes)?)))
    }

    async fn settle(&self, loaded: bool) -> Result<()> {
        let Some(cache) = &self.cache else { return Ok(()) };
        let Some((cached, storage)) = cache.opened.take() else { return Ok(()) };
        let stored = cached.stored();
        let finished = if loaded && !stored.complete {
            report(
                &self.on_progress,
                &LoadProgress {
                    phase: Phase::Preparing,
                    done: stored.bytes,
                    total: stored.total,
                    stored: Some(stored.bytes),
                },
            );
            cached.finish().await
        } else {
            Ok(())
        };
        if let (true, Ok(manifest)) = (loaded, cached.manifest().await) {
            cache.weights.set(Some(Sha256::digest(manifest).into()));
        }
        finished.and(storage.let_go().await)
    }

    fn progress(&self, progress: Progress) {
        let stored = self
            .cache
            .as_ref()
            .and_then(|cache| cache.opened.borrow().as_ref().map(|(cached, _)| cached.stored()));
        match stored {
            // What comes has been told of already.
            Some(stored) if !stored.complete => {}
            _ => {
                let phase = if stored.is_some() || !self.model.is_string() {
                    Phase::Loading
                } else {
                    Phase::Downloading
                };
                report(
                    &self.on_progress,
                    &LoadProgress {
                        phase,
                        done: progress.done,
                        total: progress.total,
                        stored: stored.map(|stored| stored.bytes),
                    },
                );
            }
        }
    }
}
