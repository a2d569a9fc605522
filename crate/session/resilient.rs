//! A model that outlives its device: when a GPU is lost the same answer goes on, on a new one or,
//! after three in a row, on the CPU.

mod answers;
mod prefixes;
mod scores;

use std::rc::Rc;

pub use answers::ResilientAnswer;

use super::answer::Generation;
use super::event::{Event, Stats};
use super::host::{Host, Wanted};
use super::{Description, LoadOptions, Rivals, Session, Verdict};
use crate::backend::Backend;
use crate::error::{Code, Error, Result, fail};
use crate::text::constraint::Grammars;
use crate::text_assets::TextAssets;
use crate::weights::checkpoint::Checkpoint;

/// GPUs that may be lost before an answer is complete; then the CPU has to do.
const MOST_LOSSES: u32 = 3;
/// Positions that will do where a GPU has no room for the model's own number and nobody asked for
/// one.
const SHORT_CONTEXT: usize = 1024;

/// A loaded model and one conversation, on whatever computes at the time.
pub struct ResilientSession<H: Host> {
    host: H,
    wanted: Wanted,
    options: LoadOptions,
    /// Positions on a GPU.
    gpu_ctx_len: Option<usize>,
    /// `None` while it is loaded again, and after that failed.
    device: Option<Device<H>>,
    /// What keeps answers to forms, once one was asked for.
    grammars: Option<Rc<dyn Grammars>>,
    /// Whether the device is gone, so that the model must be loaded again.
    is_lost: bool,
    /// What was measured, or is known from earlier.
    verdict: Option<Verdict>,
    /// GPUs lost since loading, or an answer, was last complete.
    losses: u32,
    notice: Option<String>,
}

/// The one place that chooses; below it everything is generic over the backend.
pub enum Device<H: Host> {
    /// On a GPU.
    Gpu(Box<Session<H::Gpu>>),
    /// On the CPU.
    Cpu(Box<Session<H::Cpu>>),
}

/// Who is to be compared, on a model whose header was read for that.
struct Contest<S> {
    rivals: Rivals,
    /// Bytes of memory that the model takes.
    bytes: u64,
    /// Until it is loaded.
    header: Option<Checkpoint<S>>,
}

impl<S> Contest<S> {
    fn known(&self) -> Option<Verdict> {
        self.rivals.verdict(self.bytes)
    }
}

/// Does something with the session of either device.
macro_rules! on {
    ($device:expr, $session:ident => $does:expr) => {
        match $device {
            Device::Gpu($session) => $does,
            Device::Cpu($session) => $does,
        }
    };
}
use on;

impl<H: Host> ResilientSession<H> {
    /// Loads a model.
    ///
    /// # Errors
    /// As [`Session::open`]; `gpu-lost` where a GPU was insisted on and none stayed.
    pub async fn open(
        host: H,
        wanted: Wanted,
        options: LoadOptions,
    ) -> Result<ResilientSession<H>> {
        let mut session = ResilientSession {
            host,
            wanted,
            gpu_ctx_len: options.ctx_len,
            options,
            device: None,
            grammars: None,
            is_lost: false,
            verdict: None,
            losses: 0,
            notice: None,
        };
        session.device().await?;
        Ok(session)
    }

    /// What it was opened with.
    pub fn host(&self) -> &H {
        &self.host
    }

    /// What was loaded; `None` where that was lost and could not be loaded again.
    pub fn describe(&self) -> Option<Description> {
        let description = on!(self.device.as_ref()?, session => session.describe());
        Some(Description { measured: self.verdict, ..description })
    }

    /// Why it is not as was asked for, in a sentence.
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// What it is loaded on, after loading it again if that is lost.
    pub async fn device(&mut self) -> Result<&mut Device<H>> {
        if self.device.is_none() || self.is_lost {
            self.load().await?;
            self.losses = 0;
        }
        self.loaded()
    }

