//! The rules by which the pre-tokenizers that GGUF files name cut a text into words.

use serde_json::{Value, json};

use crate::error::{Code, Result, fail};

/// How a text is cut into words.
pub(super) struct PreTokenizer {
    pub splits: Value,
    /// A word that is a token is that token, whatever the merges would make of it.
    pub ignore_merges: bool,
    pub adds_bos: bool,
}

const CL100K: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const QWEN2: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const O200K: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const TEKKEN: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const SEED_CODER: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
    r"| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+",
);
/// Patterns in whose matches all of a text is: letters, numbers, white space and the rest.
pub(super) const COVERING: [&str; 5] = [CL100K, QWEN2, O200K, TEKKEN, SEED_CODER];
/// Letters of alphabets that know capitals, by their numbers: some are written as others are.
const DEEPSEEK_LETTERS: &str = concat!(
    "\\s?[",
    "A-Za-z\u{b5}\u{c0}-\u{d6}\u{d8}-\u{f6}\u{f8}-\u{1ba}\u{1bc}-\u{1bf}\u{1c4}-\u{293}",
    "\u{295}-\u{2af}\u{370}-\u{373}\u{376}\u{377}\u{37b}-\u{37d}\u{37f}\u{386}\u{388}-\u{38a}",
    "\u{38c}\u{38e}-\u{3a1}\u{3a3}-\u{3f5}\u{3f7}-\u{481}\u{48a}-\u{52f}\u{531}-\u{556}",
    "\u{10a0}-\u{10c5}\u{13a0}-\u{13f5}\u{13f8}-\u{13fd}\u{1c90}-\u{1cba}\u{1cbd}-\u{1cbf}",
    "\u{1d00}-\u{1d2b}\u{1d6b}-\u{1d77}\u{1d79}-\u{1d9a}\u{1e00}-\u{1f15}\u{1f18}-\u{1f1d}",
    "\u{1f20}-\u{1f45}\u{1f48}-\u{1f4d}\u{1f50}-\u{1f57}\u{1f59}\u{1f5b}\u{1f5d}\u{1f5f}-\u{1f7d}",
    "\u{1f80}-\u{1fb4}\u{1fb6}-\u{1fbc}\u{1fbe}\u{1fc2}-\u{1fc4}\u{1fc6}-\u{1fcc}\u{1fd0}-\u{1fd3}",
    "\u{1fd6}-\u{1fdb}\u{1fe0}-\u{1fec}\u{1ff2}-\u{1ff4}\u{1ff6}-\u{1ffc}\u{2102}\u{2107}",
    "\u{210a}-\u{2113}\u{2115}\u{2119}-\u{211d}\u{2124}\u{2126}\u{2128}\u{212a}-\u{212d}",
    "\u{212f}-\u{2134}\u{2139}\u{213c}-\u{213f}\u{2145}-\u{2149}\u{214e}\u{2183}\u{2184}",
    "\u{2c00}-\u{2c7b}\u{2c7e}-\u{2ce4}\u{2ceb}-\u{2cee}\u{2cf2}\u{2cf3}\u{a640}-\u{a66d}",
    "\u{a680}-\u{a69b}\u{a722}-\u{a76f}\u{a771}-\u{a787}\u{a78b}-\u{a78e}\u{ab70}-\u{abbf}",
    "\u{fb00}-\u{fb06}\u{fb13}-\u{fb17}\u{ff21}-\u{ff3a}\u{ff41}-\u{ff5a}\u{10400}-\u{1044f}",
    "\u{104b0}-\u{104d3}\u{104d8}-\u{104fb}\u{10c80}-\u{10cb2}\u{10cc0}-\u{10cf2}",
    "\u{118a0}-\u{118df}\u{1e900}-\u{1e943}",
    "]+",
);
const DEEPSEEK_PUNCTUATION: &str =
    "\\s?[!-/:-~\u{ff01}-\u{ff0f}\u{ff1a}-\u{ff5e}\u{2018}-\u{201f}\u{3000}-\u{3002}]+";
/// Scripts that have no spaces between words.
const DEEPSEEK_SCRIPTS: &str = "[\u{4e00}-\u{9fa5}\u{800}-\u{4e00}\u{ac00}-\u{d7ff}]+";
/// BLOOM's words.
const VIKING: &str = " ?[^(\\s|.,!?\u{2026}\u{3002}\u{ff0c}\u{3001}\u{964}\u{6d4}\u{60c})]+";

