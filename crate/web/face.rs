//! What JavaScript calls, in a worker: computing holds its thread until a step is done.

use js_sys::{Function, JSON, Promise, Reflect};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::files::FileSource;
use super::http::HttpSource;
use super::{helpers, js, subgroups};
use crate::backend::Backend;
use crate::bench::{self, Plan};
use crate::cpu::{Cpu, CpuOptions};
use crate::error::{Code, Error, Result, fail};
use crate::gpu::{Gpu, GpuOptions};
use crate::op::KvKind;
use crate::session::{Answer, Description, Event, GenerateOptions, LoadOptions, Progress, Session};
use crate::text::template::Message;
use crate::weights::checkpoint::Bits;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = include_str!("types.ts");

#[wasm_bindgen]
extern "C" {
    /// How to load, as `types.ts` has it.
    #[wasm_bindgen(typescript_type = "LoadOptions")]
    pub type JsLoadOptions;
    /// What was loaded.
    #[wasm_bindgen(typescript_type = "Description")]
    pub type JsDescription;
    /// A conversation.
    #[wasm_bindgen(typescript_type = "Message[]")]
    pub type JsMessages;
    /// How to answer; every field may be left out.
    #[wasm_bindgen(typescript_type = "GenerateOptions | undefined")]
    pub type JsGenerateOptions;
    /// What was measured.
    #[wasm_bindgen(typescript_type = "BenchFigures")]
    pub type JsBenchFigures;
    /// Hears how far loading has come.
    #[wasm_bindgen(typescript_type = "(progress: Progress) => void")]
    pub type OnProgress;
    /// Sees to it that workers help this one: `help` says what they do.
    #[wasm_bindgen(typescript_type = "StartHelpers")]
    pub type StartHelpers;
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
pub struct PhiEngine {
    device: Device,
    notice: Option<String>,
}

/// The one place that chooses; below it everything is generic over the backend.
enum Device {
    Gpu(Box<Session<Gpu>>),
    Cpu(Box<Session<Cpu>>),
}

#[wasm_bindgen]
impl PhiEngine {
    /// Loads a model. Rejects with a `PhiError`: `name`, `code` and `message`. Modules with threads call `start_helpers` when the CPU
    /// is to compute; without it they have one thread.
    pub async fn load(
        options: JsLoadOptions,
        on_progress: OnProgress,
        start_helpers: Option<StartHelpers>,
    ) -> std::result::Result<PhiEngine, JsValue> {
        let model = js::get(&options, "model");
        let options: Options = from_js("load options", &options)?;
        let on_progress: Function = on_progress.unchecked_into();
        // A listener that throws must not end the download.
        let mut progress = |progress: Progress| drop(on_progress.call1(&JsValue::UNDEFINED, &to_js(&progress)));
        let wish = Wish { model: &model, options: &options, start_helpers: start_helpers.as_ref() };
        let (device, notice) = open(&wish, &mut progress).await.map_err(thrown)?;
        Ok(PhiEngine { device, notice })
    }

    /// What was loaded, and what computes it.
    pub fn describe(&self) -> JsDescription {
        let (device, description) = match &self.device {
            Device::Gpu(session) => ("gpu", session.describe()),
            Device::Cpu(session) => ("cpu", session.describe()),
        };
        to_js(&Described { description, device, notice: self.notice.as_deref() }).unchecked_into()
    }

    /// Answers a conversation. `on_event` hears of every step and is waited for; when it gives `false`, the answer ends there.
    pub async fn chat(&mut self, messages: JsMessages, options: JsGenerateOptions, on_event: OnEvent) -> std::result::Result<(), JsValue> {
        let messages: Vec<Message> = from_js("messages", &messages)?;
        let options = generate_options(options)?;
        match &mut self.device {
            Device::Gpu(session) => tell(session.chat(&messages, &options).map_err(thrown)?, &on_event).await,
            Device::Cpu(session) => tell(session.chat(&messages, &options).map_err(thrown)?, &on_event).await,
        }
    }

    /// Times the prefill of a prompt of `prompt_tokens` and the decoding of `generate_tokens` after it. The conversation so far is
    /// forgotten.
    pub async fn bench(&mut self, prompt_tokens: usize, generate_tokens: usize) -> std::result::Result<JsBenchFigures, JsValue> {
        let plan = Plan { prompt: prompt_tokens, generate: generate_tokens };
        let figures = match &mut self.device {
            Device::Gpu(session) => bench::measure(session.engine(), plan).await,
            Device::Cpu(session) => bench::measure(session.engine(), plan).await,
        };
        Ok(to_js(&figures.map_err(thrown)?).unchecked_into())
    }

    /// Continues a text as it stands, without the chat template. `on_event` as for `chat`.
    pub async fn complete(&mut self, prompt: &str, options: JsGenerateOptions, on_event: OnEvent) -> std::result::Result<(), JsValue> {
        let options = generate_options(options)?;
        match &mut self.device {
            Device::Gpu(session) => tell(session.complete(prompt, &options).map_err(thrown)?, &on_event).await,
            Device::Cpu(session) => tell(session.complete(prompt, &options).map_err(thrown)?, &on_event).await,
        }
    }
}

/// `Description`, with what only the face knows.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Described<'a> {
    #[serde(flatten)]
    description: Description,
    device: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'a str>,
}

