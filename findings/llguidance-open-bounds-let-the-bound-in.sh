#!/bin/sh
# One would guess that a number under exclusiveMinimum is never that minimum, and that 0.9 is there under a maximum of 0.95.
# Where both open bounds have the same whole part, llguidance takes the whole number itself: 0 for 0 < x < 0.5, 1 for 1 < x < 1.5, and -0 for
# -0.5 < x < 0, all invalid by the schema that the grammar was made of; with 0 < x < 1 it does not. And it leaves out the bound cut after a digit:
# 0.9 and 1.9 are refused where the maximum is 0.95 or 1.95, though 0.94 is taken.
# llguidance 1.9.1 and jsonschema 4.26.0 of PyPI, 2026-11-30.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/venv"
"$here/venv/bin/pip" install --quiet llguidance==1.9.1 jsonschema==4.26.0
"$here/venv/bin/python" - <<'PYTHON'
import json
from importlib.metadata import version
import jsonschema, llguidance


def between(low, high):
    return {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": high}


# A schema, a number, whether it is valid, whether llguidance takes it.
ROWS = [
    (between(0, 0.5), "0", False, True),
    (between(1, 1.5), "1", False, True),
    (between(-0.5, 0), "-0", False, True),
    (between(0, 1), "0", False, False),
    ({"type": "number", "maximum": 0.95}, "0.9", True, False),
    ({"type": "number", "maximum": 0.95}, "0.94", True, True),
    ({"type": "number", "maximum": 1.95}, "1.9", True, False),
]


class Bytes:
    """A token for each byte, and one for the end."""

    bos_token_id, eos_token_id, special_token_ids = None, 256, [256]
    tokens = [bytes([byte]) for byte in range(256)] + [b"<end>"]

    def __call__(self, text):
        return list(text.encode() if isinstance(text, str) else text)


tokens = llguidance.LLTokenizer(llguidance.TokenizerWrapper(Bytes()))
print("llguidance", version("llguidance"), "jsonschema", version("jsonschema"))
for schema, text, valid, taken in ROWS:
    grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema))
    matcher = llguidance.LLMatcher(tokens, grammar)
    assert not matcher.get_error(), matcher.get_error()
    seen = matcher.validate_tokens([*text.encode(), 256]) == len(text) + 1
    is_valid = jsonschema.Draft202012Validator(schema).is_valid(json.loads(text))
    print(f"{json.dumps(schema)}: {text} is valid: {is_valid}; llguidance takes it: {seen}")
    assert (is_valid, seen) == (valid, taken), "this has changed"
PYTHON
