//! Writing our converted form, from front to back: panels go out as they come in.
//!
//! Kinds and shapes are known before the first weight is read, and with them every header. A
//! matrix's codes pass straight through; only its scales and minima wait until the codes are
//! written, a sixteenth of the weights' number in bytes each.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::checkpoint::Checkpoint;
use super::format::WeightFormat;
use super::left::Left;
use super::panels::{PanelOrigin, Sink};
pub use super::plan::ConvertOptions;
use super::plan::Item;
use super::source::Source;
use super::store::{CHUNK, FileEntry, MANIFEST, Manifest, hash_text};
use crate::error::Result;
use crate::layout::Kind;
use crate::layout::panel::Panel;
use crate::layout::quant::QuantError;

/// Where the files of a model go: each from front to back, one after the other.
pub trait Target {
    /// Begins a file. The one before is complete.
    ///
    /// # Errors
    /// `io`.
    fn begin(&mut self, file: &str) -> Result<()>;

    /// Appends to the file begun last.
    ///
    /// # Errors
    /// `io`.
    fn append(&mut self, bytes: &[u8]) -> Result<()>;

    /// A matrix comes next, of so many bytes. What an earlier run left of it, if that is whole; it
    /// is appended all the same.
    ///
    /// # Errors
    /// `io`.
    fn matrix(&mut self, _name: &str, _bytes: u64) -> Result<Option<Left>> {
        Ok(None)
    }

    /// That is all of it, with this error.
    ///
    /// # Errors
    /// `io`.
    fn matrix_ends(&mut self, _name: &str, _error: QuantError) -> Result<()> {
        Ok(())
    }
}

/// Who makes the panels that are written, of matrices in the order of the table.
pub(crate) trait Rounding<S> {
    /// A matrix's panels, in order, or those that an earlier run left. `progress` hears how many
    /// bytes of the source were done.
    async fn panels(
        &mut self,
        checkpoint: &Checkpoint<S>,
        matrix: (&str, [usize; 2]),
        how: (WeightFormat, Option<Left>),
        progress: &mut dyn FnMut(u64),
        sink: Sink<'_>,
    ) -> Result<()>;
}

/// Every group by itself.
pub(crate) struct Alone;

impl<S: Source> Rounding<S> for Alone {
    async fn panels(
        &mut self,
        checkpoint: &Checkpoint<S>,
        (name, shape): (&str, [usize; 2]),
        (format, _): (WeightFormat, Option<Left>),
        progress: &mut dyn FnMut(u64),
        sink: Sink<'_>,
    ) -> Result<()> {
        let mut count = |first_row: usize, panel: Panel, origin: PanelOrigin| {
            sink(first_row, panel, origin)?;
            progress(origin.bytes);
            Ok(())
        };
        checkpoint.each_panel(name, shape, format, &mut count).await
    }
}

/// What became of the weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The kinds that occur. Norms count as f32.
    pub kinds: Vec<Held>,
    /// Bytes of all files.
    pub bytes: u64,
}

/// The tensors of a kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Held {
    /// Their kind.
    pub kind: Kind,
    /// How many there are. Of a matrix of several kinds each band counts.
    pub tensors: usize,
    /// Weights in all of them.
    pub weights: u64,
    /// Bytes in all of them, scales and padding included.
    pub bytes: u64,
    /// How well those fit that had to be quantised or rounded; others are kept exactly.
    pub quant_error: QuantError,
}

impl Held {
    /// Bits a weight, all told.
    pub fn bits(&self) -> f64 {
        self.bytes as f64 * 8.0 / self.weights as f64
    }
}

impl Report {
    fn count(&mut self, kind: Kind, weights: u64, bytes: u64, quant_error: QuantError) {
        let at = self.kinds.iter().position(|held| held.kind == kind).unwrap_or_else(|| {
            self.kinds.push(Held {
                kind,
                tensors: 0,
                weights: 0,
                bytes: 0,
                quant_error: QuantError::default(),
            });
            self.kinds.len() - 1
        });
        let held = &mut self.kinds[at];
        held.tensors += 1;
        held.weights += weights;
        held.bytes += bytes;
        held.quant_error += quant_error;
    }
}

impl<S: Source> Checkpoint<S> {
    /// Writes the model in our converted form: its weights, the files of `texts` (names and
    /// contents) and the manifest, last. `progress` hears how many bytes of the source were read
    /// since it last heard.
    ///
    /// # Errors
    /// Those of reading, `malformed` for weights that are NaN or infinite, and the target's own.
    pub async fn write<T: Target>(
        &self,
        target: &mut T,
        options: impl Into<ConvertOptions>,
        texts: &[(&str, Vec<u8>)],
        progress: &mut dyn FnMut(u64),
    ) -> Result<Report> {
        self.write_rounded(target, options.into(), texts, (&mut Alone, progress)).await
    }

