#!/bin/sh
# One would guess that a token has the id that tokenizer.json gives it.
# tokenizers counts instead: a token in "added_tokens" that is not in the model's vocabulary gets the next free id, whatever its "id" says. A file
# whose added tokens leave a gap, as vocabularies with unused rows do, loads without an error, and every token after the gap is another row of
# the embedding.
# tokenizers 0.23.3 of PyPI, 2026-11-28.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/venv"
"$here/venv/bin/pip" install --quiet tokenizers==0.23.3
"$here/venv/bin/python" - <<'PYTHON'
import json
from importlib.metadata import version
import tokenizers

FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
GIVEN = {"<|user|>": 3, "<|end|>": 8, "<|system|>": 9}
FILE = {"version": "1.0", "added_tokens": [{"id": id, "content": content, **FLAGS} for content, id in GIVEN.items()],
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}}

read = tokenizers.Tokenizer.from_str(json.dumps(FILE))
seen = {content: read.token_to_id(content) for content in GIVEN}
print("tokenizers", version("tokenizers"))
for content, id in GIVEN.items():
    print(f"{content} has id {id} in the file, and {seen[content]} once it is read")
assert read.encode("ab<|end|>").ids == [2, seen["<|end|>"]]
assert seen == {"<|user|>": 3, "<|end|>": 4, "<|system|>": 5}, "this has changed"
PYTHON
