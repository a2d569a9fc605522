//! Whether a model and a conversation have room, before the first of the weights is read.

use crate::backend::Backend;
use crate::error::{Code, Details, Error, Result};
use crate::model::kv;
use crate::op::{KvKind, PAGE};
use crate::weights::checkpoint::Checkpoint;
use crate::weights::format::WeightFormat;
use crate::weights::source::Source;

/// What reading and answering take for a while, at the most: chunks of files, panels of weights,
/// packed activations. Small models take no more than they have.
const WORKING: u64 = 24 << 20;
/// Bytes that are asked for ahead, at the most. A module's memory does not shrink, and browsers put
/// off collecting rubbish the longer the more of it there is: with all that a large model takes, a
/// download had left 200 MB lying. What has no room beyond is refused while it is read.
const AHEAD: u64 = 512 << 20;
/// Contexts that are proposed come in these steps; a shorter one is no conversation.
const STEP: u64 = 256;

/// What a model takes, in bytes.
struct Needed {
    weights: u64,
    /// Keys and values of a page, and pages beyond those of a context's positions.
    page: u64,
    more_pages: u64,
    working: u64,
}

/// An error that names the longest context that has room, where this one has none.
///
/// # Errors
/// `out-of-memory`.
pub fn check<S: Source, B: Backend>(
    checkpoint: &Checkpoint<S>,
    backend: &B,
    format: WeightFormat,
    (ctx_len, kind): (usize, KvKind),
) -> Result<()> {
    let weights = checkpoint.held_bytes(format);
    let needed = Needed {
        weights,
        page: kv::page_bytes(&checkpoint.config, kind),
        more_pages: kv::pages(kind, 0) as u64,
        working: WORKING.min(weights),
    };
    let all = needed.with(ctx_len as u64);
    let ahead = all.min(AHEAD);
    let room = backend.room(ahead);
    if room < ahead { Err(needed.refused(ctx_len as u64, room)) } else { Ok(()) }
}

impl Needed {
    fn with(&self, ctx_len: u64) -> u64 {
        self.weights + self.working + self.context(ctx_len)
    }

    /// Keys and values of so many tokens.
    fn context(&self, ctx_len: u64) -> u64 {
        self.page * (ctx_len.div_ceil(PAGE.into()) + self.more_pages)
    }

    /// The longest context that so many bytes have room for.
    fn longest(&self, room: u64) -> u64 {
        room.saturating_sub(self.with(0)) / self.page * u64::from(PAGE) / STEP * STEP
    }

    fn refused(&self, ctx_len: u64, room: u64) -> Error {
        let longest = self.longest(room);
        let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        let [all, weights, context, working, there] =
            [self.with(ctx_len), self.weights, self.context(ctx_len), self.working, room]
                .map(megabytes);
        let advice = match longest {
            0 => "take a smaller model, or close other programs".to_owned(),
            _ => format!("ask for a context of {longest} tokens, or take a smaller model"),
        };
        let what = format!(
            "{weights} for weights, {context} for {ctx_len} tokens of context, {working} to work in"
        );
        let error = Error::new(
            Code::OutOfMemory,
            format!("{all} of memory are needed ({what}) and {there} are there"),
        );
        error.advise(advice).with(Details { ctx_len: Some(longest as usize), ..Details::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    #[test]
    fn the_longest_context_that_has_room_is_named() {
        let needed =
            Needed { weights: 98 * MB, page: 64 * 23_040, more_pages: 0, working: 25 * MB };
        let rows = [
            // bytes there, tokens
            (217 * MB, 3840),
            (130 * MB, 256),
            (128 * MB, 0),
            (10 * MB, 0),
        ];
        for (room, longest) in rows {
            assert_eq!(needed.longest(room), longest, "{room}");
            assert!(needed.with(longest) <= room || longest == 0);
            let error = needed.refused(4096, room);
            assert_eq!(
                (error.code, error.details().ctx_len),
                (Code::OutOfMemory, Some(longest as usize))
            );
            assert_eq!(
                error.sentence().contains(&format!("ask for a context of {longest} tokens")),
                longest > 0,
                "{error}"
            );
        }
        let sentence = "217.4 MB of memory are needed (98.0 MB for weights, 94.4 MB for 4096 \
                        tokens of context, 25.0 MB to work in) and 130.0 MB are there; ask for a \
                        context of 256 tokens, or take a smaller model";
        assert_eq!(needed.refused(4096, 130 * MB).sentence(), sentence);
    }
}
