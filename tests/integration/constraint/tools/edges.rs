//! What begins a call, what ends one, and what is none.

use std::rc::Rc;

use phi_wasm::backend::Backend;
use phi_wasm::cpu::Cpu;
use phi_wasm::session::{
    GenerateOptions, Host, LoadOptions, Progress, ResilientSession, Session, Wanted,
};
use phi_wasm::text::constraint::{Constraint, Form, Grammars, ResponseFormat, Spellings, grammars};
use phi_wasm::text::template::Message;
use phi_wasm::text::tool_calls::{Dialect, Tools};
use phi_wasm::weights::source::MemorySource;
use phi_wasm::{Code, Error, Result};
use pollster::block_on;
use serde_json::json;

use super::{OPEN, Tag, check, model, options, said, tools};
#[cfg(feature = "gpu-tests")]
use crate::common::backends;
use crate::constraint::{cpu, open};

/// Grammars that let everything pass, or nothing begin.
struct Free {
    begins: bool,
    vocab_size: usize,
}

impl Grammars for Free {
    fn constraint(&self, _: &Form) -> Result<Box<dyn Constraint>> {
        Ok(Box::new(Free { ..*self }))
    }
}

impl Constraint for Free {
    fn mask(&mut self) -> Result<Vec<u32>> {
        let mut all = vec![u32::MAX; self.vocab_size / 32];
        all[0] &= !0b111;
        Ok(all)
    }
    fn begin_with(&mut self, _: &str) -> Result<()> {
        match self.begins {
            true => Ok(()),
            false => Err(Error::new(Code::BadConstraint, "nothing begins so")),
        }
    }
    fn accept(&mut self, _: u32) -> Result<()> {
        Ok(())
    }
    fn take_forced(&mut self, _: usize) -> Result<Vec<u32>> {
        Ok(Vec::new())
    }
    fn is_over(&self) -> bool {
        false
    }
}

async fn check_same<B: Backend>(mut opened: impl AsyncFnMut(MemorySource) -> Session<B>) {
    let mut session = opened(model(1, Tag::Text)).await;
    let vocab_size = session.engine().config().vocab_size as usize;
    assert_eq!(vocab_size % 32, 0);
    for seed in 0..6 {
        let mut options = options(tools(json!("auto"), false), seed);
        options.max_tokens = 60;
        // What ends an answer is no matter here.
        options.sampling.logit_bias.extend((0..3).map(|id| (id, f32::NEG_INFINITY)));
        options.sampling.logit_bias.insert(OPEN, 6.0);
        options.sampling.presence_penalty = if seed % 2 == 0 { 0.0 } else { 0.5 };
        let mut told = Vec::new();
        for begins in [false, true] {
            session.set_grammars(Rc::new(Free { begins, vocab_size }));
            told.push(said(&mut session, "", &options).await.unwrap());
        }
        assert!(told[0].0.contains("<tool_call>"), "{:?}", told[0]);
        assert_eq!(told[0].0, told[1].0, "seed {seed}");
        assert_eq!(told[1].2.generated_tokens, 60);
    }
}

#[test]
fn a_mask_that_has_all_changes_nothing() {
    block_on(check_same(async |source| open(source, cpu()).await));
}

#[cfg(feature = "gpu-tests")]
#[test]
fn a_mask_that_has_all_changes_nothing_on_a_gpu() {
    use phi_wasm::gpu::Switch;
    block_on(check_same(async |source| {
        open(source, backends::gpu(Switch::Off, Switch::Off).await).await
    }));
}

#[test]
fn a_tag_is_the_token_that_there_is_for_it() {
    for tag in [Tag::None, Tag::Control, Tag::Text] {
        let session = block_on(open(model(0, tag), cpu()));
        let grammars = grammars(session.spellings().unwrap()).unwrap();
        let form = tools(json!("required"), true).form(Dialect::Phi4).unwrap();
        let constraint = || grammars.constraint(&Form::Calls(form.clone())).unwrap();
        let letters = |text: &str| text.bytes().map(|byte| 3 + u32::from(byte)).collect::<Vec<_>>();
        let spelt = |tag: u32, text: &str| match session.tokenizer().token_bytes(tag) {
            Some(name) if name == text.as_bytes() => vec![tag],
            _ => letters(text),
        };
        let mut begun = constraint();
        let open = [spelt(OPEN, "<|tool_call|>"), letters("[{\"name\": \"")].concat();
        assert_eq!(begun.take_forced(100).unwrap(), open, "{tag:?}");
        let mut ending = constraint();
        ending.begin_with("<|tool_call|>[{\"name\": \"now\", \"arguments\": {}}").unwrap();
        let close = [letters("]"), spelt(OPEN + 1, "<|/tool_call|>")].concat();
        assert_eq!(ending.take_forced(100).unwrap(), close, "{tag:?}");
        assert!(ending.is_over(), "{tag:?}");
    }
}

