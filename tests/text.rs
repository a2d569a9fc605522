//! Words: golden ids, streaming, sampling and chat templates. No file is opened, so that this runs on every target.
#![allow(clippy::unwrap_used)]

use std::io::Read;
use std::sync::OnceLock;

use phi_wasm::Code;
use phi_wasm::text::{BuiltIn, ChatTemplate, Message, Sampler, Sampling, TextStream, Tokenizer, Vocabulary};
use serde::Deserialize;
use serde_json::{Value, json};
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

const PHI4: &[u8] = include_bytes!("golden/phi4-tokenizer/tokenizer.json.gz");
const PHI4_GOLDEN: &str = include_str!("golden/phi4-tokenizer/golden.json");
const SMOLLM2: &[u8] = include_bytes!("golden/smollm2/vocabulary.json.gz");
const SMOLLM2_GOLDEN: &[u8] = include_bytes!("golden/smollm2/golden.safetensors");
const SMOLLM2_TEXT: &str = include_str!("golden/smollm2/text.txt");
const SMOLLM2_TEMPLATE: &str = include_str!("golden/smollm2/chat_template.jinja");
const SENTENCEPIECE: &str = include_str!("golden/sentencepiece/bpe.json");

/// Rows of the model's head, of which the last have no token.
const PHI4_VOCAB_SIZE: usize = 200_064;

#[derive(Deserialize)]
struct Row {
    text: String,
    ids: Vec<u32>,
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

fn phi4() -> &'static Tokenizer {
    static ONE: OnceLock<Tokenizer> = OnceLock::new();
    ONE.get_or_init(|| {
        let config = json!({"bos_token": "<|endoftext|>", "eos_token": {"content": "<|endoftext|>"}, "add_bos_token": false});
        Tokenizer::from_json(&gunzip(PHI4), Some(&config)).unwrap()
    })
}

fn smollm2() -> &'static Tokenizer {
    static ONE: OnceLock<Tokenizer> = OnceLock::new();
    ONE.get_or_init(|| Tokenizer::from_vocabulary(serde_json::from_slice(&gunzip(SMOLLM2)).unwrap()).unwrap())
}

fn phi3_like() -> Vocabulary {
    serde_json::from_value(serde_json::from_str::<Value>(SENTENCEPIECE).unwrap()["vocabulary"].take()).unwrap()
}

/// A byte-level vocabulary of ASCII and then `extra` tokens, those like `<|this|>` special.
fn tiny(extra: &[&str], merges: &[&str]) -> Vocabulary {
    let ascii = (0..127).map(|b: u32| char::from_u32(if b <= 32 { 256 + b } else { b }).unwrap().to_string());
    let tokens: Vec<String> = ascii.chain(extra.iter().map(|&t| t.to_owned())).collect();
    let token_types = tokens.iter().map(|t| if t.starts_with("<|") { 3 } else { 1 }).collect();
    let merges = merges.iter().map(|&m| m.to_owned()).collect();
    Vocabulary { model: "gpt2".into(), pre: "gpt-2".into(), tokens, token_types, merges, ..Vocabulary::default() }
}

/// SplitMix64, for reproducible noise.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn check_rows(tokenizer: &Tokenizer, rows: &[Row]) {
    for Row { text, ids } in rows {
        assert_eq!(tokenizer.encode(text, false).unwrap(), *ids, "{text:?}");
        assert_eq!(tokenizer.decode(ids, false).unwrap(), *text);
    }
}

// ---- tokenizers --------------------------------------------------------------------------------------------------------

#[test]
fn phi4_ids_are_tiktokens_own() {
    let rows: Vec<Row> = serde_json::from_str(PHI4_GOLDEN).unwrap();
    check_rows(phi4(), &rows);
    assert_eq!(phi4().encode("hi", true).unwrap(), phi4().encode("hi", false).unwrap());
}

#[test]
fn phi4_knows_its_special_tokens_and_its_padding() {
    let t = phi4();
    assert_eq!((t.vocab_len(), t.bos(), t.eos()), (200_029, Some(199_999), Some(199_999)));
    assert_eq!((t.id("<|end|>"), t.id("<|nothing|>")), (Some(200_020), None));
    assert_eq!(t.end_of_turn_ids(), [200_020, 199_999]);
    assert!(t.is_special(200_020) && !t.is_special(200_023), "tool tags are added, but not special");
    assert_eq!(t.decode(&[200_021, 13225, 200_023, 200_020], true).unwrap(), "Hello<|tool|>");
    let padding: Vec<u32> = t.padding(PHI4_VOCAB_SIZE).collect();
    let expected: Vec<u32> = [199_998].into_iter().chain(200_000..200_018).chain(200_029..200_064).collect();
    assert_eq!(padding, expected);
    assert_eq!(t.token_bytes(200_029), None);
    assert_eq!(t.decode(&[200_029], false).unwrap_err().code, Code::BadToken);
}

