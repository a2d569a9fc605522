//! What is done to a text before the vocabulary sees it: a tokenizer's rules, each a step of the
//! library's, from their JSON.
//!
//! The library reads them too, but its readers take all rules that there are and bring each of them
//! into the module that a phone fetches. Those that BPE tokenizers have are read here. A
//! tokenizer's file is a stranger's: there are bounds to how many rules it has and to what a
//! pattern may ask for, looked at before the library builds anything.

use serde_json::Value;
use tokenizers::normalizers::replace::{Replace, ReplacePattern};
use tokenizers::normalizers::{
    self, Lowercase, NFC, NFD, NFKC, NFKD, Prepend, Strip, StripAccents,
};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::punctuation::Punctuation;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{
    AddedToken, NormalizedString, Normalizer, PreTokenizedString, PreTokenizer,
    SplitDelimiterBehavior,
};

use super::bad;
use super::pattern;
use super::tokens::Spelling;
use crate::error::{Code, Error, Result, fail};

/// More steps than any tokenizer has, and as many of the largest patterns that the library compiles
/// as memory is for.
const MOST_STEPS: usize = 16;

/// How many times as long replacements may make a text. Those in use make a space three bytes.
const MOST_GROWTH: usize = 16;
/// Bytes that are put before a text; those in use put a space of three.
const LONGEST_PREPENDED: usize = 64;

/// What is done to a text and to its tokens, as `tokenizer.json` has it; null for nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub normalizer: Value,
    pub pre_tokenizer: Value,
    pub decoder: Value,
}

/// What changes a text's characters.
pub(super) struct Normalizers(Vec<Box<dyn Normalizer + Send + Sync>>);

/// What cuts a text into words.
pub(super) struct PreTokenizers(Vec<Box<dyn PreTokenizer + Send + Sync>>);

impl Normalizers {
    pub fn read(rules: &Value) -> Result<Normalizers> {
        let steps = steps(rules, "normalizers")?;
        check_growth(&steps)?;
        Ok(Normalizers(steps.into_iter().map(normalizer).collect::<Result<_>>()?))
    }
}

impl PreTokenizers {
    pub fn read(rules: &Value) -> Result<PreTokenizers> {
        Ok(PreTokenizers(
            steps(rules, "pretokenizers")?.into_iter().map(pre_tokenizer).collect::<Result<_>>()?,
        ))
    }
}

impl Normalizer for Normalizers {
    fn normalize(&self, text: &mut NormalizedString) -> tokenizers::Result<()> {
        self.0.iter().try_for_each(|step| step.normalize(text))
    }
}

impl PreTokenizer for PreTokenizers {
    fn pre_tokenize(&self, text: &mut PreTokenizedString) -> tokenizers::Result<()> {
        self.0.iter().try_for_each(|step| step.pre_tokenize(text))
    }
}

/// How tokens spell bytes, and whether a text starts with a space that stands for nothing: the
/// decoder says both.
pub(super) fn spelling(decoder: &Value) -> Result<(Spelling, bool)> {
    let mut found = (None, false);
    for step in steps(decoder, "decoders")? {
        match kind(step) {
            "ByteLevel" => found.0 = Some(Spelling::ByteLevel),
            "ByteFallback" => found.0 = Some(Spelling::Pieces),
            "Metaspace" => {
                found = (Some(Spelling::Pieces), prepend_scheme(step)? != PrependScheme::Never)
            }
            "Strip" => found.1 |= step["content"] == " " && step["start"].as_u64() > Some(0),
            "Fuse" | "Replace" => {}
            other => return unknown(other),
        }
    }
    match found {
        (Some(spelling), strips) => Ok((spelling, strips)),
        (None, _) => {
            fail!(
                Code::BadTokenizer,
                "this tokenizer's decoder is neither byte-level nor SentencePiece, the two kinds \
                    that are read"
            )
        }
    }
}

/// A token that is found in a text before anything else is done to it. What is not said about it is
/// as the library has it.
pub(super) fn added_token(json: &Value) -> Option<AddedToken> {
    let flag = |name: &str| json[name].as_bool().unwrap_or_default();
    let special = flag("special");
    Some(AddedToken {
        content: json["content"].as_str()?.to_owned(),
        single_word: flag("single_word"),
        lstrip: flag("lstrip"),
        rstrip: flag("rstrip"),
        normalized: json["normalized"].as_bool().unwrap_or(!special),
        special,
    })
}

/// Every rule, those of a sequence, which lie under `list`, in its place.
pub(super) fn steps<'a>(rule: &'a Value, list: &str) -> Result<Vec<&'a Value>> {
    let mut found = Vec::new();
    // What is left to look at, the first at the end.
    let mut left = if rule.is_null() { Vec::new() } else { vec![rule] };
    let mut seen = 0;
    while let Some(next) = left.pop() {
        seen += 1;
        if seen > MOST_STEPS {
            fail!(
                Code::BadTokenizer,
                "the tokenizer has more than {MOST_STEPS} {list}; its file is damaged"
            );
        }
        match kind(next) {
            "Sequence" => {
                left.extend(next[list].as_array().ok_or_else(|| lacks(next, list))?.iter().rev())
            }
            _ => found.push(next),
        }
    }
    Ok(found)
}

/// Refuses rules that make much of a little text.
fn check_growth(steps: &[&Value]) -> Result<()> {
    let mut growth = 1_usize;
    for step in steps {
        let length = |text: &Value| text.as_str().map_or(0, str::len);
        if kind(step) == "Replace" {
            // What a regular expression matches may be as short as nothing, which is between any
            // two letters.
            let replaced = length(&step["pattern"]["String"]);
            let by = length(&step["content"]);
            growth = growth.saturating_mul(if replaced == 0 {
                by + 1
            } else {
                by.div_ceil(replaced).max(1)
            });
        }
        let prepended = length(&step["prepend"]);
        if growth > MOST_GROWTH || prepended > LONGEST_PREPENDED {
            fail!(
                Code::BadTokenizer,
                "the tokenizer's normalizers make a text more than {MOST_GROWTH} times as long, or \
                 put more than {LONGEST_PREPENDED} bytes before it, which we do not read"
            );
        }
    }
    Ok(())
}

