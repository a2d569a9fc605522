//! What a [`ResilientSession`](super::ResilientSession) asks of whoever has the devices and the
//! model's files.

use std::rc::Rc;

use super::{Progress, Rivals, Verdict};
use crate::backend::Backend;
use crate::engine::{Engine, Key, PrefixStore};
use crate::error::Result;
use crate::text::constraint::{self, Grammars, Spellings};
use crate::weights::source::Source;

/// Where a model lives: what computes there, and where its files are. The page has one, and the
/// command.
#[allow(async_fn_in_trait)] // Futures stay on the thread that made them.
pub trait Host {
    /// Its GPUs.
    type Gpu: Backend;
    /// Its CPU.
    type Cpu: Backend;
    /// Where the files are.
    type Source: Source;

    /// Opens a GPU, a new one each time.
    ///
    /// # Errors
    /// `no-gpu`, `gpu-failed`, `gpu-lost`.
    async fn gpu(&self) -> Result<Self::Gpu>;

    /// Hears of a model that has been loaded onto a GPU: what was found out about the GPU may be
    /// worth keeping.
    fn loaded(&self, _engine: &Engine<Self::Gpu>) {}

    /// Which GPU and CPU `auto` chooses from, by measuring; where that is nothing it takes the GPU.
    async fn rivals(&self) -> Option<Rivals> {
        None
    }

    /// Hears what was measured, and what is known with that: to be kept, and told of such rivals
    /// the next time.
    fn judged(&self, _verdict: Verdict, _known: String) {}

    /// Whether a model that has just been loaded can be loaded again without being fetched again.
    fn is_at_hand(&self) -> bool {
        true
    }

    /// Makes the CPU ready.
    async fn cpu(&self) -> Result<Self::Cpu>;

    /// Opens the model's files.
    async fn source(&self) -> Result<Self::Source>;

    /// Hears of a model that is about to be loaded: what its tokens spell, if that is asked. What
    /// keeps answers to forms can be made while its weights are read.
    fn tokenizer_read(&self, _spellings: &dyn Fn() -> Result<Spellings>) {}

    /// What keeps answers to forms, for a model whose tokens spell this. It is asked once for a
    /// model, and serves it on whichever device it is.
    ///
    /// # Errors
    /// `bad-option` where there is nothing that does.
    async fn grammars(
        &self,
        spellings: &dyn Fn() -> Result<Spellings>,
    ) -> Result<Rc<dyn Grammars>> {
        Ok(Rc::<dyn Grammars + Send>::from(constraint::grammars(spellings()?)?))
    }

    /// What tells the weights that were loaded from all others, once they are settled.
    fn weights(&self) -> Option<Key> {
        None
    }

    /// Where pages of the cache, of so many bytes each, outlive the program. What goes wrong here
    /// becomes a notice.
    ///
    /// # Errors
    /// The storage's.
    async fn prefixes(
        &self,
        _weights: Key,
        _page_bytes: u64,
    ) -> Result<Option<Rc<dyn PrefixStore>>> {
        Ok(None)
    }

    /// Lets go of what only loading needs, when that is over. What goes wrong here becomes a
    /// notice, since a model that was loaded can answer, unless it is `corrupt`.
    ///
    /// # Errors
    /// Those of completing what is kept of a model.
    async fn settle(&self, _loaded: bool) -> Result<()> {
        Ok(())
    }

    /// Hears how far loading is, whenever that is.
    fn progress(&self, progress: Progress);
}

/// What shall compute: `auto` takes the GPU when there is one that computes rightly and is no
/// slower than the CPU, and says so when it cannot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "Backend", rename_all = "lowercase"))]
pub enum Wanted {
    /// A GPU that computes rightly, stays, has room, and is no slower than the CPU; else the CPU.
    #[default]
    Auto,
    /// A GPU, or an error.
    Gpu,
    /// The CPU.
    Cpu,
}