/// Phi-4's tokenizer.json as its GGUF file holds it: padding is a token of kind 5 there.
#[test]
fn phi4_from_a_gguf_vocabulary_is_the_same() {
    let file: Value = serde_json::from_slice(&gunzip(PHI4)).unwrap();
    let mut tokens: Vec<String> = (0..PHI4_VOCAB_SIZE).map(|id| format!("[PAD{id}]")).collect();
    let mut types = vec![5; PHI4_VOCAB_SIZE];
    for (token, id) in file["model"]["vocab"].as_object().unwrap() {
        let id = id.as_u64().unwrap() as usize;
        (tokens[id], types[id]) = (token.clone(), 1);
    }
    for added in file["added_tokens"].as_array().unwrap() {
        types[added["id"].as_u64().unwrap() as usize] = if added["special"].as_bool().unwrap() { 3 } else { 4 };
    }
    let merges =
        file["model"]["merges"].as_array().unwrap().iter().map(|m| format!("{} {}", m[0].as_str().unwrap(), m[1].as_str().unwrap()));
    let vocabulary = Vocabulary {
        model: "gpt2".into(),
        pre: "gpt-4o".into(),
        tokens,
        token_types: types,
        merges: merges.collect(),
        eos: Some(199_999),
        ..Vocabulary::default()
    };
    let t = Tokenizer::from_vocabulary(vocabulary).unwrap();
    check_rows(&t, &serde_json::from_str::<Vec<Row>>(PHI4_GOLDEN).unwrap());
    assert!(t.padding(PHI4_VOCAB_SIZE).eq(phi4().padding(PHI4_VOCAB_SIZE)));
    assert!((0..PHI4_VOCAB_SIZE as u32).all(|id| t.token_bytes(id) == phi4().token_bytes(id) && t.is_special(id) == phi4().is_special(id)));
}

