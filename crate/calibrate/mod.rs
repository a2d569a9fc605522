//! `phi convert --calibrate`: weights rounded so that a text's products stay what they were, where
//! each alone would be rounded to the nearest.
//!
//! GPTQ's way: [`inputs`] says how errors of columns go together and what the inputs lack of those
//! that were, [`grid`] which scales a group may take, [`round`] rounds column by column, and
//! [`rounding`] takes the text through the model as it was and as far as it is rounded. [`written`]
//! is text that the model writes itself.

mod grid;
mod importance;
mod inputs;
mod round;
mod rounding;
mod states;
#[cfg(test)]
mod tests;
mod written;

use std::path::Path;

pub use importance::Importance;
use rounding::Calibrated;

use crate::convert::{ConvertProgress, convert_rounded};
use crate::error::{Code, Result, fail};
use crate::text_assets::TextAssets;
use crate::weights::checkpoint::Checkpoint;
use crate::weights::format::Bits;
use crate::weights::source::Source;
use crate::weights::store::chunk_hash;
use crate::weights::write::Report;

/// Tokens that are read together.
const WINDOW: usize = 512;
/// Windows of them, at most: taken from all over a text that has more.
const WINDOWS: usize = 48;

/// A model that is to be rounded on a text.
pub struct Calibration<S> {
    checkpoint: Checkpoint<S>,
    bits: Bits,
}

/// Tokens of a text, in windows of one length that are read each on its own.
#[derive(Debug)]
pub struct Windows(Vec<Vec<u32>>);

impl<S: Source> Calibration<S> {
    /// Opens the model.
    ///
    /// # Errors
    /// Those of opening; `bad-option` for a model that is quantised already, and for bits that are
    /// not rounded to.
    pub async fn open(source: S, bits: Bits) -> Result<Calibration<S>> {
        let checkpoint = Checkpoint::open(source).await?;
        if matches!(bits, Bits::Sixteen | Bits::ThirtyTwo) {
            fail!(
                Code::BadOption,
                "there is nothing to calibrate at {} bits", bits.number();
                "calibrate at 4, 5, 8 or an average of at most 8"
            );
        }
        if let Some(name) = checkpoint.quantised() {
            fail!(
                Code::BadOption,
                "{name} is quantised already, and what it lost is gone";
                "calibrate the model as it was published, in 16 or 32 bits"
            );
        }
        Ok(Calibration { checkpoint, bits })
    }

    /// The windows of a text, each as if the text began there.
    ///
    /// # Errors
    /// `bad-tokenizer`, and `bad-option` for a text that is shorter than a window.
    pub fn read(&self, text: &str) -> Result<Windows> {
        let tokenizer = TextAssets::of(&self.checkpoint)?.tokenizer;
        let ids = tokenizer.encode(text, false)?;
        let each = self.window() - tokenizer.prefix().len().min(self.window() - 1);
        if ids.len() < each {
            fail!(
                Code::BadOption,
                "the text to calibrate on has {} tokens, and one window of them takes {each}",
                ids.len();
                "give a longer one: {} tokens do well, of what the model is to be good at",
                WINDOWS * WINDOW
            );
        }
        if let Some(id) = ids.iter().find(|&&id| id >= self.checkpoint.config.vocab_size) {
            fail!(Code::BadTokenizer, "token {id} of the text is beyond the model's vocabulary");
        }
        let all: Vec<_> = ids.chunks_exact(each).collect();
        let count = all.len().min(WINDOWS);
        let window = |at| [tokenizer.prefix(), all[at * all.len() / count]].concat();
        Ok(Windows((0..count).map(window).collect()))
    }

    /// Windows that the model writes itself, the same each time: it is asked nothing, and held in
    /// as many bits as have room. `progress` hears of tokens.
    ///
    /// # Errors
    /// Those of loading, and `bad-tokenizer`.
    pub async fn write(&self, progress: &mut dyn FnMut(usize, usize)) -> Result<Windows> {
        written::windows(&self.checkpoint, (WINDOWS, self.window()), progress).await.map(Windows)
    }

    fn window(&self) -> usize {
        WINDOW.min(self.checkpoint.config.max_position_embeddings as usize)
    }

    /// Converts the model as [`crate::convert::convert`] does, rounded to what keeps the text as it
    /// was. What was begun and not completed, of the same model and text, is gone on with.
    ///
    /// Memory is bounded by what the text is in one layer, by that layer, and by what is known of
    /// the widest product's inputs.
    ///
    /// # Errors
    /// Those of converting.
    pub async fn convert(
        &self,
        destination: &Path,
        windows: &Windows,
        progress: &mut dyn FnMut(ConvertProgress),
    ) -> Result<Report> {
        let mut rounding = Calibrated::new(&self.checkpoint.config, &windows.0)?;
        let (options, identity) = (self.bits.into(), self.identity(windows).await?);
        let how = (&mut rounding, Some(&*identity));
        convert_rounded(&self.checkpoint, destination, options, how, progress).await
    }

    /// Converts the model as [`crate::convert::convert`] does, rounded so that what counts most
    /// loses least.
    ///
    /// # Errors
    /// Those of converting, and `bad-option` for the importance matrix of another model.
    pub async fn convert_weighted(
        &self,
        destination: &Path,
        importance: &Importance,
        progress: &mut dyn FnMut(ConvertProgress),
    ) -> Result<Report> {
        let mut rounding = importance.of_model(&self.checkpoint.config)?;
        let how = (&mut rounding, None);
        convert_rounded(&self.checkpoint, destination, self.bits.into(), how, progress).await
    }

    /// A line that is the same where the same model is rounded in the same way on the same text.
    async fn identity(&self, windows: &Windows) -> Result<String> {
        let mut about = format!("{} {:?} {windows:?}", env!("CARGO_PKG_VERSION"), self.bits);
        for tensor in self.checkpoint.tensors() {
            about += &format!(" {tensor:?}");
        }
        for version in self.checkpoint.versions().await?.values() {
            about += &format!(" {version}");
        }
        Ok(chunk_hash(about.as_bytes()))
    }
}
