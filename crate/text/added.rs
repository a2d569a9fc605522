//! Added tokens: what is found in a text before the vocabulary sees it.
//!
//! They are found where the library finds them (the test at the end compares), but in a rendered
//! conversation only where the template wrote them: a normalizer may make one of what is spelt
//! otherwise, and one of a single character has no inside for a mark to be in.

use std::collections::HashMap;

use tokenizers::normalizer::Range;
use tokenizers::utils::SysRegex;
use tokenizers::{AddedToken, NormalizedString, Normalizer, PreTokenizedString, Token};

use super::bad;
use super::prompt::Prompt;
use super::rules::Normalizers;
use crate::error::Result;

/// A piece of a text, and the token that it is.
type Piece = (NormalizedString, Option<Vec<Token>>);

pub(super) struct AddedTokens {
    pub by_id: HashMap<u32, AddedToken>,
    /// Those that are looked for in the text as it was written, and those in what the normalizers
    /// make of it.
    written: Finder,
    normalized: Finder,
    /// What is part of a word, where a token asks for that.
    word: Option<SysRegex>,
}

impl AddedTokens {
    pub fn new(
        tokens: impl IntoIterator<Item = (u32, AddedToken)>,
        normalizers: &Normalizers,
    ) -> Result<AddedTokens> {
        let by_id: HashMap<_, _> = tokens.into_iter().collect();
        let (mut written, mut normalized) = (Vec::new(), Vec::new());
        for (&id, token) in &by_id {
            if token.normalized {
                let mut text = NormalizedString::from(token.content.as_str());
                normalizers.normalize(&mut text).map_err(damaged)?;
                normalized.push((text.get().to_owned(), id));
            } else {
                written.push((token.content.clone(), id));
            }
        }
        let word = by_id
            .values()
            .any(|token| token.single_word)
            .then(|| SysRegex::new(r"\w").map_err(damaged))
            .transpose()?;
        Ok(AddedTokens {
            written: Finder::new(written),
            normalized: Finder::new(normalized),
            by_id,
            word,
        })
    }

    /// A text as the normalizers leave it, cut where tokens are. Its marks are gone before anything
    /// is made of it.
    pub fn extract_and_normalize(
        &self,
        prompt: &Prompt,
        normalizers: &Normalizers,
    ) -> tokenizers::Result<PreTokenizedString> {
        let mut text = PreTokenizedString::from(prompt.marked.as_str());
        if let Some(mark) = prompt.mark {
            text.normalize(|text| text.replace(mark, ""))?;
        }
        text.split(|_, piece| Ok(self.cut(piece, false, prompt)?))?;
        text.split(|_, mut piece| {
            normalizers.normalize(&mut piece)?;
            Ok(self.cut(piece, true, prompt)?)
        })?;
        Ok(text)
    }

    /// Cuts a text as it was written, or, once they changed it, as the normalizers left it.
    fn cut(
        &self,
        text: NormalizedString,
        is_normalized: bool,
        prompt: &Prompt,
    ) -> Result<Vec<Piece>> {
        let sentence = text.get();
        let finder = if is_normalized { &self.normalized } else { &self.written };
        let mut pieces = Vec::new();
        let mut piece = |range, id: Option<u32>| {
            let part = text
                .slice(Range::Normalized(range))
                .ok_or_else(|| bad("the text has no such part".to_owned()))?;
            pieces.push((part, id.map(|id| vec![Token::new(id, String::new(), (0, 0))])));
            Ok(())
        };
        // What is cut off so far, and where to look on.
        let (mut end, mut from) = (0, 0);
        while let Some(at) = finder.candidate(sentence, from) {
            let is_written = |&(length, id): &(usize, u32)| {
                self.is_written(&self.by_id[&id], &text, at..at + length, prompt)
            };
            let Some((length, id)) = finder.at(&sentence[at..]).into_iter().rev().find(is_written)
            else {
                from = at + sentence[at..].chars().next().map_or(1, char::len_utf8);
                continue;
            };
            let (mut start, mut stop) = (at, at + length);
            from = stop;
            let token = &self.by_id[&id];
            if token.single_word && !self.is_single(&sentence[..start], &sentence[stop..]) {
                continue;
            }
            if token.lstrip {
                start = sentence[..start].trim_end().len().max(end);
            }
            if token.rstrip {
                stop = sentence.len() - sentence[stop..].trim_start().len();
            }
            if end < start {
                piece(end..start, None)?;
            }
            piece(start..stop, Some(id))?;
            end = stop;
        }
        if end != sentence.len() {
            piece(end..sentence.len(), None)?;
        }
        Ok(pieces)
    }

