#!/bin/sh
# One would guess that what is given to a GGUF writer is in the file, or that the writer raises.
# The package gguf leaves out empty lists and empty texts without a word, and its reader gives lists of lists back as one flat list. Whoever
# reads an absent key as "not said", and an empty one as "none", is told the wrong thing by a file that was written with the latter.
# gguf 0.19.0 and numpy 2.3.5 of PyPI, 2026-11-28.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/venv"
"$here/venv/bin/pip" install --quiet gguf==0.19.0 numpy==2.3.5
cd "$here"
"$here/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version
import gguf, numpy

GIVEN = {"a.list": [1, 2], "a.empty_list": [], "a.text": "x", "a.empty_text": "", "a.nested": [[1, 2], [3]]}
EXPECTED = {"a.list": [1, 2], "a.text": "x", "a.nested": [1, 2, 3]}

writer = gguf.GGUFWriter("model.gguf", "llama")
for key, value in GIVEN.items():
    writer.add_string(key, value) if isinstance(value, str) else writer.add_array(key, value)
writer.add_tensor("t", numpy.zeros(32, numpy.float32))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

fields = gguf.GGUFReader("model.gguf").fields
seen = {key: fields[key].contents() for key in GIVEN if key in fields}
print("gguf", version("gguf"))
for key, value in GIVEN.items():
    print(f"{key}: {value!r} is written, {seen.get(key, 'nothing')!r} is read")
assert seen == EXPECTED, "this has changed"
PYTHON
