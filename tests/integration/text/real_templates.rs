//! Real templates against what transformers renders from them: `tests/golden/make/templates.py`
//! says which and whence.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::PathBuf;

use phi_wasm::text::template::Moment;
use phi_wasm::text::{ChatTemplate, Ending, Message};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Golden {
    tokens: BTreeMap<String, String>,
    moment: i64,
    conversations: Vec<Conversation>,
    templates: Vec<Real>,
}

#[derive(Deserialize)]
struct Conversation {
    messages: Value,
    #[serde(default)]
    tools: Vec<Value>,
}

#[derive(Deserialize)]
struct Real {
    package: String,
    path: String,
    sha256: String,
    /// One for each conversation; none where the reference refuses it or fails.
    renderings: Vec<Option<String>>,
}

/// The templates whose renderings differ. docs/models.md has the reasons.
const DIFFER: &[&str] =
    &["vendor/llama.cpp/models/templates/meetkai-functionary-medium-v3.1.jinja"];

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Renders a template for all conversations and says which differ from the reference.
fn differences(golden: &Golden, real: &Real, source: &str) -> Vec<String> {
    let tokens: Vec<_> =
        golden.tokens.iter().map(|(name, written)| (name.as_str(), written.as_str())).collect();
    let template = match ChatTemplate::new(source, &tokens) {
        Ok(template) => template.with_time(Moment { seconds: golden.moment, offset: 0 }),
        Err(error) => return vec![error.to_string()],
    };
    let mut differences = Vec::new();
    for (number, (conversation, expected)) in
        golden.conversations.iter().zip(&real.renderings).enumerate()
    {
        // Where the reference fails, there is nothing to be held against.
        let Some(expected) = expected else { continue };
        let messages = Message::conversation(conversation.messages.clone()).unwrap();
        match template.render(&messages, &conversation.tools, Ending::Answer) {
            Ok(prompt) if sha256(&prompt.text()) == *expected => {}
            Ok(prompt) => {
                differences.push(format!("conversation {number} differs: {:?}", prompt.text()))
            }
            // What a template would leave out in silence is refused.
            Err(error) if error.message.contains("knows nothing of tool") => {}
            Err(error) => differences.push(format!("conversation {number}: {error}")),
        }
    }
    differences
}

#[test]
#[ignore = "reads templates that the step `templates` of `cargo xtask test` fetches"]
fn real_templates_render_as_transformers_does() {
    let folder = PathBuf::from(
        env::var_os("PHI_TEMPLATES").expect("PHI_TEMPLATES names the folder of the templates"),
    );
    let golden: Golden =
        serde_json::from_str(include_str!("../../golden/templates/real.json")).unwrap();
    assert!(golden.templates.len() >= 150, "only {} templates", golden.templates.len());
    let mut differ = Vec::new();
    for real in &golden.templates {
        let source = fs::read_to_string(folder.join(format!("{}.jinja", real.sha256))).unwrap();
        assert_eq!(sha256(&source), real.sha256);
        let differences = differences(&golden, real, &source);
        if !differences.is_empty() {
            println!(
                "{} {} {}\n  {}",
                real.sha256,
                real.package,
                real.path,
                differences.join("\n  ")
            );
            differ.push(real.path.as_str());
        }
    }
    println!(
        "{} of {} templates render as transformers does",
        golden.templates.len() - differ.len(),
        golden.templates.len()
    );
    assert_eq!(differ, DIFFER);
}