    /// Whether somebody who may write a token wrote this one: in a rendered conversation, the
    /// template.
    fn is_written(
        &self,
        token: &AddedToken,
        text: &NormalizedString,
        range: std::ops::Range<usize>,
        prompt: &Prompt,
    ) -> bool {
        if !prompt.is_rendered || is_blank(token) {
            return true;
        }
        let (shift, _) = text.offsets_original();
        let Some(place) = text.convert_offsets(Range::Normalized(range)) else { return false };
        let (start, end) = (shift + place.start, shift + place.end);
        let is_spelt =
            prompt.marked.get(start..end).is_some_and(|written| written.contains(&token.content));
        let is_marked = || {
            prompt
                .marked
                .get(end..)
                .zip(prompt.mark)
                .is_some_and(|(after, mark)| after.starts_with(mark))
        };
        is_spelt && (token.content.chars().nth(1).is_some() || !is_marked())
    }

    pub fn is_control(&self, id: u32) -> bool {
        self.by_id.get(&id).is_some_and(|token| token.special)
    }

    fn is_single(&self, before: &str, after: &str) -> bool {
        let is_word = |c: char| {
            self.word
                .as_ref()
                .is_some_and(|word| word.find_iter(c.encode_utf8(&mut [0; 4])).next().is_some())
        };
        !before.chars().next_back().is_some_and(is_word)
            && !after.chars().next().is_some_and(is_word)
    }
}

/// White space that has an id of its own commands nothing, whoever writes it.
pub(super) fn is_blank(token: &AddedToken) -> bool {
    !token.special && token.content.chars().all(|c| c.is_whitespace() || c == '▁')
}

fn damaged(error: impl std::fmt::Display) -> crate::error::Error {
    bad(format!("the tokenizer's added tokens are damaged: {error}; fetch it again"))
}

/// Spellings in order, to find those that a text begins with.
struct Finder {
    spellings: Vec<(String, u32)>,
    begins: [bool; 256],
}

impl Finder {
    fn new(mut spellings: Vec<(String, u32)>) -> Finder {
        // What is nothing once it is normalized is nowhere; the library panics on some texts then.
        spellings.retain(|(spelling, _)| !spelling.is_empty());
        // Of several that are the same once they are normalized, the first comes last: it is what
        // is looked at first.
        spellings
            .sort_unstable_by(|(one, id), (other, other_id)| one.cmp(other).then(other_id.cmp(id)));
        let mut begins = [false; 256];
        for first in spellings.iter().filter_map(|(spelling, _)| spelling.bytes().next()) {
            begins[usize::from(first)] = true;
        }
        Finder { spellings, begins }
    }

    /// The next place where a spelling may begin.
    fn candidate(&self, text: &str, from: usize) -> Option<usize> {
        text.as_bytes()[from..]
            .iter()
            .position(|byte| self.begins[usize::from(*byte)])
            .map(|at| from + at)
    }