#[test]
fn smollm2_ids_are_transformers_own() {
    let golden = safetensors::SafeTensors::deserialize(SMOLLM2_GOLDEN).unwrap();
    let ids = |name: &str| -> Vec<u32> {
        golden.tensor(name).unwrap().data().chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let rows = [
        (SMOLLM2_TEXT.to_owned(), ids("text.ids")),
        (smollm2_chat(&[Message::user("What is the capital of France?")]), ids("chat.capital.prompt")),
        (smollm2_chat(&[Message::system("You write one short sentence."), Message::user("Write about a fox.")]), ids("chat.story.prompt")),
    ];
    check_rows(smollm2(), &rows.map(|(text, ids)| Row { text, ids }));
    assert_eq!(smollm2().decode(&ids("chat.capital.greedy"), true).unwrap(), "The capital of France is Paris.");
    assert_eq!(smollm2().end_of_turn_ids(), [2, 0]);
    assert_eq!(smollm2().padding(49_152).count(), 0);
}

fn smollm2_chat(messages: &[Message]) -> String {
    ChatTemplate::for_tokenizer(smollm2(), Some(SMOLLM2_TEMPLATE)).unwrap().render(messages, true).unwrap()
}

#[test]
fn sentencepiece_ids_are_its_own() {
    let golden: Value = serde_json::from_str(SENTENCEPIECE).unwrap();
    let t = Tokenizer::from_vocabulary(phi3_like()).unwrap();
    for row in golden["texts"].as_array().unwrap() {
        let Row { text, ids } = Row::deserialize(row).unwrap();
        assert_eq!(t.encode(&text, false).unwrap(), ids, "{text:?}");
        // SentencePiece's own mark for a space cannot be told from a space.
        assert_eq!(t.decode(&ids, false).unwrap(), text.replace('▁', " "));
        assert_eq!(t.encode(&text, true).unwrap(), [&[1][..], &ids].concat(), "SentencePiece adds BOS unless the file says no");
    }
    let Row { text, ids } = Row::deserialize(&golden["chat"]).unwrap();
    assert_eq!(t.encode(&text, false).unwrap(), ids, "Phi-3's control tokens swallow the line feeds");
    assert_eq!(t.padding(908).collect::<Vec<_>>(), [905, 906, 907]);
    assert_eq!(t.token_bytes(3 + 10), Some(&b"\n"[..]));
}

#[test]
fn without_a_space_prefix_nothing_is_added_or_dropped() {
    let t =
        Tokenizer::from_vocabulary(Vocabulary { add_space_prefix: Some(false), add_bos: Some(false), add_eos: Some(true), ..phi3_like() })
            .unwrap();
    assert_eq!(t.token_bytes(t.encode("the", false).unwrap()[0]).unwrap()[0], b't');
    assert_eq!(t.decode(&t.encode(" the", false).unwrap(), false).unwrap(), " the");
    assert_eq!(t.encode("", true).unwrap(), [2]);
}

#[test]
fn a_written_tokenizer_json_is_the_same_tokenizer() {
    let special = Tokenizer::from_vocabulary(Vocabulary {
        add_bos: Some(true),
        add_eos: Some(true),
        ..serde_json::from_slice(&gunzip(SMOLLM2)).unwrap()
    })
    .unwrap();
    let pieces = Tokenizer::from_vocabulary(phi3_like()).unwrap();
    for (name, t) in [("phi4", phi4()), ("smollm2", smollm2()), ("with bos and eos", &special), ("sentencepiece", &pieces)] {
        let json = t.to_json().unwrap();
        let again = Tokenizer::from_json(&json, None).unwrap();
        assert_eq!(again.vocab_len(), t.vocab_len().min(again.vocab_len()), "{name}");
        assert!(
            (0..t.vocab_len() as u32).all(|id| again.token_bytes(id) == t.token_bytes(id) && again.is_special(id) == t.is_special(id)),
            "{name}"
        );
        for text in ["Hello, wörld 🙂 1234\n\n  x", "<|im_start|>user\nhi<|im_end|>", "<|user|>\n hi <|end|>\n", ""] {
            assert_eq!(again.encode(text, true).unwrap(), t.encode(text, true).unwrap(), "{name}: {text:?}");
        }
        assert_eq!(again.to_json().unwrap(), json, "{name}");
    }
    assert_eq!(special.encode("", true).unwrap(), [1, 2]);
}

#[test]
fn tokenizer_config_has_the_last_word() {
    let json = Tokenizer::from_vocabulary(tiny(&["<|s|>", "<|e|>", "ab"], &["a b"])).unwrap().to_json().unwrap();
    let ab = 129;
    let cases = [
        (json!({}), "ab", vec![ab], None),
        (json!({"bos_token": "<|s|>"}), "ab", vec![ab], Some(127)),
        (json!({"bos_token": {"content": "<|s|>"}, "add_bos_token": true}), "ab", vec![127, ab], Some(127)),
        (
            json!({"bos_token": "<|s|>", "eos_token": "<|e|>", "add_bos_token": true, "add_eos_token": true}),
            "ab",
            vec![127, ab, 128],
            Some(127),
        ),
        (json!({"bos_token": null, "add_bos_token": false}), "ab", vec![ab], None),
        (json!({"added_tokens_decoder": {"128": added("<|e|>", true)}}), "<|e|> \n ab", vec![128, ab], None),
        (json!({"added_tokens_decoder": {"130": added("<|new|>", false)}}), "<|new|>ab", vec![130, ab], None),
    ];
    for (config, text, ids, bos) in cases {
        let t = Tokenizer::from_json(&json, Some(&config)).unwrap();
        assert_eq!((t.encode(text, true).unwrap(), t.bos()), (ids, bos), "{config}");
    }
}

fn added(content: &str, rstrip: bool) -> Value {
    json!({"content": content, "single_word": false, "lstrip": false, "rstrip": rstrip, "normalized": false, "special": true})
}

#[test]
fn a_byte_that_the_vocabulary_lacks_is_left_out() {
    let t = Tokenizer::from_vocabulary(tiny(&[], &[])).unwrap();
    assert_eq!(t.decode(&t.encode("aéb", false).unwrap(), false).unwrap(), "ab");
}

#[test]
fn long_runs_neither_hang_nor_lose_text() {
    for (unit, times) in [(" ", 100_000), ("x", 100_000), ("\n", 100_000), ("é🙂", 20_000), ("1", 50_000), (" \n", 50_000)] {
        let text = unit.repeat(times) + "x";
        let ids = phi4().encode(&text, false).unwrap();
        assert!(phi4().decode(&ids, false).unwrap() == text, "{unit:?}");
    }
    let error = phi4().encode(&" \t".repeat(1_000_000), false).unwrap_err();
    assert_eq!(error.code, Code::PromptTooLong);
}

#[test]
fn bad_vocabularies_are_refused() {
    let sp = phi3_like;
    let cases: Vec<(&str, Vocabulary, &str)> = vec![
        ("empty", Vocabulary::default(), "no tokens"),
        ("kind", Vocabulary { model: "bert".into(), ..sp() }, "\"bert\""),
        ("pre-tokenizer", Vocabulary { pre: "fancy-9".into(), ..tiny(&[], &[]) }, "\"fancy-9\""),
        ("types", Vocabulary { token_types: vec![1], ..tiny(&[], &[]) }, "1 token types"),
        ("scores", Vocabulary { scores: vec![], ..sp() }, "no scores"),
        ("bos", Vocabulary { bos: Some(9999), ..sp() }, "9999"),
        ("duplicate", tiny(&["ab", "ab"], &[]), "both id 127 and id 128"),
        ("merge", tiny(&["ab", "long"], &["ab a"]), "`aba`"),
        ("long merge", tiny(&["ab"], &["ab a"]), "longer than any token"),
        ("one-token merge", tiny(&[], &["ab"]), "not two tokens"),
        (
            "long piece",
            Vocabulary { tokens: sp().tokens.into_iter().map(|t| if t == "ing" { "x".repeat(600) } else { t }).collect(), ..sp() },
            "600 bytes",
        ),
    ];
    for (name, vocabulary, says) in cases {
        let error = Tokenizer::from_vocabulary(vocabulary).unwrap_err();
        assert_eq!(error.code, Code::BadTokenizer, "{name}");
        assert!(error.message.contains(says), "{name}: {error}");
    }
}

#[test]
fn bad_tokenizer_json_is_refused() {
    let good: Value =
        serde_json::from_slice(&Tokenizer::from_vocabulary(tiny(&["<|s|>", "ab"], &["a b"])).unwrap().to_json().unwrap()).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut file = good.clone();
        *file.pointer_mut(pointer).unwrap() = value;
        serde_json::to_vec(&file).unwrap()
    };
    let cases = [
        ("not JSON", b"PK\x03\x04".to_vec(), "cannot be read"),
        ("nothing", vec![], "cannot be read"),
        ("another model", with("/model", json!({"type": "Unigram", "vocab": [["a", 0.0]]})), "Unigram"),
        ("a merge out of the vocabulary", with("/model/merges", json!([["ab", "a"]])), "`aba`"),
        ("a merge longer than any token", with("/model/merges", json!([["ab", "<|s|>"]])), "longer than any token"),
        ("half a merge", with("/model/merges", json!([["a"]])), "fewer than two"),
        ("a huge id", with("/model/vocab", json!({"a": 4_000_000_000_u32})), "4000000000"),
        ("two tokens, one id", with("/model/vocab", json!({"a": 1, "b": 1})), "share id 1"),
        ("two ids, one token", with("/added_tokens/0/id", json!(5)), "both id"),
        ("an unknown decoder", with("/decoder", json!(null)), "decoder"),
        ("an unknown unk", with("/model/unk_token", json!("<unk>")), "<unk>"),
        (
            "a bad pattern",
            with("/pre_tokenizer", json!({"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": false})),
            "rules",
        ),
        (
            "a compiled character map",
            with("/normalizer", json!({"type": "Sequence", "normalizers": [{"type": "Precompiled", "precompiled_charsmap": "AA"}]})),
            "compiled",
        ),
        (
            "an unknown post-processor",
            with("/post_processor", json!({"type": "BertProcessing", "sep": ["a", 1], "cls": ["b", 2]})),
            "BertProcessing",
        ),
        (
            "a post-processor's unknown id",
            with(
                "/post_processor",
                json!({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "q", "type_id": 0}}],
            "pair": [], "special_tokens": {"q": {"id": "q", "ids": [777], "tokens": ["q"]}}}),
            ),
            "777",
        ),
    ];
    for (name, bytes, says) in cases {
        let error = Tokenizer::from_json(&bytes, None).unwrap_err();
        assert_eq!(error.code, Code::BadTokenizer, "{name}");
        assert!(error.message.contains(says), "{name}: {error}");
    }
    let config = json!({"add_bos_token": true, "bos_token": "<|none|>"});
    assert_eq!(Tokenizer::from_json(&serde_json::to_vec(&good).unwrap(), Some(&config)).unwrap_err().code, Code::BadTokenizer);
}

