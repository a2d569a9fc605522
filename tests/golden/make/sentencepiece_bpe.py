"""A small SentencePiece BPE model, as a GGUF file would hold it, and what SentencePiece itself
makes of some strings.

usage: sentencepiece_bpe.py TEXT_TO_LEARN_FROM ../sentencepiece/bpe.json
Trained as Llama's and Phi-3's were (byte fallback, dummy prefix, no normalisation, split digits),
with Phi-3's control tokens after its pieces. `segments` are the texts that stand between control
tokens: SentencePiece sees them one by one.
"""

import json, sys, tempfile
import sentencepiece as spm

with tempfile.TemporaryDirectory() as here:
    spm.SentencePieceTrainer.train(
        input=sys.argv[1],
        model_prefix=here + "/m",
        vocab_size=900,
        model_type="bpe",
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=True,
        character_coverage=0.995,
        allow_whitespace_only_pieces=True,
        num_threads=1,
        minloglevel=2,
        shuffle_input_sentence=False,
    )
    model = spm.SentencePieceProcessor(model_file=here + "/m.model")

n = model.get_piece_size()
tokens = [model.id_to_piece(i) for i in range(n)]
types = [
    2
    if model.is_unknown(i)
    else 3
    if model.is_control(i)
    else 5
    if model.is_unused(i)
    else 6
    if model.is_byte(i)
    else 1
    for i in range(n)
]
scores = [model.get_score(i) for i in range(n)]
control = ["<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>"]
tokens += control + ["[PAD0]", "[PAD1]"]
types += [3] * len(control) + [5, 5]
scores += [0.0] * (len(control) + 2)

texts = [
    "Hello, world!",
    "The quick brown fox's 12345 jumps — over 3 lazy dogs.",
    "  two leading, two trailing  ",
    "a\nb\n\n\tc\r\n",
    "naïve façade Ωmega 你好，世界 🙂👩‍👩‍👧",
    "under_score ▁ block",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "x = {'a': [1, 2.5e-3]}  # done",
    " ",
    "",
]
chat = [(["<|user|>"], "What is the capital of France?"), (["<|end|>", "<|assistant|>"], "")]
golden = {
    "vocabulary": {
        "model": "llama",
        "pre": "default",
        "tokens": tokens,
        "token_types": types,
        "scores": scores,
        "bos": model.bos_id(),
        "eos": model.eos_id(),
        "unk": model.unk_id(),
    },
    "texts": [{"text": t, "ids": model.encode(t)} for t in texts],
    "chat": {
        "text": "<|user|>\nWhat is the capital of France?<|end|>\n<|assistant|>\n",
        "ids": [
            i
            for names, text in chat
            for i in [tokens.index(name) for name in names] + model.encode(text)
        ],
    },
}
json.dump(golden, open(sys.argv[2], "w"), ensure_ascii=False, separators=(",", ":"))
