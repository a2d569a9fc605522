//! The rules beside the library's own reading of them.
#![allow(clippy::unwrap_used)]

use serde_json::json;
use tokenizers::{NormalizerWrapper, OffsetReferential, OffsetType, PreTokenizerWrapper};

use super::*;

const TEXTS: [&str; 4] = ["  Ünïcode, it's 1234 ﬁne\u{301}! ", "a-b_c  d\n\n▁e", "", "你好 x"];

fn cut(rules: &impl PreTokenizer, text: &str) -> Vec<String> {
    let mut cut = PreTokenizedString::from(text);
    rules.pre_tokenize(&mut cut).unwrap();
    cut.get_splits(OffsetReferential::Normalized, OffsetType::Byte)
        .into_iter()
        .map(|(word, _, _)| word.to_owned())
        .collect()
}

#[test]
fn words_are_cut_as_by_the_library_that_reads_its_rules_itself() {
    let split = |behavior: &str, invert| {
        json!({
            "type": "Split", "pattern": {"Regex": "\\d|e"}, "behavior": behavior,
            "invert": invert,
        })
    };
    let rules = [
        json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true}),
        json!({
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false,
            "use_regex": false,
        }),
        split("Removed", false),
        split("Isolated", true),
        split("MergedWithPrevious", false),
        split("MergedWithNext", false),
        split("Contiguous", false),
        json!({
            "type": "Split", "pattern": {"String": "."}, "behavior": "Isolated",
            "invert": false,
        }),
        json!({
            "type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false,
        }),
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"}),
        json!({"type": "Metaspace", "replacement": "_", "add_prefix_space": true}),
        json!({"type": "Digits", "individual_digits": true}),
        json!({"type": "Digits", "individual_digits": false}),
        json!({"type": "Punctuation"}),
        json!({"type": "Punctuation", "behavior": "Contiguous"}),
        json!({"type": "Sequence", "pretokenizers": [
            {"type": "Punctuation"},
            {"type": "Sequence", "pretokenizers": [split("Isolated", false)]},
        ]}),
    ];
    for rule in rules {
        let reference: PreTokenizerWrapper = serde_json::from_value(rule.clone()).unwrap();
        let ours = PreTokenizers::read(&rule).unwrap();
        for text in TEXTS {
            assert_eq!(cut(&ours, text), cut(&reference, text), "{rule}: {text:?}");
        }
    }
}

#[test]
fn texts_are_normalised_as_by_the_library_that_reads_its_rules_itself() {
    let rules = [
        json!({"type": "NFC"}),
        json!({"type": "NFD"}),
        json!({"type": "NFKC"}),
        json!({"type": "NFKD"}),
        json!({"type": "Lowercase"}),
        json!({"type": "ByteLevel"}),
        json!({"type": "Strip", "strip_left": true, "strip_right": false}),
        json!({"type": "Prepend", "prepend": "▁"}),
        json!({"type": "Replace", "pattern": {"String": "."}, "content": "x"}),
        json!({"type": "Replace", "pattern": {"Regex": " +"}, "content": "▁"}),
        json!({"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}]}),
    ];
    for rule in rules {
        let reference: NormalizerWrapper = serde_json::from_value(rule.clone()).unwrap();
        let ours = Normalizers::read(&rule).unwrap();
        for text in TEXTS {
            let (mut left, mut right) =
                (NormalizedString::from(text), NormalizedString::from(text));
            ours.normalize(&mut left).unwrap();
            reference.normalize(&mut right).unwrap();
            assert_eq!(left.get(), right.get(), "{rule}: {text:?}");
        }
    }
}
