//! What JavaScript calls, in a worker: computing holds its thread until a step is done.

use std::cell::RefCell;
use std::collections::BTreeMap;

use js_sys::{Function, Promise};
use serde_json::Value;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::files::FileSource;
use super::http::HttpSource;
use super::json::{from_js, to_js, to_js_error};
use super::source::{self, PageSource};
use super::storage::{self, JsStorage, OpenStorage};
use super::{helpers, js, pipelines, rivals, subgroups};
use crate::bench::{self, Plan};
use crate::cpu::{Cpu, CpuOptions};
use crate::engine::Engine;
use crate::error::{Code, Result, fail};
use crate::gpu::{Gpu, GpuOptions, Tune};
use crate::model_cache::{self, CachedModel, Checked, Published, Stored};
use crate::openai;
use crate::session::{
    Device, Event, Host, Progress, ResilientAnswer, ResilientSession, Rivals, Verdict, Wanted,
};
use crate::text::Prompt;
use crate::text_assets::TextAssets;
use crate::weights::format::{Bits, WeightFormat};
use crate::weights::source::Source;
use crate::weights::store::chunk_hash;
use crate::wire::{LoadProgress, LoadSettings, LoadedModel, Phase, TemplateOptions};

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

/// Called once by the generated bindings.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
}

/// A loaded model. One call at a time: wait for a promise before the next.
#[wasm_bindgen]
pub struct PhiEngine(ResilientSession<Page>);

impl PhiEngine {
    async fn text_assets(&mut self) -> std::result::Result<&TextAssets, JsValue> {
        Ok(match self.0.device().await.map_err(to_js_error)? {
            Device::Gpu(session) => session.text_assets(),
            Device::Cpu(session) => session.text_assets(),
        })
    }
}

#[wasm_bindgen]
impl PhiEngine {
    /// Loads a model. Rejects with a `PhiError`: `name`, `code` and `message`. Modules with threads
    /// call `start_helpers` when the CPU is to compute; without it they have one thread. A model
    /// that is loaded again, because its device was lost, calls both again. With `open_storage` the
    /// model is kept in what that opens, and comes from there the next time.
    pub async fn load(
        options: JsLoadOptions,
        on_progress: OnProgress,
        start_helpers: Option<StartHelpers>,
        open_storage: Option<OpenStorage>,
    ) -> std::result::Result<PhiEngine, JsValue> {
        let model = js::get(&options, "model");
        let options =
            LoadSettings::from_json(&from_js("load options", &options)?).map_err(to_js_error)?;
        let load = options.for_session();
        let cache = open_storage
            .map(|open| ModelCache::of(&model, load.format, options.sha256.clone(), open))
            .transpose()
            .map_err(to_js_error)?;
        let tune = RefCell::new(Tune {
            known: options.known_gpus.clone(),
            host: String::new(),
            anew: options.retune,
        });
        let known = rivals::Known::new(options.known_backends.clone(), options.retune);
        let on_progress = on_progress.unchecked_into();
        let hardware_only = options.backend == Wanted::Auto && !options.software_gpu;
        let page = Page {
            model,
            cache,
            threads: options.threads,
            hardware_only,
            tune,
            known,
            start_helpers,
            on_progress,
        };
        ResilientSession::open(page, options.backend, load)
            .await
            .map(PhiEngine)
            .map_err(to_js_error)
    }

    /// Hashes the model with this id, which is kept, again, and gets what is bad once more from
    /// `source`, the address that it came from.
    pub async fn check(
        id: &str,
        source: JsValue,
        on_progress: OnProgress,
        open_storage: OpenStorage,
    ) -> std::result::Result<JsChecked, JsValue> {
        check_cached(id, &source, on_progress.unchecked_ref(), &open_storage)
            .await
            .map(|checked| to_js(&checked).unchecked_into())
            .map_err(to_js_error)
    }

    /// The tokens of a text, without special ones.
    pub async fn tokenize(&mut self, text: &str) -> std::result::Result<Vec<u32>, JsValue> {
        self.text_assets().await?.tokenizer.encode(text, false).map_err(to_js_error)
    }

    /// The text of tokens, control tokens as they are written.
    pub async fn detokenize(&mut self, ids: Vec<u32>) -> std::result::Result<String, JsValue> {
        self.text_assets().await?.tokenizer.decode(&ids, false).map_err(to_js_error)
    }

    /// A conversation as the model is to read it.
    #[wasm_bindgen(js_name = applyChatTemplate)]
    pub async fn apply_chat_template(
        &mut self,
        messages: JsMessages,
        options: JsTemplateOptions,
    ) -> std::result::Result<String, JsValue> {
        let prompt = prompt(self.text_assets().await?, &messages, &options)?;
        Ok(prompt.text().into_owned())
    }

