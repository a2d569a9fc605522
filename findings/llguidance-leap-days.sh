#!/bin/sh
# One would guess that a format is held either by its letters alone or as a calendar has it.
# llguidance holds "date" half as a calendar: 30 February and 31 April cannot be written, but 29 February can in every year. Who trusts the
# grammar with the first finds the second in a database that refuses it.
# llguidance 1.9.1 of PyPI, 2026-11-28.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/venv"
"$here/venv/bin/pip" install --quiet llguidance==1.9.1
"$here/venv/bin/python" - <<'PYTHON'
import datetime, json
from importlib.metadata import version
import llguidance

DATES = {"2024-02-29": True, "2023-02-29": True, "2023-02-30": False, "2023-04-31": False, "1900-02-29": True}


class Bytes:
    """A vocabulary in which each byte is a token."""
    eos_token_id, bos_token_id, tokens, special_token_ids = 256, None, [bytes([i]) for i in range(256)] + [b"<end>"], [256]

    def __call__(self, text):
        return list(text if isinstance(text, bytes) else text.encode())


def is_date(text):
    try:
        return bool(datetime.date.fromisoformat(text))
    except ValueError:
        return False


grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps({"type": "string", "format": "date"}))
vocabulary = llguidance.LLTokenizer(llguidance.TokenizerWrapper(Bytes()))
print("llguidance", version("llguidance"))
for date, expected in DATES.items():
    text = json.dumps(date).encode()
    seen = llguidance.LLMatcher(vocabulary, grammar).validate_tokens([*text, 256]) == len(text) + 1
    print(f"{date}, which {'is' if is_date(date) else 'is not'} a date: {'taken' if seen else 'refused'}")
    assert seen == expected, "this has changed"
PYTHON
