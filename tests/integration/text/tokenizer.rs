//! Golden ids, what each id is, and files that are damaged, as many lines as cases.

use phi_wasm::Code;
use phi_wasm::text::{Message, Prompt, Tokenizer, Vocabulary};
use serde::Deserialize;
use serde_json::{Value, json};

use super::template::smollm2_chat;
use super::*;

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
    assert!(
        t.is_special(200_020) && !t.is_special(200_023),
        "tool tags are added, but not special"
    );
    assert_eq!(t.decode(&[200_021, 13225, 200_023, 200_020], true).unwrap(), "Hello<|tool|>");
    let padding: Vec<u32> = t.padding(PHI4_VOCAB_SIZE).collect();
    let expected: Vec<u32> =
        [199_998].into_iter().chain(200_000..200_018).chain(200_029..200_064).collect();
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
        types[added["id"].as_u64().unwrap() as usize] =
            if added["special"].as_bool().unwrap() { 3 } else { 4 };
    }
    let merges = file["model"]["merges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| format!("{} {}", m[0].as_str().unwrap(), m[1].as_str().unwrap()));
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
    assert!((0..PHI4_VOCAB_SIZE as u32).all(|id| t.token_bytes(id) == phi4().token_bytes(id)
        && t.is_special(id) == phi4().is_special(id)));
}

#[test]
fn smollm2_ids_are_transformers_own() {
    let golden = safetensors::SafeTensors::deserialize(SMOLLM2_GOLDEN).unwrap();
    let ids = |name: &str| -> Vec<u32> {
        golden
            .tensor(name)
            .unwrap()
            .data()
            .chunks_exact(4)
            .map(|b| u32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    };
    let rows = [
        (SMOLLM2_TEXT.to_owned(), ids("text.ids")),
        (
            smollm2_chat(&[Message::user("What is the capital of France?")]),
            ids("chat.capital.prompt"),
        ),
        (
            smollm2_chat(&[
                Message::system("You write one short sentence."),
                Message::user("Write about a fox."),
            ]),
            ids("chat.story.prompt"),
        ),
    ];
    check_rows(smollm2(), &rows.map(|(text, ids)| Row { text, ids }));
    assert_eq!(
        smollm2().decode(&ids("chat.capital.greedy"), true).unwrap(),
        "The capital of France is Paris."
    );
    assert_eq!(smollm2().end_of_turn_ids(), [2, 0]);
    assert_eq!(smollm2().padding(49_152).count(), 0);
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
        assert_eq!(
            t.encode(&text, true).unwrap(),
            [&[1][..], &ids].concat(),
            "SentencePiece adds BOS unless the file says no"
        );
    }
    let Row { text, ids } = Row::deserialize(&golden["chat"]).unwrap();
    assert_eq!(
        t.encode(&text, false).unwrap(),
        ids,
        "Phi-3's control tokens swallow the line feeds"
    );
    assert_eq!(t.padding(908).collect::<Vec<_>>(), [905, 906, 907]);
    assert_eq!(t.token_bytes(3 + 10), Some(&b"\n"[..]));
}

#[test]
fn without_a_space_prefix_nothing_is_added_or_dropped() {
    let t = Tokenizer::from_vocabulary(Vocabulary {
        add_space_prefix: Some(false),
        add_bos: Some(false),
        add_eos: Some(true),
        ..phi3_like()
    })
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
    for (name, t) in [
        ("phi4", phi4()),
        ("smollm2", smollm2()),
        ("with bos and eos", &special),
        ("sentencepiece", &pieces),
    ] {
        let json = t.to_json().unwrap();
        let again = Tokenizer::from_json(&json, None).unwrap();
        assert_eq!(again.vocab_len(), t.vocab_len().min(again.vocab_len()), "{name}");
        assert!(
            (0..t.vocab_len() as u32).all(|id| again.token_bytes(id) == t.token_bytes(id)
                && again.is_special(id) == t.is_special(id)),
            "{name}"
        );
        for text in [
            "Hello, wörld 🙂 1234\n\n  x",
            "<|im_start|>user\nhi<|im_end|>",
            "<|user|>\n hi <|end|>\n",
            "",
        ] {
            assert_eq!(
                again.encode(text, true).unwrap(),
                t.encode(text, true).unwrap(),
                "{name}: {text:?}"
            );
        }
        assert_eq!(again.to_json().unwrap(), json, "{name}");
    }
    assert_eq!(special.encode("", true).unwrap(), [1, 2]);
}

