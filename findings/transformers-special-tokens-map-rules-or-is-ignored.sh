#!/bin/sh
# One would guess that tokenizer_config.json has the last word on what a model's end token is, or that special_tokens_map.json has.
# In transformers the map has it, against the configuration beside it, as long as the configuration has no "added_tokens_decoder". With that in
# it, which changes nothing about the tokens here, the map is not read at all: what it alone names (a padding token) does not exist any more, and
# another token ends a text.
# transformers 5.24.0 and tokenizers 0.23.3 of PyPI, 2026-11-28.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/venv"
"$here/venv/bin/pip" install --quiet transformers==5.24.0 tokenizers==0.23.3
cd "$here"
TRANSFORMERS_VERBOSITY=critical "$here/venv/bin/python" - <<'PYTHON'
import json
from importlib.metadata import version
from transformers import AutoTokenizer

FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
ADDED = [{"id": id, "content": content, **FLAGS} for id, content in [(3, "<pad>"), (4, "</s>"), (5, "<|end|>")]]
MODEL = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}
CONFIG = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"}
DECODER = {"added_tokens_decoder": {str(token["id"]): {key: token[key] for key in ["content", *FLAGS]} for token in ADDED}}


def write(name, content):
    with open(name, "w") as file:
        json.dump(content, file)


def named(config):
    write("tokenizer_config.json", config)
    tokenizer = AutoTokenizer.from_pretrained(".")
    assert tokenizer.convert_tokens_to_ids(["<pad>", "</s>", "<|end|>"]) == [3, 4, 5]
    return tokenizer.eos_token, tokenizer.pad_token


write("tokenizer.json", {"version": "1.0", "added_tokens": ADDED, "model": MODEL})
write("special_tokens_map.json", {"eos_token": "<|end|>", "pad_token": "<pad>"})
without, with_decoder = named(CONFIG), named({**CONFIG, **DECODER})
print(f"transformers {version('transformers')}; the configuration says </s>, the map <|end|> and <pad>")
print("end and padding:                           ", *without)
print("the same with added_tokens_decoder as well:", *with_decoder)
assert without == ("<|end|>", "<pad>") and with_decoder == ("</s>", None), "this has changed"
PYTHON
