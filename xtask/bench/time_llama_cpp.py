"""Times llama.cpp on this machine, figures as a line of JSON:
`python time_llama_cpp.py MODEL.gguf --threads N --text TEXT --gen N`.

A split model is named by its first part. What is timed is what `phi bench` times: the prompt up to
the choice of the first token, then as many steps as tokens are asked for, whatever they are.
"""

import argparse
import json
import resource
import time
from importlib.metadata import version

from llama_cpp import Llama

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--text", required=True)
parser.add_argument("--gen", type=int, required=True)
args = parser.parse_args()

begin = time.perf_counter()
model = Llama(
    args.model, n_ctx=2048, n_threads=args.threads, n_threads_batch=args.threads, verbose=False
)
load_ms = (time.perf_counter() - begin) * 1e3


def measure(tokens, steps):
    model.reset()
    times = [time.perf_counter()]
    model.eval(tokens)
    choice = model.sample(temp=0.0)
    times.append(time.perf_counter())
    for _ in range(steps):
        model.eval([choice])
        choice = model.sample(temp=0.0)
    times.append(time.perf_counter())
    return times[1] - times[0], times[2] - times[1]


prompt = model.tokenize(args.text.encode(), add_bos=False)
measure(prompt[:8], 1)
prefill, decode = measure(prompt, args.gen)
figures = {
    "version": version("llama-cpp-python"),
    "prompt_tokens": len(prompt),
    "generated_tokens": args.gen,
    "prefill_tps": len(prompt) / prefill,
    "decode_tps": args.gen / decode,
    "load_ms": load_ms,
    # The model's mapped pages count, as far as they were read.
    "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
}
print(json.dumps(figures))