    /// As [`Self::write`], rounded so.
    pub(crate) async fn write_rounded<T: Target, R: Rounding<S>>(
        &self,
        target: &mut T,
        options: ConvertOptions,
        texts: &[(&str, Vec<u8>)],
        (rounding, progress): (&mut R, &mut dyn FnMut(u64)),
    ) -> Result<Report> {
        let plan = self.plan(options, texts)?;
        let mut out = Hashing { target, files: BTreeMap::new(), current: None };
        let mut report = Report::default();
        for (name, bytes) in &plan.texts {
            out.begin(name)?;
            out.append(bytes)?;
        }
        for shard in &plan.shards {
            out.begin(&shard.name)?;
            out.append(&shard.header)?;
            for item in &shard.items {
                let errors = match *item {
                    Item::Matrix { ref name, shape, .. } => {
                        let left = out.target.matrix(name, item.bytes())?;
                        let mut planes = Planes::of(&mut out);
                        let matrix = (&**name, shape);
                        rounding
                            .panels(
                                self,
                                matrix,
                                (options.format, left),
                                progress,
                                &mut |_, panel, origin| planes.take(&panel, origin),
                            )
                            .await?;
                        let errors = planes.finish()?;
                        let mut all = QuantError::default();
                        errors.iter().for_each(|&error| all += error);
                        out.target.matrix_ends(name, all)?;
                        errors
                    }
                    Item::Vector { ref name, length } => {
                        let values = self.vector(name, length).await?;
                        out.append(bytemuck::cast_slice(&values))?;
                        vec![QuantError::default()]
                    }
                };
                for ((kind, weights, bytes), error) in item.held().into_iter().zip(errors) {
                    report.count(kind, weights, bytes, error);
                }
            }
        }
        let manifest = plan.manifest(out.finish()).to_json();
        target.begin(MANIFEST)?;
        target.append(&manifest)?;
        let files = Manifest::parse(MANIFEST, &manifest)?.files;
        report.bytes = manifest.len() as u64 + files.values().map(|file| file.size).sum::<u64>();
        Ok(report)
    }
}

/// A matrix that is being written, band by band: a band's codes are, the others wait.
struct Planes<'a, 'b, T> {
    out: &'a mut Hashing<'b, T>,
    kind: Option<Kind>,
    scales: Vec<u8>,
    mins: Vec<u8>,
    /// Of each band.
    errors: Vec<QuantError>,
}

impl<'a, 'b, T: Target> Planes<'a, 'b, T> {
    fn of(out: &'a mut Hashing<'b, T>) -> Planes<'a, 'b, T> {
        Planes { out, kind: None, scales: Vec::new(), mins: Vec::new(), errors: Vec::new() }
    }

    fn take(&mut self, panel: &Panel, origin: PanelOrigin) -> Result<()> {
        if self.kind.replace(panel.kind) != Some(panel.kind) {
            self.end_band()?;
            self.errors.push(QuantError::default());
        }
        self.out.append(&panel.codes)?;
        self.scales.extend_from_slice(&panel.scales);
        self.mins.extend_from_slice(&panel.mins);
        if let Some(error) = self.errors.last_mut() {
            *error += origin.quant_error;
        }
        Ok(())
    }

    fn end_band(&mut self) -> Result<()> {
        self.out.append(&std::mem::take(&mut self.scales))?;
        self.out.append(&std::mem::take(&mut self.mins))
    }

    fn finish(mut self) -> Result<Vec<QuantError>> {
        self.end_band()?;
        Ok(self.errors)
    }
}

/// Hashes what passes through to a target.
struct Hashing<'a, T> {
    target: &'a mut T,
    files: BTreeMap<String, FileEntry>,
    current: Option<Current>,
}

/// The file that is being written.
struct Current {
    name: String,
    entry: FileEntry,
    /// Of the chunk that is not complete.
    hash: Sha256,
}

impl<T: Target> Hashing<'_, T> {
    fn begin(&mut self, file: &str) -> Result<()> {
        self.end();
        self.target.begin(file)?;
        self.current = Some(Current {
            name: file.to_owned(),
            entry: FileEntry { size: 0, sha256: Vec::new() },
            hash: Sha256::new(),
        });
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.target.append(bytes)?;
        if let Some(current) = &mut self.current {
            current.count(bytes);
        }
        Ok(())
    }

    fn end(&mut self) {
        if let Some(mut current) = self.current.take() {
            if !current.entry.size.is_multiple_of(CHUNK) {
                current.end_chunk();
            }
            self.files.insert(current.name, current.entry);
        }
    }

    fn finish(mut self) -> BTreeMap<String, FileEntry> {
        self.end();
        self.files
    }
}

impl Current {
    fn count(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = (CHUNK - self.entry.size % CHUNK) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.hash.update(now);
            self.entry.size += now.len() as u64;
            if self.entry.size.is_multiple_of(CHUNK) {
                self.end_chunk();
            }
            bytes = later;
        }
    }

    fn end_chunk(&mut self) {
        self.entry.sha256.push(hash_text(&self.hash.finalize_reset()));
    }
}
