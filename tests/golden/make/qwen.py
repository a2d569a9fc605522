"""Writes tests/golden/qwen/NAME.json: what transformers 5.24.0 (torch 2.15.0) answers, greedily and
in float32, with the weights of a Qwen2.5-Coder-Instruct as its GGUF (Q4_K_M) gives them back, and
how far each token was ahead of the next best.

usage: python3 tests/golden/make/qwen.py GGUF NAME

From the repository's root; the steps `qwen` (0.5b) and `qwen-1.5b` of `cargo xtask test` fetch the
files.
"""

import json
import os
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

OUT = "tests/golden/qwen"
QUESTION = "Write a Python function that returns the greatest common divisor of two numbers."
TOKENS = 64

folder, file = os.path.split(os.path.abspath(sys.argv[1]))
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32).eval()
messages = [{"role": "user", "content": QUESTION}]
text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
prompt = tokenizer(text, return_tensors="pt").input_ids
with torch.no_grad():
    answer = model.generate(prompt, max_new_tokens=TOKENS, do_sample=False, repetition_penalty=1.0)[
        0, prompt.shape[1] :
    ]
    logits = model(torch.cat([prompt[0], answer])[None]).logits[0, prompt.shape[1] - 1 : -1]
best = logits.topk(2).values
assert (logits.argmax(-1) == answer).all(), "generate answers as the logits say"
margins = [round(float(first - second), 4) for first, second in best]
os.makedirs(OUT, exist_ok=True)
with open(f"{OUT}/{sys.argv[2]}.json", "w") as out:
    golden = {
        "question": QUESTION,
        "prompt": prompt[0].tolist(),
        "answer": answer.tolist(),
        "margins": margins,
        "text": tokenizer.decode(answer),
    }
    out.write(
        "{\n"
        + ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in golden.items())
        + "\n}\n"
    )
print(golden["text"], "\nsmallest margins", sorted(margins)[:6])