#[test]
fn tokenizer_config_has_the_last_word() {
    let json = Tokenizer::from_vocabulary(tiny(&["<|s|>", "<|e|>", "ab"], &["a b"]))
        .unwrap()
        .to_json()
        .unwrap();
    let ab = 129;
    let cases = [
        (json!({}), "ab", vec![ab], None),
        (json!({"bos_token": "<|s|>"}), "ab", vec![ab], Some(127)),
        (
            json!({"bos_token": {"content": "<|s|>"}, "add_bos_token": true}),
            "ab",
            vec![127, ab],
            Some(127),
        ),
        (
            json!({
                "bos_token": "<|s|>", "eos_token": "<|e|>",
                "add_bos_token": true, "add_eos_token": true,
            }),
            "ab",
            vec![127, ab, 128],
            Some(127),
        ),
        (json!({"bos_token": null, "add_bos_token": false}), "ab", vec![ab], None),
        (
            json!({"added_tokens_decoder": {"128": added("<|e|>", true)}}),
            "<|e|> \n ab",
            vec![128, ab],
            None,
        ),
        (
            json!({"added_tokens_decoder": {"130": added("<|new|>", false)}}),
            "<|new|>ab",
            vec![130, ab],
            None,
        ),
    ];
    for (config, text, ids, bos) in cases {
        let t = Tokenizer::from_json(&json, Some(&config)).unwrap();
        assert_eq!((t.encode(text, true).unwrap(), t.bos()), (ids, bos), "{config}");
    }
}

fn added(content: &str, rstrip: bool) -> Value {
    json!({
        "content": content, "single_word": false, "lstrip": false, "rstrip": rstrip,
        "normalized": false, "special": true,
    })
}

#[test]
fn a_byte_that_the_vocabulary_lacks_is_left_out() {
    let t = Tokenizer::from_vocabulary(tiny(&[], &[])).unwrap();
    assert_eq!(t.decode(&t.encode("aéb", false).unwrap(), false).unwrap(), "ab");
}

#[test]
fn long_runs_neither_hang_nor_lose_text() {
    for (unit, times) in [
        (" ", 100_000),
        ("x", 100_000),
        ("\n", 100_000),
        ("é🙂", 20_000),
        ("1", 50_000),
        (" \n", 50_000),
    ] {
        let text = unit.repeat(times) + "x";
        let ids = phi4().encode(&text, false).unwrap();
        assert!(phi4().decode(&ids, false).unwrap() == text, "{unit:?}");
    }
    let error = phi4().encode(&" \t".repeat(1_000_000), false).unwrap_err();
    assert_eq!(error.code, Code::PromptTooLong);
}

/// What is refused unread could never have fitted, whatever the tokenizer does to a text.
#[test]
fn what_cannot_fit_is_refused_before_it_is_tokenized() {
    let pieces = Tokenizer::from_vocabulary(phi3_like()).unwrap();
    let changed = |normalizer: Value| {
        let mut json: Value = serde_json::from_slice(&smollm2().to_json().unwrap()).unwrap();
        json["normalizer"] = normalizer;
        Tokenizer::from_json(&serde_json::to_vec(&json).unwrap(), None).unwrap()
    };
    let composing = changed(json!({"type": "NFC"}));
    let dropping = changed(json!({"type": "Replace", "pattern": {"String": "x"}, "content": ""}));
    let texts = [
        " ".repeat(5000),
        "=".repeat(999),
        "x".repeat(999),
        "<|end|>  \n".repeat(99),
        "e\u{301}".repeat(99),
        "\u{212a}".repeat(9),
        "▁".repeat(99),
        "日本語 ".repeat(99),
    ];
    for (name, t) in [
        ("phi4", phi4()),
        ("smollm2", smollm2()),
        ("pieces", &pieces),
        ("composing", &composing),
        ("dropping", &dropping),
    ] {
        for text in texts.iter().map(String::as_str).chain([SMOLLM2_TEXT, ""]) {
            let tokens = t.encode(text, false).unwrap().len();
            assert_eq!(
                t.check_room("the prompt", &Prompt::plain(text), tokens),
                Ok(()),
                "{name}: {text:.20}"
            );
        }
    }
    for t in [phi4(), smollm2()] {
        let longest = (0..t.vocab_len() as u32)
            .filter_map(|id| t.token_bytes(id))
            .map(<[u8]>::len)
            .max()
            .unwrap();
        let text = "x".repeat(longest * 64);
        assert_eq!(t.check_room("the prompt", &Prompt::plain(text.clone()), 64), Ok(()));
        let error = t.check_room("the prompt", &Prompt::plain(text + "x"), 64).unwrap_err();
        assert_eq!(error.code, Code::PromptTooLong);
        let words = format!(
            "the prompt has {} bytes, which are 65 tokens at the least, and the context holds 64",
            longest * 64 + 1
        );
        assert_eq!(
            (&error.message, error.advice()),
            (&words, Some("shorten it or load with a longer context"))
        );
    }
    // White space goes into Phi-3's control tokens, as much as there is.
    let controls = format!("<|end|>{}", " \n".repeat(50_000));
    assert_eq!(pieces.check_room("the prompt", &Prompt::plain(controls), 5), Ok(()));
}