    /// The spellings that a text begins with, by their length, the longest last.
    fn at(&self, text: &str) -> Vec<(usize, u32)> {
        let mut found = Vec::new();
        let mut left = &self.spellings[..];
        for (length, byte) in text.bytes().enumerate() {
            let byte_of = |spelling: &(String, u32)| spelling.0.as_bytes().get(length).copied();
            let first = left.partition_point(|spelling| byte_of(spelling) < Some(byte));
            let count = left[first..].partition_point(|spelling| byte_of(spelling) == Some(byte));
            left = &left[first..first + count];
            if left.is_empty() {
                break;
            }
            found.extend(
                left.iter()
                    .take_while(|(spelling, _)| spelling.len() == length + 1)
                    .map(|(_, id)| (length + 1, *id)),
            );
        }
        found
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashSet;

    use serde_json::json;
    use tokenizers::models::bpe::{BPE, Vocab};
    use tokenizers::{AddedVocabulary, OffsetReferential, OffsetType};

    use super::*;

    /// What a text is cut into: the pieces as normalized, their places in what was written, and the
    /// tokens that they are.
    type Cut = Vec<(String, (usize, usize), Option<u32>)>;

    fn pieces(text: &PreTokenizedString) -> Cut {
        let all = text.get_splits(OffsetReferential::Original, OffsetType::Byte);
        all.into_iter()
            .map(|(piece, place, tokens)| {
                (piece.to_owned(), place, tokens.as_ref().map(|tokens| tokens[0].id))
            })
            .collect()
    }

    /// A vocabulary of these tokens alone, with their ids.
    fn model(tokens: &[AddedToken]) -> BPE {
        let vocab: Vocab = tokens
            .iter()
            .enumerate()
            .map(|(id, token)| (token.content.clone(), id as u32))
            .collect();
        BPE::builder().vocab_and_merges(vocab, vec![]).build().unwrap()
    }

    #[test]
    fn tokens_are_found_as_by_the_library() {
        const PARTS: [&str; 14] =
            ["<", "|", "a", "A", " ", "ｂ", "b", "é", "e", "\u{301}", "▁", "\n", "²", "_"];
        let rules = [
            json!(null),
            json!({"type": "NFC"}),
            json!({"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}]}),
            json!({"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}]}),
            json!({"type": "Sequence", "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ]}),
            json!({"type": "ByteLevel"}),
        ];
        let mut state = 7_u64;
        let mut below = |n: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        let mut found = 0;
        for round in 0..2000 {
            let mut text = |longest| {
                (0..=below(longest)).map(|_| PARTS[below(PARTS.len())]).collect::<String>()
            };
            let (contents, texts) = (text(3), [text(40), text(40)]);
            let mut tokens: Vec<AddedToken> = Vec::new();
            for content in [contents, text(3), text(2), text(1)] {
                if tokens.iter().all(|token| token.content != content) {
                    tokens.push(AddedToken {
                        content,
                        single_word: round % 4 == 1,
                        lstrip: round % 5 == 1,
                        rstrip: round % 7 == 1,
                        normalized: !(round + tokens.len()).is_multiple_of(3),
                        special: true,
                    });
                }
            }
            let normalizers = Normalizers::read(&rules[round % rules.len()]).unwrap();
            // On nothing, and on two that are the same, the library panics or takes any.
            let mut seen = HashSet::from([String::new()]);
            tokens.retain(|token| {
                let mut text = NormalizedString::from(token.content.as_str());
                normalizers.normalize(&mut text).unwrap();
                !token.normalized || seen.insert(text.get().to_owned())
            });
            let mut reference = AddedVocabulary::new();
            reference.add_tokens(tokens.clone(), &model(&tokens), Some(&normalizers)).unwrap();
            let ours = AddedTokens::new((0..).zip(tokens.clone()), &normalizers).unwrap();
            for text in texts {
                let reference = pieces(&reference.extract_and_normalize(Some(&normalizers), &text));
                for is_rendered in [false, true] {
                    let prompt = Prompt { marked: text.clone(), mark: None, is_rendered };
                    let cut = pieces(&ours.extract_and_normalize(&prompt, &normalizers).unwrap());
                    let is_exact = |(_, place, id): &(String, (usize, usize), Option<u32>)| {
                        id.is_none_or(|id| {
                            text[place.0..place.1].contains(&tokens[id as usize].content)
                        })
                    };
                    // Of a rendered text, those that are spelt otherwise are none, and what they
                    // hid may be some.
                    if !is_rendered || reference.iter().all(is_exact) {
                        assert_eq!(cut, reference, "{text:?} by {tokens:?}");
                    }
                    assert!(!is_rendered || cut.iter().all(is_exact), "{text:?} by {tokens:?}");
                    found += cut.iter().filter(|(_, _, id)| id.is_some()).count();
                }
            }
        }
        assert!(found > 5000, "{found}");
    }
}