/// `LoadOptions` as JavaScript spells them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Options {
    /// Read beside it: it may be more than plain data.
    #[serde(default, rename = "model")]
    _model: IgnoredAny,
    #[serde(default)]
    backend: Wanted,
    bits: Option<u32>,
    ctx_len: Option<usize>,
    kv: Option<Kv>,
    #[serde(default)]
    threads: usize,
}

/// What shall be loaded, and how.
struct Wish<'a> {
    model: &'a JsValue,
    options: &'a Options,
    start_helpers: Option<&'a StartHelpers>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    #[default]
    Auto,
    Gpu,
    Cpu,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kv {
    F16,
    F32,
}

/// Loads onto what is wanted; the sentence says why that is not what was asked for.
async fn open(wish: &Wish<'_>, progress: &mut dyn FnMut(Progress)) -> Result<(Device, Option<String>)> {
    match wish.options.backend {
        Wanted::Cpu => Ok((open_cpu(wish, progress).await?, None)),
        Wanted::Gpu => Ok((open_gpu(wish, progress).await?, None)),
        Wanted::Auto => match open_gpu(wish, progress).await {
            Ok(device) => Ok((device, None)),
            Err(why) if matches!(why.code, Code::NoGpu | Code::GpuFailed) => {
                Ok((open_cpu(wish, progress).await?, Some(format!("The CPU answers: {}", why.message))))
            }
            Err(error) => Err(error),
        },
    }
}

async fn open_gpu(wish: &Wish<'_>, progress: &mut dyn FnMut(Progress)) -> Result<Device> {
    let gpu = Gpu::new(GpuOptions { subgroups: subgroups::request().await, ..GpuOptions::default() }).await?;
    Ok(Device::Gpu(Box::new(session(wish, gpu, progress).await?)))
}

async fn open_cpu(wish: &Wish<'_>, progress: &mut dyn FnMut(Progress)) -> Result<Device> {
    let threads = wish.options.threads;
    helpers::start(threads, wish.start_helpers).await?;
    let cpu = Cpu::new(CpuOptions { threads, ..CpuOptions::default() })?;
    Ok(Device::Cpu(Box::new(session(wish, cpu, progress).await?)))
}

async fn session<B: Backend>(wish: &Wish<'_>, backend: B, progress: &mut dyn FnMut(Progress)) -> Result<Session<B>> {
    let load = wish.options.for_session()?;
    if let Some(address) = wish.model.as_string() {
        return Session::open(HttpSource::new(&address)?, backend, &load, progress).await;
    }
    match FileSource::of(wish.model) {
        Some(files) => Session::open(files, backend, &load, progress).await,
        None => fail!(Code::BadOption, "model is neither an address nor files; give one of them"),
    }
}

impl Options {
    fn for_session(&self) -> Result<LoadOptions> {
        let bits = match self.bits {
            None => Bits::default(),
            Some(bits) => match Bits::ALL.into_iter().find(|known| known.number() == bits) {
                Some(known) => known,
                None => fail!(Code::BadOption, "bits is {bits}; it must be 4, 5, 8, 16 or 32"),
            },
        };
        let kv = self.kv.map(|kv| match kv {
            Kv::F16 => KvKind::F16,
            Kv::F32 => KvKind::F32,
        });
        Ok(LoadOptions { hold: bits.into(), ctx_len: self.ctx_len, kv })
    }
}

/// Drives an answer to its end, or until the listener has heard enough.
async fn tell<B: Backend>(mut answer: Answer<'_, B>, on_event: &OnEvent) -> std::result::Result<(), JsValue> {
    let on_event: &Function = on_event.unchecked_ref();
    while let Some(event) = answer.next().await.map_err(thrown)? {
        let go_on = JsFuture::from(Promise::resolve(&on_event.call1(&JsValue::UNDEFINED, &to_js(&event))?)).await?;
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

fn generate_options(options: JsGenerateOptions) -> std::result::Result<GenerateOptions, JsValue> {
    if options.is_undefined() { Ok(GenerateOptions::default()) } else { from_js("options", &options) }
}

/// Plain data crosses as JSON, which both sides read and write in one call.
fn from_js<T: DeserializeOwned>(what: &str, value: &JsValue) -> std::result::Result<T, JsValue> {
    let json = JSON::stringify(value)?;
    let bad = |error| thrown(Error::new(Code::BadOption, format!("the {what} are not what is expected: {error}")));
    serde_json::from_str(&String::from(json)).map_err(bad)
}

fn to_js(value: &impl Serialize) -> JsValue {
    let json = serde_json::to_string(value).expect("plain data turns into JSON");
    JSON::parse(&json).expect("serde_json writes JSON")
}

/// An `Error` as JavaScript throws them.
fn thrown(error: Error) -> JsValue {
    let object = js_sys::Error::new(&error.message);
    object.set_name("PhiError");
    // Setting a property of a fresh object cannot fail.
    let _ = Reflect::set(&object, &"code".into(), &error.code.as_str().into());
    object.into()
}
