//! How tokens are chosen: the options, their ranges, and how requests have them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::Value;

use super::options::{NamedOptions, short};
use crate::error::{Code, Result, fail};

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
    pub(crate) fn of(given: &NamedOptions) -> Result<Sampling> {
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
