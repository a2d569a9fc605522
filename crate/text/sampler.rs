//! From a row of logits to the next token: processors (bias, penalties), filters (top-k, top-p,
//! min-p, typical-p), one draw.
//!
//! The order is transformers': logit bias, repetition, presence and frequency penalties,
//! temperature, top-k, top-p, min-p, typical-p. The repetition penalty looks at the prompt and at
//! what was generated, as in transformers; presence and frequency penalties look at what was
//! generated only, as in OpenAI's interface.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::Value;

use super::options::{Options, short};
use crate::error::{Code, Result, fail};
use crate::random;

/// How tokens are chosen; greedily, by argmax, unless a temperature is given.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields = nullable))]
pub struct Sampling {
    /// Logits are divided by it: above 1 bolder, below 1 safer, 0 greedy.
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub temperature: f32,
    /// Keep the k most probable tokens; 0 and -1 keep all.
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub top_k: usize,
    /// Keep the fewest most probable tokens whose probabilities reach this sum: at 0 the most
    /// probable alone, at 1 all.
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub top_p: f32,
    /// Keep tokens at least this fraction as probable as the most probable; 0 keeps all.
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub min_p: f32,
    /// Keep the tokens whose surprise (the negative logarithm of their probability) is nearest to
    /// what is to be expected, the fewest whose probabilities reach this sum; 1 keeps all. Locally
    /// typical sampling (Meister and others, 2022).
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub typical_p: f32,
    /// Divides a positive logit, multiplies a negative one, of every token seen in the prompt or
    /// generated; 1 changes nothing.
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub repetition_penalty: f32,
    /// Taken off the logit of every token generated before; 0 changes nothing.
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub presence_penalty: f32,
    /// Taken off a token's logit once for each time it was generated; 0 changes nothing.
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub frequency_penalty: f32,
    /// Added to the logits of single tokens, by id.
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub logit_bias: BTreeMap<u32, f32>,
    /// The same seed gives the same text on the same backend. It may be negative; without one a
    /// fresh one is taken.
    pub seed: Option<u64>,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            typical_p: 1.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: BTreeMap::new(),
            seed: None,
        }
    }
}

impl Sampling {
    /// Its fields, by which requests ask for them.
    pub(crate) const NAMES: [&str; 10] = [
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "typical_p",
        "repetition_penalty",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "seed",
    ];

    /// Of a request: a seed may be negative, and -1 stands for all as 0 does. What is left out is
    /// as it is by default.
    ///
    /// # Errors
    /// [`Code::BadOption`], naming the option, its value and what it may be.
    pub(crate) fn of(given: &Options) -> Result<Sampling> {
        let default = Sampling::default();
        let sampling = Sampling {
            temperature: given.number("temperature", NOT_NEGATIVE, default.temperature)?,
            top_k: given.whole("top_k", -1..=i128::MAX, TOP_K)?.map_or(default.top_k, top_k),
            top_p: given.number("top_p", SHARE, default.top_p)?,
            min_p: given.number("min_p", SHARE, default.min_p)?,
            typical_p: given.number("typical_p", SHARE, default.typical_p)?,
            repetition_penalty: given.number(
                "repetition_penalty",
                POSITIVE,
                default.repetition_penalty,
            )?,
            presence_penalty: given.number("presence_penalty", NUMBER, default.presence_penalty)?,
            frequency_penalty: given.number(
                "frequency_penalty",
                NUMBER,
                default.frequency_penalty,
            )?,
            logit_bias: given.get("logit_bias").map(logit_bias).transpose()?.unwrap_or_default(),
            seed: given.whole("seed", SEEDS, SEED)?.map(|seed| seed as u64),
        };
        sampling.validate().map(|()| sampling)
    }

    /// `top_k` as people write it: 0 or -1 for all.
    ///
    /// # Errors
    /// What it must be, in words.
    pub fn parse_top_k(text: &str) -> std::result::Result<usize, String> {
        text.parse()
            .ok()
            .filter(|&number: &i128| number >= -1)
            .map(top_k)
            .ok_or_else(|| format!("it must be {TOP_K}"))
    }

