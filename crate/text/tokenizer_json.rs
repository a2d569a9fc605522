//! Hugging Face's `tokenizer.json`, with what `tokenizer_config.json` says about it.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use tokenizers::AddedToken;
use tokenizers::models::bpe::Vocab;

use super::bad;
use super::parts::Parts;
use super::rules::{Rules, added_token, kind, steps};
use crate::error::{Code, Error, Result, fail};
use crate::json;

/// Tokens and merges that are read: twice as many as the largest tokenizers in use have.
const MOST_TOKENS: usize = 1 << 20;
/// Tokens that are put around a text.
const MAX_AROUND: usize = 64;

// Rules are left as they are: the library's own readers take what we do not run, and panic on a
// component that is not JSON.
#[derive(Deserialize)]
#[serde(expecting = "an object with a model")]
struct File<'a> {
    #[serde(borrow)]
    added_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    normalizer: Option<&'a RawValue>,
    #[serde(borrow)]
    pre_tokenizer: Option<&'a RawValue>,
    #[serde(borrow)]
    post_processor: Option<&'a RawValue>,
    #[serde(borrow)]
    decoder: Option<&'a RawValue>,
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    #[serde(deserialize_with = "vocab")]
    vocab: Vocab,
    #[serde(deserialize_with = "merges")]
    merges: Vec<(String, String)>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    fuse_unk: bool,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
}

/// A merge is written `"a b"` in old files and `["a", "b"]` in newer ones.
struct Merge(String, String);

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Merge, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Merge;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a merge of two tokens")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Merge, E> {
                let (left, right) = text
                    .split_once(' ')
                    .ok_or_else(|| E::custom(format!("the merge {text:?} is not two tokens")))?;
                Ok(Merge(left.into(), right.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> std::result::Result<Merge, A::Error> {
                let missing = || de::Error::custom("a merge of fewer than two tokens");
                Ok(Merge(
                    seq.next_element()?.ok_or_else(missing)?,
                    seq.next_element()?.ok_or_else(missing)?,
                ))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

// What is read takes many times the memory of its file: it ends where there is too much of it.

fn vocab<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Vocab, D::Error> {
    struct Tokens;
    impl<'de> Visitor<'de> for Tokens {
        type Value = Vocab;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("ids by token")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Vocab, A::Error> {
            let mut tokens = Vocab::new();
            while let Some((token, id)) = map.next_entry()? {
                tokens.insert(token, id);
                check_count(tokens.len(), "tokens")?;
            }
            Ok(tokens)
        }
    }
    from.deserialize_map(Tokens)
}

fn merges<'de, D: Deserializer<'de>>(
    from: D,
) -> std::result::Result<Vec<(String, String)>, D::Error> {
    struct Merges;
    impl<'de> Visitor<'de> for Merges {
        type Value = Vec<(String, String)>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a list of merges")
        }

        fn visit_seq<A: SeqAccess<'de>>(
            self,
            mut seq: A,
        ) -> std::result::Result<Self::Value, A::Error> {
            let mut merges = Vec::new();
            while let Some(Merge(left, right)) = seq.next_element()? {
                merges.push((left, right));
                check_count(merges.len(), "merges")?;
            }
            Ok(merges)
        }
    }
    from.deserialize_seq(Merges)
}

fn check_count<E: de::Error>(count: usize, what: &str) -> std::result::Result<(), E> {
    if count <= MOST_TOKENS {
        Ok(())
    } else {
        Err(E::custom(format_args!("more than {MOST_TOKENS} {what}")))
    }
}

/// A part of the file as a tree, nothing where it is missing.
fn tree(part: Option<&RawValue>) -> Result<Value> {
    part.map_or(Ok(Value::Null), |part| {
        json::parse("tokenizer.json", part.get().as_bytes()).map_err(|error| bad(error.message))
    })
}

/// Reads both files. See [`super::Tokenizer::from_json`].
pub(super) fn read(tokenizer_json: &[u8], config: Option<&Value>) -> Result<Parts> {
    let file: File =
        serde_json::from_slice(tokenizer_json).map_err(|e| explain(tokenizer_json, e))?;
    let model = file.model;
    if [&model.continuing_subword_prefix, &model.end_of_word_suffix]
        .into_iter()
        .flatten()
        .any(|affix| !affix.is_empty())
    {
        fail!(
            Code::BadTokenizer,
            "tokenizer.json marks the inside or the end of words with affixes, which we do not read"
        );
    }
    let mut parts = Parts {
        vocab: model.vocab,
        merges: model.merges,
        unk_token: model.unk_token,
        fuse_unk: model.fuse_unk,
        byte_fallback: model.byte_fallback,
        ignore_merges: model.ignore_merges,
        added: added_tokens(&tree(file.added_tokens)?)?,
        rules: Rules {
            normalizer: tree(file.normalizer)?,
            pre_tokenizer: tree(file.pre_tokenizer)?,
            decoder: tree(file.decoder)?,
        },
        ..Parts::default()
    };
    surroundings(&tree(file.post_processor)?, &mut parts)?;
    if let Some(config) = config {
        apply_config(config, &mut parts)?;
    }
    // The library passes over an empty token; so do we.
    parts.added.retain(|(_, token)| !token.content.is_empty());
    Ok(parts)
}

/// Why the file cannot be read, as its reader would say it.
fn explain(tokenizer_json: &[u8], error: serde_json::Error) -> Error {
    #[derive(Deserialize)]
    struct Probe {
        model: Kind,
    }
    #[derive(Deserialize)]
    struct Kind {
        r#type: String,
    }
    match serde_json::from_slice::<Probe>(tokenizer_json) {
        Ok(Probe { model }) if model.r#type != "BPE" => bad(format!(
            "tokenizer.json holds a {} model; the models that we run have BPE tokenizers",
            model.r#type
        )),
        _ => {
            let error = json::unreadable("tokenizer.json", tokenizer_json, &error);
            if error.code == Code::Truncated { error } else { bad(error.message) }
        }
    }
}

