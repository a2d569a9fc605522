"""Writes tests/golden/typical.json: what transformers' typical sampling keeps of some logits, and
with which probabilities.

pip install torch==2.15.0 transformers==5.24.0
python tests/golden/make/typical.py
"""

import json
from pathlib import Path

import torch
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

ROWS = [
    # temperature, top_k, top_p, min_p, typical_p, spread of the logits
    (1.0, 0, 1.0, 0.0, 0.9, 2.0),
    (1.0, 0, 1.0, 0.0, 0.2, 2.0),
    (0.7, 0, 1.0, 0.0, 0.5, 4.0),
    (1.5, 20, 1.0, 0.0, 0.95, 3.0),
    (1.0, 40, 0.9, 0.02, 0.6, 3.0),
    (2.0, 0, 1.0, 0.0, 0.01, 6.0),
]


def main():
    torch.manual_seed(3)
    cases = []
    for temperature, top_k, top_p, min_p, typical_p, spread in ROWS:
        # Short decimals, so that the file has the very logits.
        logits = torch.tensor([[round(x, 3) for x in (spread * torch.randn(60)).tolist()]])
        warpers = [TemperatureLogitsWarper(temperature)]
        if top_k > 0:
            warpers.append(TopKLogitsWarper(top_k))
        if top_p < 1:
            warpers.append(TopPLogitsWarper(top_p))
        if min_p > 0:
            warpers.append(MinPLogitsWarper(min_p))
        warpers.append(TypicalLogitsWarper(typical_p))
        kept = LogitsProcessorList(warpers)(None, logits.clone()).softmax(-1)[0].tolist()
        cases.append(
            {
                "temperature": temperature,
                "top_k": top_k,
                "top_p": top_p,
                "min_p": min_p,
                "typical_p": typical_p,
                "logits": [round(x, 3) for x in logits[0].tolist()],
                "probabilities": {id: round(p, 7) for id, p in enumerate(kept) if p > 0},
            }
        )
        print(typical_p, len(cases[-1]["probabilities"]))
    path = Path(__file__).parents[1] / "typical.json"
    path.write_text(json.dumps(cases) + "\n")


main()