    /// A seed as people write it. Clients of OpenAI's have signed ones: a negative one is the
    /// number with the same bits.
    ///
    /// # Errors
    /// What it must be, in words.
    pub fn parse_seed(text: &str) -> std::result::Result<u64, String> {
        text.parse()
            .ok()
            .filter(|seed| SEEDS.contains(seed))
            .map(|seed: i128| seed as u64)
            .ok_or_else(|| format!("it must be {SEED}"))
    }

    /// Whether every number is in its range.
    ///
    /// # Errors
    /// [`Code::BadOption`], naming the option, its value and its range.
    pub fn validate(&self) -> Result<()> {
        let ranges = [
            ("temperature", self.temperature, self.temperature >= 0.0, NOT_NEGATIVE),
            ("top_p", self.top_p, (0.0..=1.0).contains(&self.top_p), SHARE),
            ("min_p", self.min_p, (0.0..=1.0).contains(&self.min_p), SHARE),
            ("typical_p", self.typical_p, (0.0..=1.0).contains(&self.typical_p), SHARE),
            (
                "repetition_penalty",
                self.repetition_penalty,
                self.repetition_penalty > 0.0,
                POSITIVE,
            ),
            ("presence_penalty", self.presence_penalty, true, NUMBER),
            ("frequency_penalty", self.frequency_penalty, true, NUMBER),
        ];
        for (name, value, in_range, range) in ranges {
            if !(in_range && value.is_finite()) {
                fail!(Code::BadOption, "{name} is {value}: it must be {range}");
            }
        }
        if let Some((id, bias)) =
            self.logit_bias.iter().find(|(_, bias)| bias.is_nan() || **bias == f32::INFINITY)
        {
            fail!(Code::BadOption, "logit_bias of token {id} is {bias}: it must be {BIAS}");
        }
        Ok(())
    }

    /// Whether a device that draws knows all these rules. Which tokens are typical takes an order
    /// that no kernel makes.
    pub fn is_for_devices(&self) -> bool {
        self.typical_p >= 1.0
    }

    /// Whether the choice is the largest logit as it stands, so that a device may make it without
    /// the logits leaving it.
    pub fn is_plain_argmax(&self) -> bool {
        self.temperature == 0.0
            && self.repetition_penalty == 1.0
            && self.presence_penalty == 0.0
            && self.frequency_penalty == 0.0
            && self.logit_bias.is_empty()
    }
}

const NUMBER: &str = "a number";
const NOT_NEGATIVE: &str = "a number, 0 or more";
const POSITIVE: &str = "a number above 0";
const SHARE: &str = "a number from 0 to 1";
const BIAS: &str = "a number, or minus infinity to forbid the token";
const TOP_K: &str = "a whole number from -1 on; 0 and -1 keep all tokens";
const SEED: &str = "a whole number from -2^63 to 2^64 - 1";
const SEEDS: RangeInclusive<i128> = i64::MIN as i128..=u64::MAX as i128;

fn top_k(number: i128) -> usize {
    usize::try_from(number.max(0)).unwrap_or(usize::MAX)
}

/// From JSON, where names are texts: `{"17": -100}`.
fn logit_bias(json: &Value) -> Result<BTreeMap<u32, f32>> {
    let Value::Object(biases) = json else {
        fail!(
            Code::BadOption,
            "logit_bias is {}: it must be an object from token ids to biases, such as \
                {{\"17\": -100}}",
            short(json)
        );
    };
    let read = |(id, bias): (&String, &Value)| -> Result<(u32, f32)> {
        let number = if bias == "-Infinity" {
            Some(f32::NEG_INFINITY)
        } else {
            bias.as_f64().map(|bias| bias as f32)
        };
        let Ok(id) = id.parse::<u32>() else {
            fail!(Code::BadOption, "logit_bias has {id:?}: what it names must be ids of tokens");
        };
        let Some(number) = number else {
            fail!(
                Code::BadOption,
                "logit_bias of token {id} is {}: it must be {BIAS}",
                short(bias)
            );
        };
        Ok((id, number))
    };
    biases.iter().map(read).collect()
}

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
            self.candidates.select_nth_unstable_by(k - 1, likelier);
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
        self.candidates.sort_unstable_by(likelier);
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
fn likelier(a: &Candidate, b: &Candidate) -> Ordering {
    b.logit.total_cmp(&a.logit).then(a.id.cmp(&b.id))
}
