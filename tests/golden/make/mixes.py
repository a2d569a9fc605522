"""Models of random weights in the mixes of types that llama.cpp makes, by its own quantisers, and
what the package `gguf` (0.19.0) makes of them.

usage: mixes.py OUT
Writes MODEL-MIX.gguf and MODEL-MIX.json, which has the SHA-256 of each matrix's values in f32 by
its canonical name, for each of MODELS and MIXES. Needs xllamacpp (2026.10.11549), a build of
llama.cpp, of which it calls the library.
"""

import ctypes
import hashlib
import importlib.util
import json
import pathlib
import sys

import gguf
import numpy as np

Type = gguf.GGMLQuantizationType
LAYERS, VOCAB = 4, 512

# Architecture, widths of the model and of its MLP, heads of queries and of keys, width of a head.
MODELS = {
    "fused": ("phi3", 256, 512, 8, 2, 32),
    "split": ("llama", 256, 512, 8, 2, 32),
    # Not all are multiples of 256.
    "smollm2": ("llama", 576, 1536, 9, 3, 64),
}
# What most of a mix's matrices become.
MIXES = {
    "Q2_K": Type.Q2_K,
    "Q3_K_M": Type.Q3_K,
    "Q4_K_M": Type.Q4_K,
    "Q5_K_M": Type.Q5_K,
    "Q6_K": Type.Q6_K,
    "IQ4_NL": Type.IQ4_NL,
    "IQ4_XS": Type.IQ4_XS,
}
# What takes the place of a type whose blocks do not fit.
OTHERS = {
    Type.Q2_K: Type.IQ4_NL,
    Type.Q3_K: Type.IQ4_NL,
    Type.IQ4_XS: Type.IQ4_NL,
    Type.Q4_K: Type.Q5_0,
    Type.Q5_K: Type.Q5_1,
    Type.Q6_K: Type.Q8_0,
}


def kind_of(mix, name, layer, queries, cols):
    """A tensor's type by llama.cpp's rules (llama_tensor_get_type in llama-quant.cpp), where no
    text tells which weights matter. So many queries share a key."""
    early, late = LAYERS // 8, 7 * LAYERS // 8
    more = layer < early or layer >= late or (layer - early) % 3 == 2
    kind = {
        "token_embd": {mix: Type.Q6_K},  # The head is the same tensor.
        "attn_v": {
            "Q2_K": Type.Q4_K if queries >= 4 else Type.Q3_K,
            "Q3_K_M": Type.Q5_K if layer < 2 else Type.Q4_K,
            "IQ4_NL": Type.Q5_K if queries >= 4 else Type.IQ4_NL,
            "IQ4_XS": Type.Q5_K if queries >= 4 else Type.IQ4_XS,
            "Q4_K_M": Type.Q6_K if more else Type.Q4_K,
            "Q5_K_M": Type.Q6_K if more else Type.Q5_K,
        },
        "attn_qkv": {"Q3_K_M": Type.Q4_K, "Q4_K_M": Type.Q5_K, "Q5_K_M": Type.Q6_K},
        "attn_output": {"Q2_K": Type.Q3_K, "Q3_K_M": Type.Q4_K},
        "ffn_down": {
            "Q2_K": Type.Q3_K,
            "Q3_K_M": Type.Q5_K if layer < LAYERS // 16 else Type.Q4_K,
            "Q4_K_M": Type.Q6_K if more else Type.Q4_K,
            "Q5_K_M": Type.Q6_K if more else Type.Q5_K,
            "IQ4_NL": Type.Q5_K if layer < early else Type.IQ4_NL,
            "IQ4_XS": Type.Q5_K if layer < early else Type.IQ4_XS,
        },
    }.get(name, {}).get(mix, MIXES[mix])
    return OTHERS.get(kind, kind) if cols % gguf.GGML_QUANT_SIZES[kind][0] else kind


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


def in_halves(values, head_dim):
    """Rows of heads whose first and second halves lie interleaved, half after half."""
    heads = values.reshape(-1, head_dim // 2, 2, values.shape[1])
    return heads.swapaxes(1, 2).reshape(values.shape)


def model(llama, folder, name, mix):
    arch, hidden, inter, heads, kv, head_dim = MODELS[name]
    rng = np.random.default_rng(30)
    writer = gguf.GGUFWriter(folder / f"{name}-{mix}.gguf", arch)
    writer.add_context_length(512)
    writer.add_embedding_length(hidden)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(inter)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(head_dim)
    if arch == "phi3":
        writer.add_rope_scaling_orig_ctx_len(512)
        writer.add_sliding_window(0)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"<{i}>" for i in range(VOCAB - 1)] + ["<|end|>"])
    writer.add_token_types([1] * (VOCAB - 1) + [3])
    writer.add_eos_token_id(VOCAB - 1)
    hashes = {}

    def matrix(short, rows, cols, layer=None):
        # Longer tails than a normal distribution has, as weights have them.
        weights = (rng.standard_t(4, (rows, cols)) * 0.02).astype(np.float32)
        kind = kind_of(mix, short, layer or 0, heads // kv, cols)
        data = quantise(llama, weights, kind)
        prefix = "" if layer is None else f"blk.{layer}."
        writer.add_tensor(f"{prefix}{short}.weight", data, raw_dtype=kind)
        return gguf.dequantize(data, kind).astype("<f4").reshape(rows, cols)

    def norm(short):
        writer.add_tensor(f"{short}.weight", np.ones(hidden, dtype=np.float32))

    def have(canonical, *values):
        bytes_of = np.concatenate(values).tobytes()
        hashes[f"{canonical}.weight"] = hashlib.sha256(bytes_of).hexdigest()

    have("model.embed_tokens", matrix("token_embd", VOCAB, hidden))
    norm("output_norm")
    for i in range(LAYERS):
        layer, (q, k) = f"model.layers.{i}", (heads * head_dim, kv * head_dim)
        qkv, gate_up = f"{layer}.self_attn.qkv_proj", f"{layer}.mlp.gate_up_proj"
        if arch == "phi3":
            have(qkv, matrix("attn_qkv", q + 2 * k, hidden, i))
            have(gate_up, matrix("ffn_up", 2 * inter, hidden, i))
        else:
            queries, keys = matrix("attn_q", q, hidden, i), matrix("attn_k", k, hidden, i)
            rotated = in_halves(queries, head_dim), in_halves(keys, head_dim)
            have(qkv, *rotated, matrix("attn_v", k, hidden, i))
            have(gate_up, matrix("ffn_gate", inter, hidden, i), matrix("ffn_up", inter, hidden, i))
        have(f"{layer}.self_attn.o_proj", matrix("attn_output", hidden, q, i))
        have(f"{layer}.mlp.down_proj", matrix("ffn_down", hidden, inter, i))
        norm(f"blk.{i}.attn_norm")
        norm(f"blk.{i}.ffn_norm")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (folder / f"{name}-{mix}.json").write_text(json.dumps(hashes, indent=1))


folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
llama = library()
for name in MODELS:
    for mix in MIXES:
        model(llama, folder, name, mix)
