//! The one place where the command chooses between the GPU and the CPU.

use std::cell::RefCell;
use std::rc::Rc;

use indicatif::ProgressBar;
use phi_wasm::Result;
use phi_wasm::backend::Backend;
use phi_wasm::cpu::{Cpu, CpuOptions};
use phi_wasm::engine::{Engine, Key, PrefixStore};
use phi_wasm::session::{Host, Progress, ResilientSession, Rivals, Verdict, Wanted};
use phi_wasm::text::constraint::{self, Grammars, Pending, Spellings};
use phi_wasm::weights::fingerprint::{Fingerprint, Fingerprinted};
use phi_wasm::weights::format::WeightFormat;
use phi_wasm::weights::source::DirSource;

use super::cache;
use super::gpu;
use super::options::{BackendChoice, ModelArgs};
use super::prefixes::PrefixArgs;
use super::{output, progress};

/// What a command does once its backend is chosen.
pub trait Task {
    /// What comes of it.
    type Output;

    /// Runs on this backend.
    async fn on<B: Backend>(self, backend: B) -> Result<Self::Output>;
}

/// Runs a task on the backend that the arguments ask for.
pub async fn run<T: Task>(args: &ModelArgs, task: T) -> Result<T::Output> {
    args.source()?; // A model that is not there must not first open a GPU.
    args.compute.tell_fewer_threads();
    let wanted = wanted(args);
    if wanted != Wanted::Cpu {
        match gpu::open(wanted, &args.compute).await {
            // What the error advises is done.
            Err(error) if wanted == Wanted::Auto => {
                output::note(format_args!("phi: computing on the CPU: {}", error.message))
            }
            gpu => return task.on(gpu?).await,
        }
    }
    task.on(cpu(args)?).await
}

/// Loads the model onto the backend that the arguments ask for, where it stays as long as that
/// does. `is_held` tells that answers of a form will be asked for.
pub async fn open(
    args: &ModelArgs,
    is_held: bool,
    prefixes: PrefixArgs,
) -> Result<ResilientSession<Terminal>> {
    args.source()?;
    args.compute.tell_fewer_threads();
    let terminal = Terminal {
        args: args.clone(),
        is_held,
        fingerprint: RefCell::default(),
        prefixes,
        grammars: RefCell::default(),
        bar: RefCell::default(),
    };
    let session = ResilientSession::open(terminal, wanted(args), args.load_options(None)).await?;
    if let Some(notice) = session.notice() {
        output::note(format_args!("phi: {notice}"));
    }
    Ok(session)
}

/// This machine, and where its user looks.
pub struct Terminal {
    args: ModelArgs,
    is_held: bool,
    prefixes: PrefixArgs,
    /// Notes of what was read of the weights last.
    fingerprint: RefCell<Option<Fingerprint>>,
    /// What holds answers to their form, until the first is asked for.
    grammars: RefCell<Option<Pending>>,
    /// There while a model is loaded.
    bar: RefCell<Option<ProgressBar>>,
}

impl Host for Terminal {
    type Gpu = gpu::Gpu;
    type Cpu = Cpu;
    type Source = Fingerprinted<DirSource>;

    async fn gpu(&self) -> Result<gpu::Gpu> {
        gpu::open(wanted(&self.args), &self.args.compute).await
    }

    fn loaded(&self, engine: &Engine<gpu::Gpu>) {
        cache::keep_tuned(engine);
    }

    async fn rivals(&self) -> Option<Rivals> {
        gpu::rivals(&self.args.compute).await
    }

    fn judged(&self, verdict: Verdict, known: String) {
        *self.bar.borrow_mut() = None;
        output::note(format_args!("phi: which is faster was measured: {verdict}"));
        cache::keep(cache::BACKENDS, &known);
    }

    async fn cpu(&self) -> Result<Cpu> {
        cpu(&self.args)
    }

    async fn source(&self) -> Result<Fingerprinted<DirSource>> {
        let fingerprint = self.prefixes.fingerprint();
        *self.fingerprint.borrow_mut() = fingerprint.clone();
        Ok(Fingerprinted::new(self.args.source()?, fingerprint))
    }

    /// The same file makes other weights in other bits.
    fn weights(&self) -> Option<Key> {
        let format = WeightFormat::from(self.args.compute.bits).stored_name();
        self.fingerprint.borrow().as_ref().map(|read| read.hash(&format))
    }

    async fn prefixes(&self, weights: Key, page_bytes: u64) -> Result<Option<Rc<dyn PrefixStore>>> {
        self.prefixes.open(weights, page_bytes)
    }

    /// A model that is loaded again has the same tokens.
    fn tokenizer_read(&self, spellings: &dyn Fn() -> Result<Spellings>) {
        let mut grammars = self.grammars.borrow_mut();
        if self.is_held && grammars.is_none() {
            // What is wrong with them is told when they are asked for.
            *grammars = spellings().ok().map(Pending::begin);
        }
    }

    async fn grammars(
        &self,
        spellings: &dyn Fn() -> Result<Spellings>,
    ) -> Result<Rc<dyn Grammars>> {
        let grammars = match self.grammars.take() {
            Some(pending) => pending.join()?,
            None => constraint::grammars(spellings()?)?,
        };
        Ok(Rc::<dyn Grammars + Send>::from(grammars))
    }

    /// A bar that went only with the command would take the lines with it that stand there then.
    async fn settle(&self, _loaded: bool) -> Result<()> {
        *self.bar.borrow_mut() = None;
        Ok(())
    }

    fn progress(&self, Progress { done, total }: Progress) {
        let mut bar = self.bar.borrow_mut();
        let shown = bar.get_or_insert_with(|| progress::bytes("loading"));
        shown.set_length(total);
        shown.set_position(done);
    }
}

fn wanted(args: &ModelArgs) -> Wanted {
    match args.compute.backend {
        BackendChoice::Auto => gpu::DEFAULT,
        BackendChoice::Gpu => Wanted::Gpu,
        BackendChoice::Cpu => Wanted::Cpu,
    }
}

fn cpu(args: &ModelArgs) -> Result<Cpu> {
    Cpu::new(CpuOptions { threads: args.compute.threads(), ..CpuOptions::default() })
}