    /// How many tokens a conversation is, with the beginning of the model's answer unless said
    /// otherwise.
    #[wasm_bindgen(js_name = countTokens)]
    pub async fn count_tokens(
        &mut self,
        messages: JsMessages,
        options: JsTemplateOptions,
    ) -> std::result::Result<usize, JsValue> {
        let assets = self.text_assets().await?;
        let prompt = prompt(assets, &messages, &options)?;
        Ok(assets.tokenizer.encode_prompt(&prompt).map_err(to_js_error)?.len())
    }

    /// What was loaded, and what computes it.
    pub async fn describe(&mut self) -> std::result::Result<JsDescription, JsValue> {
        let device = match self.0.device().await.map_err(to_js_error)? {
            Device::Gpu(_) => "gpu",
            Device::Cpu(_) => "cpu",
        };
        let description = self.0.describe().expect("it is loaded while there is a device");
        let cache = self.0.host().cache.as_ref();
        let storage = cache
            .and_then(|cache| cache.kind.borrow().clone())
            .unwrap_or_else(|| "none".to_owned());
        let stored_id = cache.filter(|_| storage != "none").map(|cache| cache.id.clone());
        let notices = [
            self.0.notice().map(str::to_owned),
            cache.and_then(|cache| cache.notice.borrow().clone()),
        ];
        let notice = notices.into_iter().flatten().reduce(|all, next| format!("{all} {next}"));
        Ok(to_js(&LoadedModel { description, device, storage, stored_id, notice }).unchecked_into())
    }

    /// What loading found out about the GPU, to be kept and given as `knownGpus` the next time;
    /// nothing where it found out nothing.
    #[wasm_bindgen(js_name = tunedGpus)]
    pub async fn tuned_gpus(&mut self) -> std::result::Result<Option<String>, JsValue> {
        Ok(match self.0.device().await.map_err(to_js_error)? {
            Device::Gpu(session) => session.engine().tuned().map(str::to_owned),
            Device::Cpu(_) => None,
        })
    }

    /// What loading found out about GPU and CPU, to be kept and given as `knownBackends` the next
    /// time; nothing where it found out nothing.
    #[wasm_bindgen(js_name = measuredBackends)]
    pub fn measured_backends(&self) -> Option<String> {
        self.0.host().known.news()
    }

    /// Answers a conversation, asked for in OpenAI's shape. `on_event` hears of every step and is
    /// waited for; when it gives `false`, the answer ends there.
    pub async fn chat(
        &mut self,
        request: JsChatRequest,
        on_event: OnEvent,
    ) -> std::result::Result<(), JsValue> {
        let (messages, options) =
            openai::chat(from_js("request", &request)?).map_err(to_js_error)?;
        emit(self.0.chat(&messages, &options).await.map_err(to_js_error)?, &on_event).await
    }

    /// Throws what `chat` would reject with for what the request says. It needs no model, and waits
    /// for none.
    #[wasm_bindgen(js_name = checkChat)]
    pub fn check_chat(request: &JsChatRequest) -> std::result::Result<(), JsValue> {
        openai::chat(from_js("request", request)?).map(drop).map_err(to_js_error)
    }

    /// Times the prefill of a prompt of `prompt_tokens` and the decoding of `generate_tokens` after
    /// it. The conversation so far is forgotten.
    pub async fn bench(
        &mut self,
        prompt_tokens: usize,
        generate_tokens: usize,
    ) -> std::result::Result<JsBenchFigures, JsValue> {
        let plan = Plan { prompt: prompt_tokens, generate: generate_tokens };
        let figures = match self.0.device().await.map_err(to_js_error)? {
            Device::Gpu(session) => {
                let (engine, sequence) = session.engine_and_sequence();
                bench::measure(engine, sequence, plan).await
            }
            Device::Cpu(session) => {
                let (engine, sequence) = session.engine_and_sequence();
                bench::measure(engine, sequence, plan).await
            }
        };
        Ok(to_js(&figures.map_err(to_js_error)?).unchecked_into())
    }

    /// Continues a text as it stands, without the chat template. `on_event` as for `chat`.
    pub async fn complete(
        &mut self,
        request: JsCompletionRequest,
        on_event: OnEvent,
    ) -> std::result::Result<(), JsValue> {
        let (prompt, options) =
            openai::completion(&from_js("request", &request)?).map_err(to_js_error)?;
        emit(self.0.complete(&prompt, &options).await.map_err(to_js_error)?, &on_event).await
    }

