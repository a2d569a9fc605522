//! Rows of logits, asked how probable tokens are: of a device no more is read than was asked for.

use std::mem::take;
use std::ops::Range;

use super::Engine;
use super::log_probs::{LogProbs, MOST_PROBABLE};
use super::sequence::Sequence;
use crate::backend::Backend;
use crate::error::{Code, Result, fail};
use crate::op::{self, Buf, Op};

/// Tokens that a row is asked for at once.
const MOST_ASKED: usize = 32;

/// Where it is told.
#[derive(Clone, Copy)]
pub(super) struct Told {
    /// `[head_rows, MOST_ASKED]`, u32.
    ids: Buf,
    /// What [`op::LogProbs`] writes.
    pub out: Buf,
}

impl<B: Backend> Engine<B> {
    /// Has a token that was chosen from the logits that [`Engine::logits`] has just given told of
    /// as one that was chosen here, where the sequence's are.
    pub async fn tell_log_probs(&mut self, sequence: &mut Sequence, token: u32) -> Result<()> {
        if let Some(top) = sequence.log_probs {
            sequence.told = self.ask(Vec::new(), &[vec![token]], top).await?.pop();
        }
        Ok(())
    }

    /// How probable some tokens are after each of some positions, the first of which is among those
    /// to come or was just reached: a list of tokens for each row. Answers for as many as are
    /// computed at once.
    ///
    /// # Errors
    /// What running meets.
    pub async fn log_probs_at(
        &mut self,
        sequence: &mut Sequence,
        position: usize,
        asked: &[Vec<u32>],
        top: u32,
    ) -> Result<Vec<LogProbs>> {
        while sequence.cached() <= position {
            self.advance(sequence).await?;
        }
        let (begin, rows) = self.rows_from(sequence, position, asked.len());
        if rows == 0 {
            fail!(Code::Internal, "the row at position {position} is gone");
        }
        let head = self.model.record_head(&self.scratch, begin, rows);
        self.ask(head, &asked[..rows], top).await
    }

    /// Asks rows of logits, once these ops have computed them.
    async fn ask(
        &mut self,
        mut ops: Vec<Op>,
        rows: &[Vec<u32>],
        mut top: u32,
    ) -> Result<Vec<LogProbs>> {
        let mut all = vec![LogProbs::default(); rows.len()];
        let told = self.told()?;
        for part in parts(rows) {
            self.backend.write(told.ids, 0, bytemuck::cast_slice(&ids(rows, &part)))?;
            let op = self.telling(told.ids, (rows.len(), part.len()), top)?;
            ops.push(op.into());
            let program = self.make_ready(take(&mut ops)).await?;
            self.backend.run(&program)?;
            let found = self.floats(told.out, (op.rows * op.out_width()) as usize).await?;
            note(&mut all, rows, &part, &found);
            top = 0;
        }
        Ok(all)
    }

    /// Tells of so many rows of logits, of so many tokens each.
    pub(super) fn telling(
        &mut self,
        ids: Buf,
        (rows, asked): (usize, usize),
        top: u32,
    ) -> Result<op::LogProbs> {
        let (out, width) = (self.told()?.out, self.config().vocab_size);
        let (rows, asked, top) = (rows as u32, asked as u32, self.most_probable(top));
        Ok(op::LogProbs { logits: self.scratch.logits, ids, out, rows, asked, top, width })
    }

    /// Floats that are told of a row.
    pub(super) fn log_probs_width(&self, asked: usize, top: u32) -> usize {
        2 + 2 * (asked + self.most_probable(top) as usize)
    }

    fn most_probable(&self, top: u32) -> u32 {
        top.min(MOST_PROBABLE).min(self.config().vocab_size)
    }

    /// Made when it is first asked for.
    fn told(&mut self) -> Result<Told> {
        if let Some(told) = self.told {
            return Ok(told);
        }
        let mut words = |what: &str, width: usize| {
            self.backend.alloc(what, (self.head_rows * width * 4) as u64)
        };
        let told = Told {
            ids: words("tokens that are asked for", MOST_ASKED)?,
            out: words("log-probabilities", 2 + 2 * (MOST_ASKED + MOST_PROBABLE as usize))?,
        };
        self.told = Some(told);
        Ok(told)
    }

    pub(super) async fn floats(&mut self, buf: Buf, len: usize) -> Result<Vec<f32>> {
        let mut values = vec![0.0f32; len];
        self.backend.read(buf, 0, bytemuck::cast_slice_mut(&mut values)).await?;
        Ok(values)
    }
}

/// Which tokens of each row are asked for at once; at least one, so that there is a list.
fn parts(rows: &[Vec<u32>]) -> Vec<Range<usize>> {
    let most = rows.iter().map(Vec::len).max().unwrap_or(0).max(1);
    (0..most).step_by(MOST_ASKED).map(|begin| begin..most.min(begin + MOST_ASKED)).collect()
}

/// Of all rows equally many: where one has no more, its token 0.
fn ids(rows: &[Vec<u32>], part: &Range<usize>) -> Vec<u32> {
    let of_row = |row: &Vec<u32>, at: usize| row.get(at).copied().unwrap_or(0);
    rows.iter().flat_map(|row| part.clone().map(move |at| of_row(row, at))).collect()
}

/// Takes what was told of a part of each row's tokens.
fn note(all: &mut [LogProbs], rows: &[Vec<u32>], part: &Range<usize>, found: &[f32]) {
    let width = found.len() / rows.len();
    for ((all, row), found) in all.iter_mut().zip(rows).zip(found.chunks_exact(width)) {
        let found = LogProbs::of(found, part.len());
        all.top.extend(found.top);
        all.asked.extend(found.asked.into_iter().take(row.len().saturating_sub(part.start)));
    }
}