#[test]
fn a_call_that_was_begun_is_told_whole() {
    block_on(async {
        let mut session = open(model(1, Tag::Text), cpu()).await;
        for choice in [json!("required"), json!("auto")] {
            let mut options = options(tools(choice, true), 2);
            options.continue_final = true;
            let begun = "<tool_call>\n{\"name\": \"pick\", \"arguments\": {\"city\": \"Rome\", \"d";
            let told = said(&mut session, begun, &options).await.unwrap();
            check(&told, "begun");
            let (text, calls, _) = told;
            assert!(
                text.is_empty() && calls[0].1.starts_with("{\"city\": \"Rome\", \"d"),
                "{calls:?}"
            );
        }
        let mut options = options(tools(json!("required"), false), 2);
        options.continue_final = true;
        let error = said(&mut session, "Well, ", &options).await.err().unwrap();
        assert_eq!(error.code, Code::BadConstraint);
        assert!(error.message.starts_with("tools: the text to go on with begins"), "{error}");
    });
}

#[test]
fn what_cannot_be_is_refused_when_it_is_asked_for() {
    block_on(async {
        let mut session = open(model(0, Tag::Text), cpu()).await;
        let tool = json!([{"type": "function", "function": {
            "name": "f",
            "parameters": {"type": "object", "properties": {"a": {"uniqueItems": true}}},
        }}]);
        for choice in ["auto", "required"] {
            let tools = Tools::read(Some(&tool), Some(&json!(choice))).unwrap();
            let error = said(&mut session, "", &options(tools, 1)).await.err().unwrap();
            assert_eq!(error.code, Code::BadConstraint);
            let place = "tools[0].function.parameters at #/properties/a: uniqueItems is not";
            assert!(error.message.starts_with(place), "{error}");
        }
        let both = GenerateOptions {
            format: Some(ResponseFormat { form: Form::JsonObject, hint: false }),
            ..options(tools(json!("required"), false), 1)
        };
        let error = said(&mut session, "", &both).await.err().unwrap();
        assert_eq!(error.code, Code::BadOption, "{error}");
    });
}

/// A host that has nothing which knows grammars, and why.
struct Without(Code);

impl Host for Without {
    type Gpu = Cpu;
    type Cpu = Cpu;
    type Source = MemorySource;

    async fn gpu(&self) -> Result<Cpu> {
        Ok(cpu())
    }
    async fn cpu(&self) -> Result<Cpu> {
        Ok(cpu())
    }
    async fn source(&self) -> Result<MemorySource> {
        Ok(model(1, Tag::Text))
    }
    async fn grammars(&self, _: &dyn Fn() -> Result<Spellings>) -> Result<Rc<dyn Grammars>> {
        Err(Error::new(self.0, "there are no grammars"))
    }
    fn progress(&self, _: Progress) {}
}

#[test]
fn calls_that_may_be_need_no_grammars_and_those_that_must_be_do() {
    block_on(async {
        let rows = [
            (Code::BadOption, "auto", None),
            (Code::BadOption, "required", Some(Code::BadOption)),
            // It is not known that there are none.
            (Code::Io, "auto", Some(Code::Io)),
        ];
        for (code, choice, refused) in rows {
            let options = options(tools(json!(choice), false), 1);
            let loaded = LoadOptions { ctx_len: Some(1024), ..LoadOptions::default() };
            let session = ResilientSession::open(Without(code), Wanted::Cpu, loaded).await;
            let mut session = session.unwrap();
            let begun = session.begin_chat(&[Message::user("Hi")], &options).await;
            assert_eq!(begun.err().map(|error| error.code), refused, "{code:?} {choice}");
        }
    });
}
