//! A tokenizer as Hugging Face's `tokenizer.json`.

use serde::Serialize;
use serde_json::{Value, json};
use tokenizers::AddedToken;
use tokenizers::models::bpe::BPE;

use super::Tokenizer;
use crate::error::Result;
use crate::text::bad;

impl Tokenizer {
    /// The tokenizer as a Hugging Face `tokenizer.json`, which [`Tokenizer::from_json`] and other
    /// people's tools read.
    ///
    /// # Errors
    /// [`Code::BadTokenizer`], should a part not serialise.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        #[derive(Serialize)]
        struct File<'a> {
            version: &'a str,
            truncation: (),
            padding: (),
            added_tokens: Vec<Value>,
            normalizer: &'a Value,
            pre_tokenizer: &'a Value,
            post_processor: Value,
            decoder: &'a Value,
            model: &'a BPE,
        }
        let file = File {
            version: "1.0",
            truncation: (),
            padding: (),
            added_tokens: self.added_tokens(),
            normalizer: &self.rules.normalizer,
            pre_tokenizer: &self.rules.pre_tokenizer,
            post_processor: self.post_processor(),
            decoder: &self.rules.decoder,
            model: &self.encoder.model,
        };
        serde_json::to_vec(&file).map_err(|e| bad(format!("tokenizer.json cannot be written: {e}")))
    }

    fn added_tokens(&self) -> Vec<Value> {
        let mut added: Vec<_> = self.encoder.added.by_id.iter().collect();
        added.sort_by_key(|&(id, _)| id);
        let row = |(id, t): (&u32, &AddedToken)| {
            json!({
                "id": id, "content": t.content, "single_word": t.single_word,
                "lstrip": t.lstrip, "rstrip": t.rstrip,
                "normalized": t.normalized, "special": t.special,
            })
        };
        added.into_iter().map(row).collect()
    }

    /// What `add_special` does, as a `TemplateProcessing`; the pair template is required, though
    /// nobody uses it here.
    fn post_processor(&self) -> Value {
        if self.prefix.is_empty() && self.suffix.is_empty() {
            return Value::Null;
        }
        let special =
            |id: &u32| json!({"SpecialToken": {"id": self.written(Some(*id)), "type_id": 0}});
        let around = |middle: &[Value]| -> Vec<Value> {
            self.prefix
                .iter()
                .map(special)
                .chain(middle.iter().cloned())
                .chain(self.suffix.iter().map(special))
                .collect()
        };
        let (a, b) = (
            json!({"Sequence": {"id": "A", "type_id": 0}}),
            json!({"Sequence": {"id": "B", "type_id": 1}}),
        );
        let tokens: serde_json::Map<String, Value> = (self.prefix.iter().chain(&self.suffix))
            .map(|id| {
                let text = self.written(Some(*id));
                (text.clone(), json!({"id": text, "ids": [id], "tokens": [text]}))
            })
            .collect();
        json!({
            "type": "TemplateProcessing",
            "single": around(std::slice::from_ref(&a)),
            "pair": around(&[a.clone(), b]),
            "special_tokens": tokens,
        })
    }
}
