//! What JavaScript calls, in a worker: computing holds its thread until a step is done.

use std::cell::RefCell;

use js_sys::{Function, Promise};
use serde_json::Value;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::grammars::{self, GrammarModule, OpenedGrammars};
use super::js_types::{
    JsBenchFigures, JsChatRequest, JsChecked, JsCompletionRequest, JsDecideRequest, JsDecisions,
    JsDescription, JsLoadOptions, JsMessages, JsTemplateOptions, OnEvent, OnProgress, StartHelpers,
};
use super::json::{from_js, to_js, to_js_error};
use super::model_cache::{self, ModelCache};
use super::page::Page;
use super::pages::OpenPages;
use super::storage::OpenStorage;
use super::{js, rivals};
use crate::bench::{self, Plan};
use crate::error::Result;
use crate::gpu::Tune;
use crate::openai;
use crate::session::{Device, Event, GenerateOptions, ResilientSession, Wanted};
use crate::text::Prompt;
use crate::text::constraint::Form;
use crate::text::template::Message;
use crate::text::tool_calls::Dialect;
use crate::text_assets::TextAssets;
use crate::wire::{LoadSettings, LoadedModel, TemplateOptions};

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

    /// Drives answers to their ends, one after the other, or until the listener has heard enough.
    async fn answer(
        &mut self,
        asked: Asked,
        options: &GenerateOptions,
        on_event: &OnEvent,
    ) -> std::result::Result<(), JsValue> {
        let on_event: &Function = on_event.unchecked_ref();
        for index in 0..options.n {
            let options = options.of_choice(index);
            let mut answer = match &asked {
                Asked::Chat(messages) => self.0.begin_chat(messages, &options).await,
                Asked::Text(prompt) => self.0.begin_completion(prompt, &options).await,
            }
            .map_err(to_js_error)?;
            while let Some(event) = self.0.next(&mut answer).await.map_err(to_js_error)? {
                let told = on_event.call1(&JsValue::UNDEFINED, &to_js(&event))?;
                let is_heard = JsFuture::from(Promise::resolve(&told)).await? != JsValue::FALSE;
                if matches!(event, Event::Done(_)) && is_heard {
                    break;
                }
                if !is_heard {
                    if !matches!(event, Event::Done(_)) {
                        let end = Event::Done(self.0.cancel(answer));
                        on_event.call1(&JsValue::UNDEFINED, &to_js(&end))?;
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

#[wasm_bindgen]
impl PhiEngine {
    /// Loads a model. Rejects with a `PhiError`: `name`, `code` and `message`. Modules with threads
    /// call `start_helpers` when the CPU is to compute; without it they have one thread. A model
    /// that is loaded again, because its device was lost, calls both again. With `open_storage` the
    /// model is kept in what that opens, and comes from there the next time. `grammars` gives the
    /// module that answers of a form need. With `open_pages` what was read of a model that is kept
    /// outlives the page, in `cacheBytes` at the most.
    pub async fn load(
        options: JsLoadOptions,
        on_progress: OnProgress,
        start_helpers: Option<StartHelpers>,
        open_storage: Option<OpenStorage>,
        grammars: Option<OpenedGrammars>,
        open_pages: Option<OpenPages>,
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
            grammars,
            prefixes: open_pages.map(|open| (open, options.cache_bytes)),
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
        model_cache::check(id, &source, on_progress.unchecked_ref(), &open_storage)
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

    /// How probable each of some answers to a conversation is.
    pub async fn decide(
        &mut self,
        request: JsDecideRequest,
    ) -> std::result::Result<JsDecisions, JsValue> {
        let (messages, choices) =
            openai::decision(from_js("request", &request)?).map_err(to_js_error)?;
        let decisions = self.0.decide(&messages, &choices).await.map_err(to_js_error)?;
        Ok(to_js(&decisions).unchecked_into())
    }

    /// What was read of a conversation, as bytes that `importSession` takes.
    #[wasm_bindgen(js_name = exportSession)]
    pub async fn export_session(
        &mut self,
        messages: JsMessages,
    ) -> std::result::Result<Vec<u8>, JsValue> {
        let messages = openai::messages(from_js("messages", &messages)?).map_err(to_js_error)?;
        self.0.export(&messages).await.map_err(to_js_error)
    }

    /// Takes up what was read of a conversation; how many tokens.
    #[wasm_bindgen(js_name = importSession)]
    pub async fn import_session(&mut self, bytes: Vec<u8>) -> std::result::Result<usize, JsValue> {
        self.0.import(&bytes).await.map_err(to_js_error)
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
    /// waited for; when it gives `false`, the answer ends there. Several answers come one after the
    /// other.
    pub async fn chat(
        &mut self,
        request: JsChatRequest,
        on_event: OnEvent,
    ) -> std::result::Result<(), JsValue> {
        let (messages, options) =
            openai::chat(from_js("request", &request)?).map_err(to_js_error)?;
        self.answer(Asked::Chat(messages), &options, &on_event).await
    }

    /// Throws what `chat` would reject with for what the request says. It needs no model, and waits
    /// for none.
    #[wasm_bindgen(js_name = checkChat)]
    pub fn check_chat(
        request: &JsChatRequest,
        grammars: Option<GrammarModule>,
    ) -> std::result::Result<(), JsValue> {
        openai::chat(from_js("request", request)?)
            .and_then(|(_, options)| refuse_forms(&options, grammars))
            .map_err(to_js_error)
    }

    /// Times the prefill of a prompt of `prompt_tokens` and the decoding of `generate_tokens` after
    /// it, where `depth` tokens before count as read. All that was read so far is forgotten.
    pub async fn bench(
        &mut self,
        prompt_tokens: usize,
        generate_tokens: usize,
        depth: usize,
    ) -> std::result::Result<JsBenchFigures, JsValue> {
        let plan = Plan { depth, prompt: prompt_tokens, generate: generate_tokens };
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
        self.answer(Asked::Text(prompt), &options, &on_event).await
    }

    /// Throws what `complete` would reject with for what the request says.
    #[wasm_bindgen(js_name = checkCompletion)]
    pub fn check_completion(
        request: &JsCompletionRequest,
        grammars: Option<GrammarModule>,
    ) -> std::result::Result<(), JsValue> {
        openai::completion(&from_js("request", request)?)
            .and_then(|(_, options)| refuse_forms(&options, grammars))
            .map_err(to_js_error)
    }
}

/// Refuses what answers cannot be held to.
fn refuse_forms(options: &GenerateOptions, module: Option<GrammarModule>) -> Result<()> {
    let format = options.format.iter().map(|format| format.form.clone());
    let calls = options.tools.form(Dialect::Json).map(Form::Calls);
    format.chain(calls).try_for_each(|form| grammars::refuse(module.as_ref(), &form))
}

/// What is to be answered.
enum Asked {
    Chat(Vec<Message>),
    Text(String),
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
