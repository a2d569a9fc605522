"""What SmolLM2's GGUF file says about its tokenizer, as the JSON of `text::Vocabulary`, gzipped.

usage: smollm2_vocabulary.py SmolLM2-135M-Instruct.Q4_1.gguf ../smollm2/vocabulary.json.gz
"""

import gzip, json, sys
from gguf import GGUFReader

fields = GGUFReader(sys.argv[1]).fields
get = lambda key: (
    fields["tokenizer.ggml." + key].contents() if "tokenizer.ggml." + key in fields else None
)
vocabulary = {
    "model": get("model"),
    "pre": get("pre"),
    "tokens": get("tokens"),
    "token_types": get("token_type"),
    "merges": get("merges"),
    "bos": get("bos_token_id"),
    "eos": get("eos_token_id"),
    "unk": get("unknown_token_id"),
    "pad": get("padding_token_id"),
    "add_bos": get("add_bos_token"),
    "add_eos": get("add_eos_token"),
    "add_space_prefix": get("add_space_prefix"),
}
text = json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":"))
with open(
    sys.argv[2], "wb"
) as file:  # No name and no time inside, so that the same vocabulary makes the same file.
    with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as out:
        out.write(text.encode())