    /// Works at an answer until there is something to tell of it, as [`Session::next`] does,
    /// whatever becomes of the device: of that it tells by [`Event::Notice`].
    ///
    /// # Errors
    /// What loading again can meet, and what no other device would do better. The answer ends
    /// there.
    pub async fn next(&mut self, generation: &mut Generation) -> Result<Option<Event>> {
        if self.is_lost || self.device.is_none() {
            self.load().await?;
            if let Some(notice) = self.notice() {
                return Ok(Some(Event::Notice { message: notice.to_owned() }));
            }
        }
        match on!(self.loaded()?, session => session.next(generation).await) {
            Err(error) if self.is_to_move(&error) => Ok(Some(self.lose(&error))),
            Err(error) => {
                self.give_up(&error);
                Err(error)
            }
            Ok(Some(Event::Done(stats))) => {
                self.losses = 0;
                Ok(Some(Event::Done(stats)))
            }
            told => told,
        }
    }

    /// Ends an answer where it is; its figures up to now.
    pub fn cancel(&self, generation: Generation) -> Stats {
        generation.cancelled(self.describe().map(|loaded| loaded.backend).unwrap_or_default())
    }

    fn lose(&mut self, error: &Error) -> Event {
        self.is_lost = true;
        self.losses += 1;
        // What the error advises is done.
        Event::Notice {
            message: format!(
                "The model is loaded again, and the answer goes on: {}",
                error.message
            ),
        }
    }

    fn loaded(&mut self) -> Result<&mut Device<H>> {
        match &mut self.device {
            Some(device) => Ok(device),
            None => fail!(Code::Internal, "the model is not loaded; load it again"),
        }
    }

    fn pass_on_grammars(&mut self) {
        if let (Some(device), Some(grammars)) = (&mut self.device, &self.grammars) {
            on!(device, session => session.set_grammars(grammars.clone()));
        }
    }

    async fn load(&mut self) -> Result<()> {
        let loaded = self.load_somewhere().await;
        self.pass_on_grammars();
        if let Err(error) = self.host.settle(loaded.is_ok()).await {
            if error.code == Code::Corrupt {
                self.device = None; // What it said would have no sense.
                return loaded.and(Err(error));
            }
            self.note(format!("The model is not kept: {}", error.sentence()));
        }
        self.open_prefixes().await;
        loaded
    }

    fn note(&mut self, sentence: String) {
        self.notice = Some(match self.notice.take() {
            Some(before) => format!("{before} {sentence}"),
            None => sentence,
        });
    }

    async fn load_somewhere(&mut self) -> Result<()> {
        self.device = None; // The next one needs its memory.
        self.is_lost = false;
        self.notice = None;
        let mut contest = if self.wanted == Wanted::Auto && self.verdict.is_none() {
            self.contest().await?
        } else {
            None
        };
        self.verdict = self.verdict.or_else(|| contest.as_ref().and_then(Contest::known));
        if self.wanted != Wanted::Cpu && !self.is_for_cpu() {
            match self.load_onto_gpu(&mut contest).await {
                Ok(Some(session)) => {
                    self.device = Some(Device::Gpu(Box::new(session)));
                    return Ok(());
                }
                Ok(None) => self.notice = None, // What the GPU lacked is no matter.
                Err(why) if self.wanted == Wanted::Auto && is_of_the_gpu(&why) => {
                    // What the error advises is done.
                    self.notice = Some(format!("The CPU answers: {}", why.message));
                }
                Err(error) => return Err(error),
            }
        }
        let cpu = self.host.cpu().await?;
        self.device = Some(Device::Cpu(Box::new(
            self.session(cpu, self.options.ctx_len, &mut contest).await?,
        )));
        Ok(())
    }

