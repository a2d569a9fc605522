//! Conversations as text.

use phi_wasm::Code;
use phi_wasm::text::{BuiltIn, ChatTemplate, Message, Tokenizer};
use serde_json::json;

use super::*;

pub fn smollm2_chat(messages: &[Message]) -> String {
    ChatTemplate::for_tokenizer(smollm2(), Some(SMOLLM2_TEMPLATE)).unwrap().render(messages, true).unwrap()
}

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
    assert_eq!(phi4_template.open_end(&chat[1..3]).unwrap(), "<|user|>hi<|end|><|assistant|>Hello.");
    assert_eq!(phi4_template.open_end(&chat[1..2]).unwrap_err().code, Code::BadOption);
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