/// The rules by which a named pre-tokenizer cuts a text into words.
pub(super) fn pre_tokenizer(name: &str) -> Result<PreTokenizer> {
    let plain = |splits: Value| PreTokenizer { splits, ignore_merges: false, adds_bos: false };
    let whole_words = |splits: Value| PreTokenizer { splits, ignore_merges: true, adds_bos: true };
    let then = |mut steps: Vec<Value>, gpt2: bool| {
        steps.push(byte_level(gpt2));
        json!({"type": "Sequence", "pretokenizers": steps})
    };
    Ok(match name {
        "gpt-2" | "phi-2" | "mpt" | "olmo" | "trillion" | "a.x-4.0" | "mellum" => {
            plain(byte_level(true))
        }
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "minerva-7b" => {
            plain(then(vec![json!({"type": "Digits", "individual_digits": true})], true))
        }
        "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "pixtral" | "midm-2.0" => {
            whole_words(then(vec![split(CL100K)], false))
        }
        "dbrx" | "smaug-bpe" => plain(then(vec![split(CL100K)], false)),
        "qwen2" | "deepseek-r1-qwen" | "megrez" | "stablelm2" => {
            plain(then(vec![split(QWEN2)], false))
        }
        "gpt-4o" | "llama4" => plain(then(vec![split(O200K)], false)),
        "deepseek-llm" => {
            let words = [
                r"[\r\n]",
                DEEPSEEK_LETTERS,
                DEEPSEEK_PUNCTUATION,
                r"\s+$",
                DEEPSEEK_SCRIPTS,
                r"\p{N}+",
            ];
            plain(then(words.map(split).to_vec(), false))
        }
        "deepseek-coder" => {
            let words = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", DEEPSEEK_SCRIPTS, r"\p{N}"];
            plain(then(words.map(split).to_vec(), false))
        }
        "seed-coder" => plain(then(vec![split(SEED_CODER)], false)),
        "viking" => plain(then(vec![split(VIKING), split(r"\p{N}")], false)),
        // Words may span spaces there; only numbers are cut, into threes from the end.
        "superbpe" => plain(then(vec![split(r"\p{N}+"), split(r"(?=(\d{3})+(?!\d))")], false)),
        "tekken" => whole_words(then(vec![split(TEKKEN)], false)),
        "default" | "" => plain(json!({"type": "Sequence", "pretokenizers": [
            split(r"[\p{P}\$\+<=>\^~\|]+"),
            byte_level_words(),
            split(r"\p{N}+"),
            split("[0-9][0-9][0-9]"),
            byte_level(false),
        ]})),
        other => {
            fail!(
                Code::BadTokenizer,
                "this file's pre-tokenizer is {other:?}, which we do not know; use the model's \
                    Hugging Face files"
            )
        }
    })
}

/// Matches become words; so does what lies between them.
fn split(regex: &str) -> Value {
    json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false})
}

/// GPT-2's words alone, without turning them into its byte characters yet.
fn byte_level_words() -> Value {
    split(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
}

pub(super) fn byte_level(gpt2_words: bool) -> Value {
    json!({
        "type": "ByteLevel",
        "add_prefix_space": false,
        "trim_offsets": true,
        "use_regex": gpt2_words,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer as _};

    use super::super::rules::PreTokenizers;
    use super::*;

    #[test]
    fn pre_tokenizers_cut_as_their_models_do() {
        let rows = [
            ("gpt-2", "it's 1234 $$\n\n x  y", "it|'s| 1234| $$|\n\n| x| | y"),
            ("smollm", "it's 1234 $$\n\n x", "it|'s| |1|2|3|4| $$|\n\n| x"),
            ("llama-bpe", "IT'S 1234 $$\n\n x", "IT|'S| |123|4| $$\n\n| x"),
            ("dbrx", "IT'S 1234 (a)", "IT|'S| |123|4| (|a|)"),
            ("qwen2", "IT'S 1234 (a)", "IT|'S| |1|2|3|4| (|a|)"),
            ("gpt-4o", "it's camelCase 1234 //\n x", "it's| camel|Case| |123|4| //\n| x"),
            ("tekken", "it's camelCase 12 //\n x", "it|'s| camel|Case| |1|2| //\n| x"),
            ("trillion", "it's 1234 $$\n\n x  y", "it|'s| 1234| $$|\n\n| x| | y"),
            ("a.x-4.0", "it's 1234", "it|'s| 1234"),
            ("midm-2.0", "IT'S 1234 $$\n\n x", "IT|'S| |123|4| $$\n\n| x"),
            // What this pattern takes for punctuation has ASCII's letters in it: words are cut
            // where other letters begin.
            (
                "deepseek-llm",
                "it's 1234 Ünï 你好, a\n\n  b  ",
                "it|'|s| |1234| Ü|n|ï| |你好|,| a|\n|\n| | b|  ",
            ),
            (
                "deepseek-coder",
                "it's 1234 == 你好, a\n\n  b",
                "it|'|s| |1|2|3|4| ==| |你好|,| a|\n|\n| | b",
            ),
            ("seed-coder", "IT'S 12 (a) $$\n\n x", "IT|'S| |1|2| (|a|)| $$|\n\n| x"),
            ("viking", "it's 12, (a)  x", "it's| |1|2|, (|a|) | x"),
            ("superbpe", "by the way 1234567, 12", "by the way |1|234|567|, |12"),
            ("default", "it's 12345 a=b", "it|'|s| |123|45| a|=|b"),
            ("", "it's 12345 a=b", "it|'|s| |123|45| a|=|b"),
        ];
        for (name, text, words) in rows {
            let rules = PreTokenizers::read(&pre_tokenizer(name).unwrap().splits).unwrap();
            let mut cut = PreTokenizedString::from(text);
            rules.pre_tokenize(&mut cut).unwrap();
            let splits = cut.get_splits(OffsetReferential::Original, OffsetType::Byte);
            let found: Vec<&str> =
                splits.iter().map(|(_, (start, end), _)| &text[*start..*end]).collect();
            assert_eq!(found.join("|"), words, "{name}");
        }
    }
}