    /// Throws what `complete` would reject with for what the request says.
    #[wasm_bindgen(js_name = checkCompletion)]
    pub fn check_completion(request: &JsCompletionRequest) -> std::result::Result<(), JsValue> {
        openai::completion(&from_js("request", request)?).map(drop).map_err(to_js_error)
    }
}

/// The page's worker, and what the page gave it.
struct Page {
    model: JsValue,
    cache: Option<ModelCache>,
    threads: usize,
    /// Whether a GPU that is a program on the CPU will not do.
    hardware_only: bool,
    tune: RefCell<Tune>,
    known: rivals::Known,
    start_helpers: Option<StartHelpers>,
    on_progress: Function,
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
        let origin = origin(&self.model)?;
        match &self.cache {
            Some(cache) => cache.source(origin, &self.on_progress).await,
            None => Ok(origin),
        }
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

/// A listener that throws must not end the download.
fn report(on_progress: &Function, told: &LoadProgress) {
    drop(on_progress.call1(&JsValue::UNDEFINED, &to_js(told)));
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

async fn check_cached(
    id: &str,
    source: &JsValue,
    on_progress: &Function,
    open_storage: &OpenStorage,
) -> Result<Checked> {
    let origin = origin(source)?;
    // Nothing but the id tells how the weights are held.
    let Some(format) =
        Bits::ALL.into_iter().map(WeightFormat::from).find(|&format| id_of(&origin, format) == id)
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

/// The cache as one page's model has it.
struct ModelCache {
    open: OpenStorage,
    /// The storage's.
    id: String,
    format: WeightFormat,
    /// What its files' publisher says of them, by name.
    sha256: BTreeMap<String, String>,
    /// While it is loaded.
    opened: RefCell<Option<(CachedModel<PageSource, JsStorage>, JsStorage)>>,
    /// Which storage it was, and what it had to say.
    kind: RefCell<Option<String>>,
    notice: RefCell<Option<String>>,
}

impl ModelCache {
    /// Of a model that is held in some way.
    fn of(
        model: &JsValue,
        format: WeightFormat,
        sha256: BTreeMap<String, String>,
        open: OpenStorage,
    ) -> Result<ModelCache> {
        let id = id_of(&origin(model)?, format);
        Ok(ModelCache {
            open,
            id,
            format,
            sha256,
            opened: RefCell::default(),
            kind: RefCell::default(),
            notice: RefCell::default(),
        })
    }

    async fn source(&self, origin: PageSource, on_progress: &Function) -> Result<PageSource> {
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

/// What the page named: an address, files, or what is stored.
fn origin(model: &JsValue) -> Result<PageSource> {
    if let Some(address) = model.as_string() {
        return Ok(PageSource::Http(HttpSource::new(&address)?));
    }
    if let Some(files) = FileSource::of(model) {
        return Ok(PageSource::Files(files));
    }
    let [id, name] = ["stored", "name"].map(|name| js::get(model, name).as_string());
    match id.zip(name) {
        Some((id, name)) => Ok(PageSource::Stored(source::Stored { id, name })),
        None => fail!(Code::BadOption, "model is neither an address nor files; give one of them"),
    }
}

/// Drives an answer to its end, or until the listener has heard enough.
async fn emit(
    mut answer: ResilientAnswer<'_, Page>,
    on_event: &OnEvent,
) -> std::result::Result<(), JsValue> {
    let on_event: &Function = on_event.unchecked_ref();
    while let Some(event) = answer.next().await.map_err(to_js_error)? {
        let go_on =
            JsFuture::from(Promise::resolve(&on_event.call1(&JsValue::UNDEFINED, &to_js(&event))?))
                .await?;
        if matches!(event, Event::Done(_)) {
            break;
        }
        if go_on == JsValue::FALSE {
            on_event.call1(&JsValue::UNDEFINED, &to_js(&Event::Done(answer.cancel())))?;
            break;
        }
    }
    Ok(())
}

/// A conversation rendered for the model.
fn prompt(
    assets: &TextAssets,
    messages: &JsMessages,
    options: &JsTemplateOptions,
) -> std::result::Result<Prompt, JsValue> {
    let options = if options.is_undefined() { Value::Null } else { from_js("options", options)? };
    let options = TemplateOptions::from_json(&options).map_err(to_js_error)?;
    let messages = openai::messages(from_js("messages", messages)?).map_err(to_js_error)?;
    let template = assets.template.as_ref().map_err(|error| to_js_error(error.clone()))?;
    template
        .render(&messages, options.tools.as_deref().unwrap_or_default(), options.ending())
        .map_err(to_js_error)
}
