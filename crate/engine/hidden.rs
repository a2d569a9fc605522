//! What a model computes on its way.

use super::{Engine, Sequence};
use crate::backend::Backend;
use crate::error::{Code, Result, fail};

impl<B: Backend> Engine<B> {
    /// The hidden states of a short sequence, `[tokens, hidden_size]` each: the embeddings, after
    /// every layer but the last, and after the final norm, which is what transformers calls
    /// `hidden_states`. For finding out where a difference begins.
    pub async fn hidden_states(
        &mut self,
        sequence: &mut Sequence,
        tokens: &[u32],
    ) -> Result<Vec<Vec<f32>>> {
        self.check_own(sequence)?;
        self.plan(sequence, tokens)?;
        sequence.cached = 0;
        let rows = tokens.len();
        if rows > self.chunk {
            fail!(
                Code::BadOption,
                "hidden states can be had of {} tokens at once, not {rows}",
                self.chunk
            );
        }
        self.write_step(sequence, rows)?;
        let size = rows * self.config().hidden_size as usize;
        let mut states = Vec::new();
        for (ops, hidden) in self.model.record_layer_by_layer(&self.scratch, &self.cache, rows) {
            let program = self.make_ready(ops).await?;
            self.backend.run(&program)?;
            states.push(self.floats(hidden, size).await?);
        }
        // transformers shows the last layer's output only after the final norm.
        let after_norm = states.pop();
        states.pop();
        states.extend(after_norm);
        sequence.cached = rows;
        self.note_latest(sequence, rows, rows);
        Ok(states)
    }
}