fn normalizer(rule: &Value) -> Result<Box<dyn Normalizer + Send + Sync>> {
    Ok(match kind(rule) {
        "NFC" => Box::new(NFC),
        "NFD" => Box::new(NFD),
        "NFKC" => Box::new(NFKC),
        "NFKD" => Box::new(NFKD),
        "Lowercase" => Box::new(Lowercase),
        "StripAccents" => Box::new(StripAccents),
        "Strip" => {
            Box::new(Strip::new(flag(rule, "strip_left", None)?, flag(rule, "strip_right", None)?))
        }
        "Prepend" => Box::new(Prepend::new(text(rule, "prepend")?.to_owned())),
        "Replace" => {
            let pattern = match pattern_of(rule)? {
                SplitPattern::String(plain) => ReplacePattern::String(plain),
                SplitPattern::Regex(regex) => ReplacePattern::Regex(regex),
            };
            Box::new(Replace::new(pattern, text(rule, "content")?).map_err(cannot_be_built)?)
        }
        "ByteLevel" => Box::new(normalizers::ByteLevel::new()),
        other => return unknown(other),
    })
}

fn pre_tokenizer(rule: &Value) -> Result<Box<dyn PreTokenizer + Send + Sync>> {
    Ok(match kind(rule) {
        "ByteLevel" => Box::new(ByteLevel::new(
            flag(rule, "add_prefix_space", None)?,
            true,
            flag(rule, "use_regex", Some(true))?,
        )),
        "Split" => {
            let split =
                Split::new(pattern_of(rule)?, behavior(rule, None)?, flag(rule, "invert", None)?);
            Box::new(split.map_err(cannot_be_built)?)
        }
        "Metaspace" => Box::new(Metaspace::new(
            character(rule, "replacement")?,
            prepend_scheme(rule)?,
            flag(rule, "split", Some(true))?,
        )),
        "Digits" => Box::new(Digits::new(flag(rule, "individual_digits", None)?)),
        "Punctuation" => {
            Box::new(Punctuation::new(behavior(rule, Some(SplitDelimiterBehavior::Isolated))?))
        }
        other => return unknown(other),
    })
}

/// What a rule calls itself.
pub(super) fn kind(rule: &Value) -> &str {
    rule["type"].as_str().unwrap_or_default()
}

fn flag(rule: &Value, name: &str, default: Option<bool>) -> Result<bool> {
    match &rule[name] {
        Value::Null => default,
        given => given.as_bool(),
    }
    .ok_or_else(|| lacks(rule, name))
}

fn text<'a>(rule: &'a Value, name: &str) -> Result<&'a str> {
    rule[name].as_str().ok_or_else(|| lacks(rule, name))
}

fn character(rule: &Value, name: &str) -> Result<char> {
    let mut characters = text(rule, name)?.chars();
    match (characters.next(), characters.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(lacks(rule, name)),
    }
}

fn pattern_of(rule: &Value) -> Result<SplitPattern> {
    let pattern = &rule["pattern"];
    match (pattern["String"].as_str(), pattern["Regex"].as_str()) {
        (Some(plain), None) => Ok(SplitPattern::String(plain.to_owned())),
        (None, Some(regex)) => {
            pattern::check(regex)?;
            Ok(SplitPattern::Regex(regex.to_owned()))
        }
        _ => Err(lacks(rule, "pattern")),
    }
}

fn behavior(
    rule: &Value,
    default: Option<SplitDelimiterBehavior>,
) -> Result<SplitDelimiterBehavior> {
    match rule["behavior"].as_str() {
        Some("Removed") => Some(SplitDelimiterBehavior::Removed),
        Some("Isolated") => Some(SplitDelimiterBehavior::Isolated),
        Some("MergedWithPrevious") => Some(SplitDelimiterBehavior::MergedWithPrevious),
        Some("MergedWithNext") => Some(SplitDelimiterBehavior::MergedWithNext),
        Some("Contiguous") => Some(SplitDelimiterBehavior::Contiguous),
        Some(_) => None,
        None => default,
    }
    .ok_or_else(|| lacks(rule, "behavior"))
}

/// Which words get a space before them; files older than the name say only whether any does.
fn prepend_scheme(rule: &Value) -> Result<PrependScheme> {
    match rule["prepend_scheme"].as_str() {
        Some("first") => Ok(PrependScheme::First),
        Some("never") => Ok(PrependScheme::Never),
        Some("always") => Ok(PrependScheme::Always),
        Some(_) => Err(lacks(rule, "prepend_scheme")),
        None if rule["add_prefix_space"] == false => Ok(PrependScheme::Never),
        None => Ok(PrependScheme::Always),
    }
}

fn lacks(rule: &Value, name: &str) -> Error {
    bad(format!(
        "the tokenizer's rules are damaged: the {name} of {:?} cannot be read; fetch the \
            tokenizer again",
        kind(rule)
    ))
}

fn cannot_be_built(error: tokenizers::Error) -> Error {
    bad(format!("the tokenizer's rules cannot be built: {error}"))
}

fn unknown<T>(kind: &str) -> Result<T> {
    fail!(
        Code::BadTokenizer,
        "the tokenizer's rules hold {kind:?}, which BPE tokenizers of the models that we run do \
            not have"
    )
}

#[cfg(test)]
mod tests;
