//! From a row of logits to the next token: processors (bias, penalties), filters (top-k, top-p,
//! min-p, typical-p), one draw.
//!
//! The order is transformers': logit bias, repetition, presence and frequency penalties,
//! temperature, top-k, top-p, min-p, typical-p. The repetition penalty looks at the prompt and at
//! what was generated, as in transformers; presence and frequency penalties look at what was
//! generated only, as in OpenAI's interface.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::sampling::Sampling;
use crate::error::Result;
use crate::random;

/// One token that may still be drawn.
#[derive(Clone, Copy)]
struct Candidate {
    id: u32,
    logit: f32,
    /// `exp((logit - max) / temperature)`: the most probable token has 1.
    weight: f32,
}

/// Chooses tokens, one row of logits at a time, and remembers them.
pub struct Sampler {
    sampling: Sampling,
    never: Vec<u32>,
    /// How often each token of the prompt and of the answer was generated: a prompt's may be at 0.
    seen: BTreeMap<u32, u32>,
    seed: u64,
    /// Tokens chosen so far: the place of the next draw.
    chosen: u64,
    candidates: Vec<Candidate>,
}

impl Sampler {
    /// A sampler for one answer. `never` are the ids that must not be chosen: padding, see
    /// [`Tokenizer::padding`](super::Tokenizer::padding). `fresh_seed` counts when `sampling` has
    /// no seed.
    ///
    /// # Errors
    /// [`Code::BadOption`], as [`Sampling::validate`].
    pub fn new(
        sampling: &Sampling,
        never: impl IntoIterator<Item = u32>,
        fresh_seed: u64,
    ) -> Result<Sampler> {
        sampling.validate()?;
        Ok(Sampler {
            sampling: sampling.clone(),
            never: never.into_iter().collect(),
            seen: BTreeMap::new(),
            seed: sampling.seed.unwrap_or(fresh_seed),
            chosen: 0,
            candidates: Vec::new(),
        })
    }

    /// Notes the prompt's tokens, for the repetition penalty.
    pub fn prompt(&mut self, ids: &[u32]) {
        for &id in ids {
            self.seen.entry(id).or_default();
        }
    }

    /// Notes a token as generated. [`Sampler::sample`] does so itself: this is for tokens chosen
    /// elsewhere.
    pub fn accept(&mut self, id: u32) {
        *self.seen.entry(id).or_default() += 1;
        self.chosen += 1;
    }

    /// What was asked for.
    pub fn sampling(&self) -> &Sampling {
        &self.sampling
    }

    /// The seed of its draws, of which each token chosen takes one.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The tokens noted, and how often each was generated: a prompt's may be at 0.
    pub fn seen(&self) -> &BTreeMap<u32, u32> {
        &self.seen
    }

    /// How many tokens were chosen.
    pub fn chosen(&self) -> u64 {
        self.chosen
    }

    /// Chooses the next token and notes it. `logits` is one row, indexed by id; it is used as
    /// scratch.
    ///
    /// Among equals the lowest id wins; NaN counts as impossible. Where nothing is possible, it is
    /// the lowest id that is not padding.
    pub fn sample(&mut self, logits: &mut [f32]) -> u32 {
        self.process(logits);
        let id = self.choose(logits);
        self.accept(id);
        id
    }

    /// Bias and penalties, in place; what must not be chosen becomes minus infinity.
    fn process(&self, logits: &mut [f32]) {
        for logit in logits.iter_mut().filter(|logit| logit.is_nan()) {
            *logit = f32::NEG_INFINITY;
        }
        let s = &self.sampling;
        for (&id, bias) in &s.logit_bias {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit += bias;
            }
        }
        for (&id, &generated) in &self.seen {
            let Some(logit) = logits.get_mut(id as usize) else { continue };
            *logit = if *logit > 0.0 {
                *logit / s.repetition_penalty
            } else {
                *logit * s.repetition_penalty
            };
            if generated > 0 {
                *logit -= s.presence_penalty + s.frequency_penalty * generated as f32;
            }
        }
        for &id in &self.never {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
    }