/// Whatever the damage, there is an error or a tokenizer that works, and no panic.
#[test]
fn damaged_tokenizer_json_never_panics() {
    let mut noise = Noise(1);
    let good =
        Tokenizer::from_vocabulary(Vocabulary { add_bos: Some(true), bos: Some(127), ..tiny(&["<|s|>", "ab", "abc"], &["a b", "ab c"]) })
            .unwrap()
            .to_json()
            .unwrap();
    let mut read = 0;
    for _ in 0..4000 {
        let mut bytes = good.clone();
        for _ in 0..1 + noise.below(3) {
            let at = noise.below(bytes.len());
            match noise.below(4) {
                0 => bytes[at] = noise.next() as u8,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, b"0\"[]{},:\\"[noise.below(9)]),
                _ => bytes.truncate(at.max(1)),
            }
        }
        if let Ok(t) = Tokenizer::from_json(&bytes, Some(&json!({"bos_token": "<|s|>"}))) {
            read += 1;
            let ids = t.encode("abc <|s|> ab\n", true).unwrap_or_default();
            t.decode(&ids, true).unwrap();
        }
    }
    assert!(read > 100, "the damage is too coarse to test anything: {read}");
}

// ---- streaming ---------------------------------------------------------------------------------------------------------

/// Cuts bytes at random places.
fn cut<'a>(noise: &mut Noise, bytes: &'a [u8], longest: usize) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((1 + noise.below(longest)).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// The dumbest oracle: the text up to the stop string that is complete first, the longest of those that end together.
fn up_to_stop(text: &str, stops: &[String]) -> (String, Option<String>) {
    for end in (0..=text.len()).filter(|&i| text.is_char_boundary(i)) {
        let here = stops.iter().filter(|stop| !stop.is_empty() && text[..end].ends_with(*stop)).max_by_key(|stop| stop.len());
        if let Some(stop) = here {
            return (text[..end - stop.len()].to_owned(), Some(stop.clone()));
        }
    }
    (text.to_owned(), None)
}

fn check_stream(noise: &mut Noise, bytes: &[u8], stops: &[String]) {
    let (expected, stop) = up_to_stop(&String::from_utf8_lossy(bytes), stops);
    for longest in [1, 3, 9, 1000] {
        let mut stream = TextStream::continuing(stops);
        let mut shown = String::new();
        for piece in cut(noise, bytes, longest) {
            shown.push_str(&stream.push_bytes(piece));
            assert!(expected.starts_with(&shown), "{shown:?} is not a beginning of {expected:?}");
        }
        shown.push_str(&stream.finish());
        assert_eq!((&shown, stream.stop(), stream.stopped()), (&expected, stop.as_deref(), stop.is_some()), "{bytes:?} {stops:?}");
        assert_eq!(stream.push_bytes(b"more") + &stream.finish(), if stop.is_some() { "" } else { "more" });
    }
}

#[test]
fn streamed_text_is_the_decoded_text() {
    let mut noise = Noise(2);
    let text = "naïve 你好，世界 👩‍👩‍👧 🙂 안녕 e\u{301} \u{10FFFF} ascii";
    for _ in 0..200 {
        check_stream(&mut noise, text.as_bytes(), &[]);
    }
    // Bytes that are not UTF-8, or stop in the middle of a character.
    for _ in 0..2000 {
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..noise.below(5) {
            let at = noise.below(bytes.len());
            bytes[at] = noise.next() as u8;
        }
        bytes.truncate(noise.below(bytes.len()) + 1);
        check_stream(&mut noise, &bytes, &[]);
    }
}

#[test]
fn a_stop_string_never_leaks() {
    let mut noise = Noise(3);
    let letters = ["a", "b", "é", "🙂", "\n"];
    let word =
        |noise: &mut Noise, most: usize| -> String { (0..noise.below(most + 1)).map(|_| letters[noise.below(letters.len())]).collect() };
    let mut stopped = 0;
    for _ in 0..5000 {
        let stops: Vec<String> = (0..1 + noise.below(3)).map(|_| word(&mut noise, 4)).collect();
        let text = word(&mut noise, 30);
        stopped += usize::from(up_to_stop(&text, &stops).1.is_some());
        check_stream(&mut noise, text.as_bytes(), &stops);
    }
    assert!((1000..4900).contains(&stopped), "{stopped} of 5000 stop: too one-sided to test anything");
}

#[test]
fn what_may_begin_a_stop_string_waits_and_no_more() {
    let mut stream = TextStream::continuing(&["END".into(), "<|x|>".into()]);
    let steps = [("abE", "ab"), ("N", ""), ("d", "ENd"), ("<|", ""), ("y", "<|y"), ("EEN", "E"), ("D tail", "")];
    for (push, shows) in steps {
        assert_eq!(stream.push_bytes(push.as_bytes()), shows, "{push:?}");
    }
    assert_eq!(stream.finish(), "");
    assert_eq!(stream.stop(), Some("END"));
    let mut stream = TextStream::continuing(&["END".into()]);
    assert_eq!((stream.push_bytes(b"the EN").as_str(), stream.finish().as_str()), ("the ", "EN"));
}

#[test]
fn ids_stream_as_they_decode() {
    let golden: Vec<Row> = serde_json::from_str(PHI4_GOLDEN).unwrap();
    let pieces = Tokenizer::from_vocabulary(phi3_like()).unwrap();
    for text in golden.iter().map(|row| row.text.as_str()).chain(["  two spaces", "<|user|>\nhi<|end|>"]) {
        for t in [phi4(), smollm2(), &pieces] {
            let ids = t.encode(text, true).unwrap();
            let mut stream = TextStream::new(t, &[]);
            let shown: String = ids.iter().map(|&id| stream.push(t, id)).collect();
            assert_eq!(shown + &stream.finish(), t.decode(&ids, true).unwrap(), "{text:?}");
        }
    }
}

#[test]
fn sentencepiece_drops_one_leading_space_at_the_start_only() {
    let t = Tokenizer::from_vocabulary(phi3_like()).unwrap();
    let ids = t.encode("the", false).unwrap();
    let stream = |mut stream: TextStream| -> String {
        [&ids[..], &ids].concat().iter().map(|&id| stream.push(&t, id)).collect::<String>() + &stream.finish()
    };
    assert_eq!(stream(TextStream::new(&t, &[])), "the the");
    assert_eq!(stream(TextStream::continuing(&[])), " the the");
}

// ---- sampling ----------------------------------------------------------------------------------------------------------

/// The whole of sampling, written as naively as it can be: sort everything, then keep, then draw by id.
fn naive(s: &Sampling, never: &[u32], prompt: &[u32], generated: &[u32], logits: &[f32], random: f64) -> u32 {
    let mut l: Vec<f64> = logits.iter().map(|&x| if x.is_nan() { f64::NEG_INFINITY } else { f64::from(x) }).collect();
    for id in 0..l.len() as u32 {
        let x = &mut l[id as usize];
        *x += f64::from(s.logit_bias.get(&id).copied().unwrap_or(0.0));
        let times = generated.iter().filter(|&&g| g == id).count();
        if times > 0 || prompt.contains(&id) {
            let p = f64::from(s.repetition_penalty);
            *x = if *x < 0.0 { *x * p } else { *x / p };
        }
        if times > 0 {
            *x -= f64::from(s.presence_penalty) + times as f64 * f64::from(s.frequency_penalty);
        }
        if never.contains(&id) {
            *x = f64::NEG_INFINITY;
        }
    }
    let mut order: Vec<usize> = (0..l.len()).collect();
    order.sort_by(|&a, &b| l[b].total_cmp(&l[a]).then(a.cmp(&b)));
    if s.temperature == 0.0 {
        return order[0] as u32;
    }
    let weight = |id: usize| ((l[id] - l[order[0]]) / f64::from(s.temperature)).exp();
    let mut kept = order[..if s.top_k == 0 { l.len() } else { s.top_k.min(l.len()) }].to_vec();
    let total: f64 = kept.iter().map(|&id| weight(id)).sum();
    let mut sum = 0.0;
    let last = kept.iter().position(|&id| {
        sum += weight(id);
        sum >= total * f64::from(s.top_p)
    });
    kept.truncate(last.map_or(kept.len(), |last| last + 1));
    kept.retain(|&id| weight(id) >= f64::from(s.min_p));
    kept.sort();
    let mut left = random * kept.iter().map(|&id| weight(id)).sum::<f64>();
    for &id in &kept {
        left -= weight(id);
        if left < 0.0 {
            return id as u32;
        }
    }
    *kept.last().unwrap() as u32
}

#[test]
fn sampling_is_its_naive_twin() {
    let base = Sampling { temperature: 1.0, seed: Some(11), ..Sampling::default() };
    let rows = [
        ("greedy", Sampling { temperature: 0.0, ..base.clone() }),
        ("temperature", Sampling { temperature: 0.7, ..base.clone() }),
        ("hot", Sampling { temperature: 5.0, ..base.clone() }),
        ("top-k", Sampling { top_k: 5, ..base.clone() }),
        ("top-k 1", Sampling { top_k: 1, ..base.clone() }),
        ("top-k of all", Sampling { top_k: 1000, ..base.clone() }),
        ("top-p", Sampling { top_p: 0.9, ..base.clone() }),
        ("top-p small", Sampling { top_p: 0.01, ..base.clone() }),
        ("min-p", Sampling { min_p: 0.1, ..base.clone() }),
        ("min-p 1", Sampling { min_p: 1.0, ..base.clone() }),
        ("all filters", Sampling { temperature: 1.3, top_k: 40, top_p: 0.8, min_p: 0.02, ..base.clone() }),
        ("repetition", Sampling { repetition_penalty: 1.7, ..base.clone() }),
        ("repetition, greedy", Sampling { temperature: 0.0, repetition_penalty: 1.3, ..base.clone() }),
        ("presence and frequency", Sampling { presence_penalty: 0.5, frequency_penalty: 0.8, ..base.clone() }),
        ("bias", Sampling { logit_bias: [(3, 4.0), (5, f32::NEG_INFINITY), (999, 1.0)].into(), ..base.clone() }),
    ];
    for (name, sampling) in rows {
        let (n, never, prompt) = (97, [7, 96, 5000], [1, 2, 3, 1]);
        let mut noise = Noise(5);
        let mut sampler = Sampler::new(&sampling, never, 0).unwrap();
        sampler.prompt(&prompt);
        let mut random = Twin(11);
        let mut generated = Vec::new();
        for step in 0..300 {
            let mut logits: Vec<f32> = (0..n).map(|_| (noise.unit() * 16.0 - 8.0) as f32).collect();
            logits[noise.below(n)] = f32::NAN;
            let draw = if sampling.temperature == 0.0 { 0.0 } else { random.unit() };
            let expected = naive(&sampling, &never, &prompt, &generated, &logits, draw);
            let id = sampler.sample(&mut logits);
            assert_eq!(id, expected, "{name}, step {step}");
            generated.push(id);
        }
        assert!(generated.iter().all(|id| !never.contains(id)), "{name}");
    }
}

/// The published SplitMix64, which the sampler draws with.
struct Twin(u64);

impl Twin {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[test]
fn odd_logits_do_not_panic() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let rows: [(&str, Vec<f32>, u32); 8] = [
        ("ties", vec![1.0, 3.0, 3.0, 3.0], 1),
        ("all NaN", vec![nan; 4], 1),
        ("all impossible", vec![-inf; 4], 1),
        ("infinite", vec![0.0, 1.0, inf, inf], 2),
        ("one possible", vec![nan, -inf, nan, -1e30], 3),
        ("huge", vec![0.0, -3e38, 3e38, -3e38], 2),
        ("zeros of both signs", vec![-9.0, -0.0, 0.0, -1.0], 1),
        ("empty", vec![], 0),
    ];
    for (name, logits, expected) in rows {
        for (temperature, top_k, top_p) in [(0.0, 0, 1.0), (1e-30, 0, 1.0), (1e-30, 2, 0.5)] {
            let sampling = Sampling { temperature, top_k, top_p, ..Sampling::default() };
            let mut sampler = Sampler::new(&sampling, [0], 1).unwrap();
            let id = sampler.sample(&mut logits.clone());
            let tie = temperature > 0.0 && ((name == "ties" && top_k == 0) || name.starts_with("zeros"));
            assert!(id == expected || (tie && logits[id as usize] == logits[expected as usize]), "{name} at {temperature}: {id}");
        }
    }
}

#[test]
fn a_seed_gives_the_same_draws_everywhere() {
    let draw = |seed: Option<u64>, fresh: u64| -> Vec<u32> {
        let sampling = Sampling { temperature: 1.0, seed, ..Sampling::default() };
        let mut sampler = Sampler::new(&sampling, [], fresh).unwrap();
        (0..12).map(|_| sampler.sample(&mut [0.0; 1000])).collect()
    };
    assert_eq!(draw(Some(42), 1), draw(None, 42));
    assert_ne!(draw(Some(42), 1), draw(Some(43), 1));
    assert_eq!(draw(Some(42), 1), [741, 159, 278, 344, 38, 868, 218, 800, 339, 618, 204, 492]);
}

#[test]
fn sampling_options_are_checked() {
    assert!(Sampling::default().validate().is_ok() && Sampling::default().is_plain_argmax());
    let d = Sampling::default;
    let rows = [
        ("temperature", Sampling { temperature: -0.1, ..d() }),
        ("temperature", Sampling { temperature: f32::NAN, ..d() }),
        ("temperature", Sampling { temperature: f32::INFINITY, ..d() }),
        ("top_p", Sampling { top_p: 0.0, ..d() }),
        ("top_p", Sampling { top_p: 1.5, ..d() }),
        ("min_p", Sampling { min_p: -0.5, ..d() }),
        ("repetition_penalty", Sampling { repetition_penalty: 0.0, ..d() }),
        ("presence_penalty", Sampling { presence_penalty: f32::NAN, ..d() }),
        ("frequency_penalty", Sampling { frequency_penalty: f32::INFINITY, ..d() }),
        ("logit_bias", Sampling { logit_bias: [(1, f32::NAN)].into(), ..d() }),
    ];
    for (name, sampling) in rows {
        let error = Sampler::new(&sampling, [], 0).err().unwrap();
        assert_eq!(error.code, Code::BadOption);
        assert!(error.message.starts_with(name), "{name}: {error}");
        assert!(!sampling.is_plain_argmax() || name.ends_with("_p"));
    }
    let read: Sampling = serde_json::from_str(r#"{"temperature": 0.5, "logit_bias": {"17": -100}}"#).unwrap();
    assert_eq!(read, Sampling { temperature: 0.5, logit_bias: [(17, -100.0)].into(), ..d() });
}

// ---- chat templates ----------------------------------------------------------------------------------------------------

fn render(source: &str, messages: &[Message], prompt: bool) -> phi_wasm::Result<String> {
    ChatTemplate::new(source, "<s>", "</s>")?.render(messages, prompt)
}

#[test]
fn chats_are_as_the_models_were_trained() {
    let chat = [Message::system("You help."), Message::user("hi"), Message::assistant("Hello."), Message::user("2+2?")];
    let phi4_template = ChatTemplate::for_tokenizer(phi4(), None).unwrap();
    assert_eq!(BuiltIn::for_tokenizer(phi4()), Some(BuiltIn::Phi4));
    assert_eq!(
        phi4_template.render(&chat, true).unwrap(),
        "<|system|>You help.<|end|><|user|>hi<|end|><|assistant|>Hello.<|end|><|user|>2+2?<|end|><|assistant|>"
    );
    assert_eq!(phi4_template.render(&chat[1..3], false).unwrap(), "<|user|>hi<|end|><|assistant|>Hello.<|end|><|endoftext|>");
    let pieces = Tokenizer::from_vocabulary(phi3_like()).unwrap();
    assert_eq!(BuiltIn::for_tokenizer(&pieces), Some(BuiltIn::Phi3));
    assert_eq!(
        ChatTemplate::for_tokenizer(&pieces, None).unwrap().render(&chat[..2], true).unwrap(),
        "<|system|>\nYou help.<|end|>\n<|user|>\nhi<|end|>\n<|assistant|>\n"
    );
    assert!(smollm2_chat(&[Message::user("hi")]).starts_with("<|im_start|>system\nYou are a helpful AI assistant named SmolLM"));
    assert_eq!(ChatTemplate::for_tokenizer(smollm2(), None).unwrap_err().code, Code::BadTemplate);
}

#[test]
fn templates_find_what_hugging_faces_environment_has() {
    let hi = [Message::user(" hi ")];
    let rows = [
        ("{{ bos_token }}{% for m in messages %}{{ m.content.strip() }}{% endfor %}{{ eos_token }}", "<s>hi</s>"),
        (
            "{% for m in messages %}\n    {% if m['role'].startswith('us') %}\n{{ m['role'] | upper }}\n    {% endif %}\n{% endfor %}\n",
            "USER\n",
        ),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "1"),
        ("{% for m in messages %}{% if true %}{% break %}{% endif %}x{% endfor %}.", "."),
        ("{{ messages[0] | tojson }}", r#"{"role": "user", "content": " hi "}"#),
        ("{{ [1, '<é>'] | tojson(ensure_ascii=false) }}", r#"[1, "<é>"]"#),
        ("{{ [1] | tojson(indent=2) }}", "[\n  1\n]"),
        ("{{ messages[0].tool_calls is defined }} {{ messages[1:] | length }} {{ None is none }}", "False 0 True"),
        ("{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}never{% endif %}", "never"),
        ("{% macro wrap(x) %}[{{ x }}]{% endmacro %}{{ wrap(messages[-1]['content'] | trim) }}", "[hi]"),
    ];
    for (source, expected) in rows {
        assert_eq!(render(source, &hi, true).unwrap(), expected, "{source}");
    }
    let dated = ChatTemplate::new("{{ strftime_now('%d %b %Y, %A %H:%M') }}", "", "").unwrap().with_time(951_782_400);
    assert_eq!(dated.render(&[], false).unwrap(), "29 Feb 2000, Tuesday 00:00");
}

#[test]
fn bad_templates_say_so() {
    let rows = [
        ("{% for m in messages %}", "does not compile"),
        ("{{ raise_exception('roles must alternate') }}", "refuses these messages: roles must alternate"),
        ("{{ nothing.at.all }}", "fails"),
        ("{{ messages | no_such_filter }}", "no_such_filter"),
        ("{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}", "fuel"),
        ("{% include 'other' %}", "other"),
        ("{{ {} | tojson(sort_keys=true) }}", "sort_keys"),
        ("{{ strftime_now('%d') }}", "strftime_now"),
    ];
    for (source, says) in rows {
        let error = render(source, &[Message::user("hi")], true).unwrap_err();
        assert_eq!(error.code, Code::BadTemplate, "{source}");
        assert!(error.message.contains(says), "{source}: {error}");
    }
}

#[test]
fn the_default_template_is_found() {
    let rows = [
        (json!({"chat_template": "one"}), Some("one")),
        (json!({"chat_template": [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "plain"}]}), Some("plain")),
        (json!({"chat_template": [{"name": "rag", "template": "rag"}]}), Some("rag")),
        (json!({"chat_template": null}), None),
        (json!({"chat_template": []}), None),
        (json!({}), None),
    ];
    for (config, expected) in rows {
        assert_eq!(ChatTemplate::source_in(&config), expected, "{config}");
    }
}
