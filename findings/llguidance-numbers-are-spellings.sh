#!/bin/sh
# One would guess that a grammar made of a JSON schema takes a number by its value: 1, 1.0 and 1e0 are one number in JSON Schema.
# llguidance takes spellings. `"const": 1.0` takes the text 1 alone, `"multipleOf": 0.5` takes 2.0 and not 1.50, and a `minimum` shuts out every
# exponent. A model that would write 1.0 is led to another text, and texts that others wrote and that are valid by the schema are refused.
# llguidance 1.9.1 and jsonschema 4.26.0 of PyPI, 2026-11-28.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/venv"
"$here/venv/bin/pip" install --quiet llguidance==1.9.1 jsonschema==4.26.0
"$here/venv/bin/python" - <<'PYTHON'
import json
from importlib.metadata import version
import jsonschema, llguidance

ROWS = [({"const": 1.0}, "1", True), ({"const": 1.0}, "1.0", False), ({"type": "number", "multipleOf": 0.5}, "2.0", True),
        ({"type": "number", "multipleOf": 0.5}, "1.50", False), ({"type": "number"}, "1e2", True), ({"type": "number", "minimum": 0}, "1e2", False)]


class Bytes:
    """A vocabulary in which each byte is a token."""
    eos_token_id, bos_token_id, tokens, special_token_ids = 256, None, [bytes([i]) for i in range(256)] + [b"<end>"], [256]

    def __call__(self, text):
        return list(text if isinstance(text, bytes) else text.encode())


vocabulary = llguidance.LLTokenizer(llguidance.TokenizerWrapper(Bytes()))


def takes(schema, text):
    matcher = llguidance.LLMatcher(vocabulary, llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema)))
    assert not matcher.get_error(), matcher.get_error()
    return matcher.validate_tokens([*text.encode(), 256]) == len(text) + 1


print("llguidance", version("llguidance"), "jsonschema", version("jsonschema"))
for schema, text, expected in ROWS:
    jsonschema.validate(json.loads(text), schema)
    seen = takes(schema, text)
    print(f"{json.dumps(schema)}: {text} is valid, and llguidance {'takes' if seen else 'refuses'} it")
    assert seen == expected, "this has changed"
PYTHON
