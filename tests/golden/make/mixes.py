"""Models of random weights in the mixes of types that llama.cpp makes, by its own quantisers, and
what the package `gguf` (0.19.0) makes of them.

usage: mixes.py OUT
Writes MIX.gguf and MIX.values.safetensors, which has each matrix by its canonical name, for each of
MIXES. Needs xllamacpp (2026.10.11549), a build of llama.cpp, of which it calls the library, and
safetensors (0.8.0).
"""

import ctypes
import importlib.util
import pathlib
import sys

import gguf
import numpy as np
from safetensors.numpy import save_file

Type = gguf.GGMLQuantizationType
HIDDEN, INTER, LAYERS, HEADS, KV, HEAD, VOCAB = 256, 512, 2, 8, 2, 32, 512

# The embedding, projections of queries, keys and values, out, gate and up, and those down of either
# layer: what llama.cpp's rules (llama-quant.cpp) give a model of fused projections, more or less.
MIXES = {
    "Q2_K": ["Q6_K", "Q2_K", "Q3_K", "Q2_K", "Q3_K", "Q3_K"],
    "Q3_K_M": ["Q6_K", "Q4_K", "Q4_K", "Q3_K", "Q5_K", "Q4_K"],
    "Q4_K_M": ["Q6_K", "Q5_K", "Q4_K", "Q4_K", "Q6_K", "Q4_K"],
    "Q5_K_M": ["Q6_K", "Q6_K", "Q5_K", "Q5_K", "Q6_K", "Q5_K"],
    "Q6_K": ["Q6_K", "Q6_K", "Q6_K", "Q6_K", "Q6_K", "Q6_K"],
    "IQ4_NL": ["Q6_K", "IQ4_NL", "IQ4_NL", "IQ4_NL", "Q5_K", "IQ4_NL"],
    "IQ4_XS": ["Q6_K", "IQ4_XS", "IQ4_XS", "IQ4_XS", "Q5_K", "IQ4_XS"],
}


def library():
    found = importlib.util.find_spec("xllamacpp").submodule_search_locations[0]
    llama = ctypes.CDLL(str(next(pathlib.Path(found).glob("*.so"))))
    llama.ggml_quantize_chunk.restype = ctypes.c_size_t
    llama.ggml_quantize_chunk.argtypes = (
        [ctypes.c_int] + [ctypes.c_void_p] * 2 + [ctypes.c_int64] * 3 + [ctypes.c_void_p]
    )
    return llama


def quantise(llama, weights, kind):
    rows, cols = weights.shape
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    out = np.zeros((rows, cols // elements * size), dtype=np.uint8)
    args = weights.ctypes.data, out.ctypes.data, 0, rows, cols, None
    assert llama.ggml_quantize_chunk(int(kind), *args) == out.nbytes
    return out


def model(llama, folder, name):
    rng = np.random.default_rng(30)
    writer = gguf.GGUFWriter(folder / f"{name}.gguf", "phi3")
    writer.add_context_length(512)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INTER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(HEAD)
    writer.add_rope_scaling_orig_ctx_len(512)
    writer.add_sliding_window(0)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"<{i}>" for i in range(VOCAB - 1)] + ["<|end|>"])
    writer.add_token_types([1] * (VOCAB - 1) + [3])
    writer.add_eos_token_id(VOCAB - 1)
    embed, qkv, out, gate_up, *down = (Type[kind] for kind in MIXES[name])
    values = {}

    def matrix(short, canonical, kind, rows, cols):
        # Longer tails than a normal distribution has, as weights have them.
        weights = (rng.standard_t(4, (rows, cols)) * 0.02).astype(np.float32)
        data = quantise(llama, weights, kind)
        writer.add_tensor(f"{short}.weight", data, raw_dtype=kind)
        held = gguf.dequantize(data, kind).astype(np.float32)
        values[f"{canonical}.weight"] = held.reshape(rows, cols)

    def norm(short):
        writer.add_tensor(f"{short}.weight", np.ones(HIDDEN, dtype=np.float32))

    matrix("token_embd", "model.embed_tokens", embed, VOCAB, HIDDEN)
    norm("output_norm")
    for i in range(LAYERS):
        short, long = f"blk.{i}", f"model.layers.{i}"
        width = (HEADS + 2 * KV) * HEAD
        matrix(f"{short}.attn_qkv", f"{long}.self_attn.qkv_proj", qkv, width, HIDDEN)
        matrix(f"{short}.attn_output", f"{long}.self_attn.o_proj", out, HIDDEN, HIDDEN)
        matrix(f"{short}.ffn_up", f"{long}.mlp.gate_up_proj", gate_up, 2 * INTER, HIDDEN)
        matrix(f"{short}.ffn_down", f"{long}.mlp.down_proj", down[i], HIDDEN, INTER)
        norm(f"{short}.attn_norm")
        norm(f"{short}.ffn_norm")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(values, folder / f"{name}.values.safetensors")


folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
llama = library()
for name in MIXES:
    model(llama, folder, name)