    fn choose(&mut self, logits: &[f32]) -> u32 {
        let best = argmax(logits);
        let max = logits.get(best as usize).copied().unwrap_or(f32::NEG_INFINITY);
        if max == f32::NEG_INFINITY {
            return (0..logits.len() as u32).find(|id| !self.never.contains(id)).unwrap_or(0);
        }
        if self.sampling.temperature == 0.0 || max == f32::INFINITY {
            return best;
        }
        self.fill(logits, max);
        self.keep_top_k();
        self.keep_top_p();
        self.candidates.retain(|c| c.weight >= self.sampling.min_p);
        self.keep_typical();
        self.draw().unwrap_or(best)
    }

    /// The candidates: every token whose probability is more than nothing.
    fn fill(&mut self, logits: &[f32], max: f32) {
        let temperature = self.sampling.temperature;
        let weigh = |(id, &logit): (usize, &f32)| Candidate {
            id: id as u32,
            logit,
            weight: ((logit - max) / temperature).exp(),
        };
        self.candidates.clear();
        self.candidates.extend(logits.iter().enumerate().map(weigh).filter(|c| c.weight > 0.0));
    }

    fn keep_top_k(&mut self) {
        let k = self.sampling.top_k;
        if k > 0 && k < self.candidates.len() {
            self.candidates.select_nth_unstable_by(k - 1, more_probable);
            self.candidates.truncate(k);
        }
    }

    fn keep_top_p(&mut self) {
        if self.sampling.top_p >= 1.0 {
            return;
        }
        let enough = self.total() * f64::from(self.sampling.top_p);
        // A token below this share of what may be left out cannot be needed: sorting the rest is
        // much less work.
        let least = (self.total() - enough) / self.candidates.len() as f64;
        self.candidates.retain(|c| f64::from(c.weight) >= least * 0.999_999);
        self.candidates.sort_unstable_by(more_probable);
        let mut sum = 0.0;
        let needed = self.candidates.iter().position(|c| {
            sum += f64::from(c.weight);
            sum >= enough
        });
        self.candidates.truncate(needed.map_or(usize::MAX, |last| last + 1));
    }

    /// Those nearest to the expected surprise, equally near ones together.
    fn keep_typical(&mut self) {
        if self.sampling.typical_p >= 1.0 {
            return;
        }
        let total = self.total();
        let surprise = |c: &Candidate| total.ln() - f64::from(c.weight).ln();
        let expected =
            self.candidates.iter().map(|c| f64::from(c.weight) / total * surprise(c)).sum::<f64>();
        let distance = |c: &Candidate| (surprise(c) - expected).abs();
        self.candidates.sort_unstable_by(|a, b| distance(a).total_cmp(&distance(b)));
        let (enough, mut sum) = (total * f64::from(self.sampling.typical_p), 0.0);
        let last = self.candidates.iter().find(|c| {
            sum += f64::from(c.weight);
            sum >= enough
        });
        if let Some(farthest) = last.map(distance) {
            self.candidates.retain(|c| distance(c) <= farthest);
        }
    }

    fn total(&self) -> f64 {
        self.candidates.iter().map(|c| f64::from(c.weight)).sum()
    }

    /// Draws by weight, going through the candidates in the order of their ids.
    fn draw(&mut self) -> Option<u32> {
        self.candidates.sort_unstable_by_key(|c| c.id);
        let mut left = random::unit(self.seed, self.chosen) * self.total();
        for c in &self.candidates {
            left -= f64::from(c.weight);
            if left < 0.0 {
                return Some(c.id);
            }
        }
        // Only rounding can lead here.
        self.candidates.last().map(|c| c.id)
    }
}

/// The largest logit's id, the lowest among equals; 0 for an empty row.
fn argmax(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = id;
        }
    }
    best as u32
}

/// By falling logit, then by rising id.
fn more_probable(a: &Candidate, b: &Candidate) -> Ordering {
    b.logit.total_cmp(&a.logit).then(a.id.cmp(&b.id))
}
