#!/bin/sh
# One would guess that a keyword that asks for nothing makes no schema too hard: `"uniqueItems": false` is the default, and 2.0 is the integer 2
# in JSON Schema.
# llguidance compiles neither. The whole schema is refused, with all else that is in it; generators of schemas write both.
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

SCHEMAS = [({"type": "array", "maxItems": 2}, True), ({"type": "array", "maxItems": 2.0}, False),
           ({"type": "array", "uniqueItems": False}, False)]

print("llguidance", version("llguidance"), "jsonschema", version("jsonschema"))
for schema, expected in SCHEMAS:
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate([1, 1], schema)
    is_error, messages = llguidance.LLMatcher.validate_grammar_with_warnings(llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema)))
    print(f"{json.dumps(schema)}: {'refused' if is_error else 'compiled'}: {' '.join(messages)}")
    assert is_error != expected, "this has changed"
PYTHON
