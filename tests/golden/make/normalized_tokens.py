"""Small tokenizers whose normalizers change what added tokens are found in, and what the library
itself makes of some texts.

usage: normalized_tokens.py ../templates/tokenizer.json ../normalized-tokens.json
"""

import json, sys
import tokenizers

base = json.load(open(sys.argv[1]))
token = lambda id, content, special=True, normalized=True, **more: {
    "id": id,
    "content": content,
    "single_word": False,
    "lstrip": False,
    "rstrip": False,
    "normalized": normalized,
    "special": special,
    **more,
}
sequence = lambda *steps: {"type": "Sequence", "normalizers": list(steps)}
kinds = {
    "none": None,
    "nfc": {"type": "NFC"},
    "nfkc and lowercase": sequence({"type": "NFKC"}, {"type": "Lowercase"}),
    "without accents": sequence({"type": "NFD"}, {"type": "StripAccents"}),
    "spaces marked": {"type": "Replace", "pattern": {"String": " "}, "content": "_"},
}
added = [
    token(1, "<|im_start|>"),
    token(2, "<|im_end|>"),
    token(268, "\x01", normalized=False),
    token(269, "<tool>", special=False),
    token(270, "    ", special=False),
    token(271, "\u03a9"),
]
texts = [
    "<|im_start|>user\nhello<|im_end|>\n",
    "  Hello, wörld ﬁne 1234!",
    "<|IM_END|> <|ｉｍ＿ｅｎｄ|> <|im_énd|> <|im end|>",
    "a\u03a9b\x01c\u2126d \u03c9",
    "if x:\n    y = 1\n        z",
    "<tool>x<TOOL>",
    "e\u0301 é ＡＢＣ Ünï",
    "<|im_end|><|im_end|>\u03a9<|im_start|>",
    "",
]
rows = []
for name, normalizer in kinds.items():
    file = {
        **base,
        "normalizer": normalizer,
        "added_tokens": [t for t in base["added_tokens"] if "im_" not in t["content"]] + added,
    }
    reference = tokenizers.Tokenizer.from_str(json.dumps(file))
    assert all(reference.token_to_id(t["content"]) == t["id"] for t in added)
    rows.append(
        {
            "name": name,
            "normalizer": normalizer,
            "texts": [
                {"text": t, "ids": reference.encode(t, add_special_tokens=False).ids} for t in texts
            ],
        }
    )
file["normalizer"] = None
json.dump(
    {"tokenizers": tokenizers.__version__, "tokenizer": file, "rows": rows},
    open(sys.argv[2], "w"),
    ensure_ascii=True,
    separators=(",", ":"),
)