fn added_tokens(listed: &Value) -> Result<Vec<(u32, AddedToken)>> {
    let read = |one: &Value| Some((u32::try_from(one["id"].as_u64()?).ok()?, added_token(one)?));
    let damaged = |one| {
        bad(format!("tokenizer.json: the added token {one} cannot be read; fetch the file again"))
    };
    let listed = listed.as_array().into_iter().flatten();
    listed.map(|one| read(one).ok_or_else(|| damaged(one))).collect()
}

/// What a post-processor puts around a text. Those that only move offsets put nothing.
fn surroundings(processor: &Value, parts: &mut Parts) -> Result<()> {
    for step in steps(processor, "processors")? {
        match kind(step) {
            "ByteLevel" => {}
            "TemplateProcessing" => {
                let mut before = true;
                for piece in step["single"].as_array().into_iter().flatten() {
                    if let Some(name) = piece["SpecialToken"]["id"].as_str() {
                        let ids =
                            step["special_tokens"][name]["ids"].as_array().into_iter().flatten();
                        let ids =
                            ids.filter_map(Value::as_u64).filter_map(|id| u32::try_from(id).ok());
                        let place = if before { &mut parts.prefix } else { &mut parts.suffix };
                        place.extend(ids.take(MAX_AROUND + 1));
                        if place.len() > MAX_AROUND {
                            fail!(
                                Code::BadTokenizer,
                                "tokenizer.json puts more than {MAX_AROUND} tokens around a text, \
                                    which we do not read"
                            );
                        }
                    } else {
                        before = false;
                    }
                }
            }
            other => fail!(
                Code::BadTokenizer,
                "tokenizer.json's post-processor is a {other}, which we do not read"
            ),
        }
    }
    Ok(())
}

/// `tokenizer_config.json` has the last word on added tokens, on BOS and EOS, and on whether they
/// are added.
fn apply_config(config: &Value, parts: &mut Parts) -> Result<()> {
    let known: HashMap<String, usize> =
        parts.added.iter().enumerate().map(|(i, (_, token))| (token.content.clone(), i)).collect();
    for (id, token) in config["added_tokens_decoder"].as_object().into_iter().flatten() {
        let read = |token: &Value| Some((id.parse::<u32>().ok()?, added_token(token)?));
        let Some((id, token)) = read(token) else {
            fail!(
                Code::BadTokenizer,
                "tokenizer_config.json: added token {id:?} cannot be read; fetch the file again"
            );
        };
        match known.get(&token.content) {
            Some(&i) => parts.added[i].1 = token,
            None => parts.added.push((id, token)),
        }
    }
    add_named(config, parts);
    parts.bos = named(config, "bos_token", parts);
    parts.eos = named(config, "eos_token", parts);
    for (flag, name, id, place) in [
        ("add_bos_token", "bos_token", parts.bos, &mut parts.prefix),
        ("add_eos_token", "eos_token", parts.eos, &mut parts.suffix),
    ] {
        match (config[flag].as_bool(), id) {
            (None, _) => {}
            (Some(false), _) => place.clear(),
            (Some(true), Some(id)) => *place = vec![id],
            (Some(true), None) => fail!(
                Code::BadTokenizer,
                "tokenizer_config.json: {flag} is set, but {name} is not in the vocabulary"
            ),
        }
    }
    Ok(())
}

/// The tokens that a configuration names, in the order in which the reference adds those that the
/// vocabulary lacks.
const NAMED: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Tokens that the configuration names: templates know them by these names, none is a text, and
/// those that the vocabulary lacks come after it.
fn add_named(config: &Value, parts: &mut Parts) {
    let extra = ["additional_special_tokens", "extra_special_tokens"].map(|key| &config[key]);
    let listed = extra.iter().filter_map(|list| list.as_array()).flatten();
    let by_name = extra.iter().filter_map(|map| map.as_object()).flatten();
    let named = NAMED
        .iter()
        .map(|name| (*name, &config[*name]))
        .chain(by_name.map(|(name, token)| (name.as_str(), token)));
    parts.named = named
        .clone()
        .filter_map(|(name, token)| Some((name.to_owned(), content(token)?.to_owned())))
        .collect();
    let mut known: HashSet<String> =
        parts.added.iter().map(|(_, token)| token.content.clone()).collect();
    let mut next = parts
        .vocab
        .values()
        .chain(parts.added.iter().map(|(id, _)| id))
        .max()
        .map_or(0, |last| last.saturating_add(1));
    for text in named.map(|(_, token)| token).chain(listed).filter_map(content) {
        if known.insert(text.to_owned()) {
            let id = parts.vocab.get(text).copied();
            parts.added.push((id.unwrap_or(next), AddedToken::from(text, true)));
            next = if id.is_some() { next } else { next.saturating_add(1) };
        }
    }
}

/// What a token is written as, in the configuration a string or an object with its content.
fn content(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token["content"].as_str()).filter(|text| !text.is_empty())
}

fn id_of(text: &str, parts: &Parts) -> Option<u32> {
    let added = parts.added.iter().find(|(_, token)| token.content == text).map(|(id, _)| *id);
    added.or_else(|| parts.vocab.get(text).copied())
}

/// The id of a token that the configuration names.
fn named(config: &Value, key: &str, parts: &Parts) -> Option<u32> {
    id_of(content(&config[key])?, parts)
}