    /// Tries as long as there is hope. Nothing where the CPU is faster.
    async fn load_onto_gpu(
        &mut self,
        contest: &mut Option<Contest<H::Source>>,
    ) -> Result<Option<Session<H::Gpu>>> {
        while self.losses < MOST_LOSSES {
            let outcome = match self.host.gpu().await {
                Ok(gpu) => self.load_if_faster(gpu, contest).await,
                Err(error) => Err(error),
            };
            match outcome {
                Err(error) if error.code == Code::GpuLost => self.losses += 1,
                Err(error)
                    if error.code == Code::OutOfMemory
                        && self.wanted == Wanted::Auto
                        && self.gpu_ctx_len.is_none() =>
                {
                    self.gpu_ctx_len = Some(SHORT_CONTEXT);
                    self.notice =
                        Some(format!("The context is {SHORT_CONTEXT} tokens: {}", error.message));
                }
                outcome => return outcome,
            }
        }
        self.losses = 0;
        fail!(Code::GpuLost, "the GPU was lost {MOST_LOSSES} times in a row"; "run on the CPU")
    }

    async fn contest(&self) -> Result<Option<Contest<H::Source>>> {
        let Some(rivals) = self.host.rivals().await else { return Ok(None) };
        let header = Checkpoint::open(self.host.source().await?).await?;
        Ok(Some(Contest {
            rivals,
            bytes: header.held_bytes(self.options.format),
            header: Some(header),
        }))
    }

    /// Loads onto a GPU, and measures whether the CPU is faster where that is to be.
    async fn load_if_faster(
        &mut self,
        gpu: H::Gpu,
        contest: &mut Option<Contest<H::Source>>,
    ) -> Result<Option<Session<H::Gpu>>> {
        let mut session = self.session(gpu, self.gpu_ctx_len, contest).await?;
        self.host.loaded(session.engine());
        let Some(Contest { rivals, bytes, .. }) =
            contest.as_ref().filter(|_| self.verdict.is_none())
        else {
            return Ok(Some(session));
        };
        let verdict = match Verdict::measure(&mut session, self.host.cpu().await).await {
            Err(error) if is_of_the_gpu(&error) => return Err(error),
            measured => measured.ok().flatten(),
        };
        let Some(verdict) = verdict else { return Ok(Some(session)) };
        self.verdict = Some(verdict);
        self.host.judged(verdict, rivals.with(*bytes, verdict));
        if self.is_for_cpu() && !self.host.is_at_hand() {
            self.note(
                "The CPU is faster here, and computes from the next load on: now the model would \
                    have to be fetched again."
                    .to_owned(),
            );
            return Ok(Some(session));
        }
        Ok((!self.is_for_cpu()).then_some(session))
    }

    fn is_for_cpu(&self) -> bool {
        self.verdict.is_some_and(|verdict| verdict.is_for_cpu())
    }

    async fn session<B: Backend>(
        &self,
        backend: B,
        ctx_len: Option<usize>,
        contest: &mut Option<Contest<H::Source>>,
    ) -> Result<Session<B>> {
        let options = LoadOptions { ctx_len, ..self.options };
        let checkpoint = match contest.as_mut().and_then(|contest| contest.header.take()) {
            Some(header) => header,
            None => Checkpoint::open(self.host.source().await?).await?,
        };
        let text_assets = TextAssets::of(&checkpoint)?;
        let vocab_size = checkpoint.config.vocab_size;
        self.host.tokenizer_read(&|| text_assets.spellings(vocab_size));
        let mut progress = |progress| self.host.progress(progress);
        Session::load(checkpoint, text_assets, backend, &options, &mut progress).await
    }

    /// Whether the answer may go on elsewhere after this.
    fn is_to_move(&self, error: &Error) -> bool {
        self.comes_from_gpu(error) && (self.wanted == Wanted::Auto || self.losses + 1 < MOST_LOSSES)
    }

    fn comes_from_gpu(&self, error: &Error) -> bool {
        matches!(self.device, Some(Device::Gpu(_))) && is_of_the_gpu(error)
    }

    /// After an error that the asker hears: a GPU that it comes from is not asked again.
    fn give_up(&mut self, error: &Error) {
        if self.comes_from_gpu(error) {
            self.device = None;
            self.losses = 0;
        }
    }
}

/// Whether another GPU, or the CPU, may do what this one did not.
fn is_of_the_gpu(error: &Error) -> bool {
    matches!(error.code, Code::NoGpu | Code::GpuFailed | Code::GpuLost | Code::OutOfMemory)
}