#[test]
fn bad_vocabularies_are_refused() {
    let sp = phi3_like;
    let cases: Vec<(&str, Vocabulary, &str)> = vec![
        ("empty", Vocabulary::default(), "no tokens"),
        ("kind", Vocabulary { model: "bert".into(), ..sp() }, "\"bert\""),
        ("pre-tokenizer", Vocabulary { pre: "fancy-9".into(), ..tiny(&[], &[]) }, "\"fancy-9\""),
        ("types", Vocabulary { token_types: vec![1], ..tiny(&[], &[]) }, "1 token types"),
        ("type", Vocabulary { token_types: vec![9; 127], ..tiny(&[], &[]) }, "kind 9"),
        ("scores", Vocabulary { scores: vec![], ..sp() }, "no scores"),
        ("bos", Vocabulary { bos: Some(9999), ..sp() }, "9999"),
        ("duplicate", tiny(&["ab", "ab"], &[]), "both id 127 and id 128"),
        ("merge", tiny(&["ab", "long"], &["ab a"]), "`aba`"),
        ("long merge", tiny(&["ab"], &["ab a"]), "longer than any token"),
        ("one-token merge", tiny(&[], &["ab"]), "not two tokens"),
        (
            "long piece",
            Vocabulary {
                tokens: sp()
                    .tokens
                    .into_iter()
                    .map(|t| if t == "ing" { "x".repeat(600) } else { t })
                    .collect(),
                ..sp()
            },
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
    let good: Value = serde_json::from_slice(
        &Tokenizer::from_vocabulary(tiny(&["<|s|>", "ab"], &["a b"])).unwrap().to_json().unwrap(),
    )
    .unwrap();
    let with = |pointer: &str, value: Value| {
        let mut file = good.clone();
        *file.pointer_mut(pointer).unwrap() = value;
        serde_json::to_vec(&file).unwrap()
    };
    let cases = [
        ("not JSON", b"PK\x03\x04".to_vec(), "no JSON from line 1, column 1 on"),
        (
            "another model",
            with("/model", json!({"type": "Unigram", "vocab": [["a", 0.0]]})),
            "Unigram",
        ),
        ("a merge out of the vocabulary", with("/model/merges", json!([["ab", "a"]])), "`aba`"),
        (
            "a merge longer than any token",
            with("/model/merges", json!([["ab", "<|s|>"]])),
            "longer than any token",
        ),
        ("half a merge", with("/model/merges", json!([["a"]])), "fewer than two"),
        ("a huge id", with("/model/vocab", json!({"a": 4_000_000_000_u32})), "4000000000"),
        ("two tokens, one id", with("/model/vocab", json!({"a": 1, "b": 1})), "share id 1"),
        ("two ids, one token", with("/added_tokens/0/id", json!(5)), "both id"),
        ("an unknown decoder", with("/decoder", json!(null)), "decoder"),
        ("an unknown unk", with("/model/unk_token", json!("<unk>")), "<unk>"),
        (
            "a bad pattern",
            with(
                "/pre_tokenizer",
                json!({
                    "type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated",
                    "invert": false,
                }),
            ),
            "rules",
        ),
        (
            "a rule of other tokenizers",
            with("/pre_tokenizer", json!({"type": "BertPreTokenizer"})),
            "BertPreTokenizer",
        ),
        ("half a rule", with("/pre_tokenizer", json!({"type": "Digits"})), "individual_digits"),
        ("an added token without a text", with("/added_tokens", json!([{"id": 5}])), "added token"),
        (
            "a compiled character map",
            with(
                "/normalizer",
                json!({"type": "Sequence", "normalizers": [
                    {"type": "Precompiled", "precompiled_charsmap": "AA"},
                ]}),
            ),
            "\"Precompiled\"",
        ),
        (
            "a step that is none",
            with("/pre_tokenizer", json!({"type": "Sequence", "pretokenizers": [1]})),
            "hold \"\"",
        ),
        (
            "words that lose their blanks",
            with("/pre_tokenizer", json!({"type": "WhitespaceSplit"})),
            "hold \"WhitespaceSplit\"",
        ),
        (
            "a decoder of other models",
            with("/decoder", json!({"type": "WordPiece", "prefix": "##", "cleanup": true})),
            "\"WordPiece\"",
        ),
        (
            "too many steps",
            with(
                "/normalizer",
                json!({"type": "Sequence", "normalizers": vec![json!({"type": "NFC"}); 16]}),
            ),
            "more than 16",
        ),
        (
            "a pattern that goes back",
            with(
                "/pre_tokenizer",
                json!({
                    "type": "Split", "pattern": {"Regex": "(a|b)+(?!c)"}, "behavior": "Isolated",
                    "invert": false,
                }),
            ),
            "may take for ever",
        ),
        (
            "a text out of nothing",
            with(
                "/normalizer",
                json!({
                    "type": "Replace", "pattern": {"String": ""}, "content": "sixteen letters!",
                }),
            ),
            "16 times as long",
        ),
        (
            "a text that doubles and doubles",
            with(
                "/normalizer",
                json!({"type": "Sequence", "normalizers":
                vec![json!({"type": "Replace", "pattern": {"Regex": "a"}, "content": "a"}); 5]}),
            ),
            "16 times as long",
        ),
        (
            "a text before each text",
            with("/normalizer", json!({"type": "Prepend", "prepend": "a".repeat(65)})),
            "64 bytes before",
        ),
        (
            "more added tokens than a text has words",
            with(
                "/added_tokens",
                (0..300)
                    .map(|id| json!({"id": id, "content": format!("<{id:4000}>"), "special": true}))
                    .collect(),
            ),
            "are the most that we read",
        ),
        (
            "more values than memory is for",
            with("/added_tokens", json!(vec![1; 1 << 19])),
            "more than 524288 values",
        ),
        (
            "more merges than any vocabulary has",
            with("/model/merges", json!(vec!["a b"; (1 << 20) + 1])),
            "more than 1048576 merges",
        ),
        (
            "more around a text than in it",
            with(
                "/post_processor",
                json!({
                    "type": "TemplateProcessing",
                    "single": vec![json!({"SpecialToken": {"id": "q", "type_id": 0}}); 5],
                    "pair": [],
                    "special_tokens": {"q": {"id": "q", "ids": vec![0; 13], "tokens": ["q"]}},
                }),
            ),
            "more than 64 tokens around",
        ),
        ("a long token", with("/model/vocab", json!({"a".repeat(4097): 1})), "4097 bytes"),
        (
            "an id that is out of the way",
            with("/model/vocab", json!({"a": 1 << 20})),
            "more than any vocabulary holds",
        ),
        (
            "an unknown post-processor",
            with(
                "/post_processor",
                json!({"type": "BertProcessing", "sep": ["a", 1], "cls": ["b", 2]}),
            ),
            "BertProcessing",
        ),
        (
            "a post-processor's unknown id",
            with(
                "/post_processor",
                json!({
                    "type": "TemplateProcessing",
                    "single": [{"SpecialToken": {"id": "q", "type_id": 0}}],
                    "pair": [],
                    "special_tokens": {"q": {"id": "q", "ids": [777], "tokens": ["q"]}},
                }),
            ),
            "777",
        ),
    ];
    for (name, bytes, says) in cases {
        let error = Tokenizer::from_json(&bytes, None).unwrap_err();
        assert_eq!(error.code, Code::BadTokenizer, "{name}");
        assert!(error.message.contains(says), "{name}: {error}");
    }
    for cut in [&b""[..], b"{\"model\": {"] {
        assert_eq!(Tokenizer::from_json(cut, None).unwrap_err().code, Code::Truncated);
    }
    let config = json!({"add_bos_token": true});
    assert_eq!(
        Tokenizer::from_json(&serde_json::to_vec(&good).unwrap(), Some(&config)).unwrap_err().code,
        Code::BadTokenizer
    );
}

/// Whatever the damage, there is an error or a tokenizer that works, and no panic.
#[test]
fn damaged_tokenizer_json_never_panics() {
    let mut noise = Noise(1);
    let good = Tokenizer::from_vocabulary(Vocabulary {
        add_bos: Some(true),
        bos: Some(127),
        ..tiny(&["<|s|>", "ab", "abc"], &["a b", "ab c"])
    })
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
