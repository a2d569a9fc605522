"""Writes tests/golden/weights: rows of every GGUF block type with their values, and small models,
by the packages `gguf` (0.19.0), `safetensors` and `numpy`, whose code shares nothing with ours.

usage: python3 tests/golden/make/weights.py   (from the repository's root)
"""

import json
import os
import struct

import gguf
import numpy as np
from safetensors.numpy import save_file

OUT = "tests/golden/weights"
HIDDEN, INTER, LAYERS, HEADS, KV, HEAD, VOCAB = 32, 64, 2, 2, 1, 16, 41
rng = np.random.default_rng(20)
# Of its own, so that types which came later change nothing that was there.
later = np.random.default_rng(21)
latest = np.random.default_rng(22)


def half(low, high, rng=rng):
    return struct.pack("<e", rng.uniform(low, high))


def k_block(kind):
    """256 random codes under sensible scales: the package decodes these types but does not
    encode them."""
    raw = lambda n, rng=rng: rng.integers(0, 256, n, dtype=np.uint8).tobytes()
    if kind == gguf.GGMLQuantizationType.IQ4_NL:
        return b"".join(half(1e-3, 1e-2, later) + raw(16, later) for _ in range(8))
    if kind == gguf.GGMLQuantizationType.IQ4_XS:
        return half(1e-4, 1e-3, later) + raw(134, later)
    if kind == gguf.GGMLQuantizationType.Q2_K:
        return raw(80, later) + half(1e-3, 1e-2, later) + half(1e-3, 1e-2, later)
    if kind == gguf.GGMLQuantizationType.Q3_K:
        return raw(108, later) + half(1e-3, 1e-2, later)
    if kind == gguf.GGMLQuantizationType.Q4_K:
        return half(1e-4, 1e-3) + half(1e-4, 1e-3) + raw(12) + raw(128)
    if kind == gguf.GGMLQuantizationType.Q5_K:
        return half(1e-4, 1e-3) + half(1e-4, 1e-3) + raw(12) + raw(32) + raw(128)
    return raw(128) + raw(64) + raw(16) + half(1e-4, 1e-3)


def blocks():
    """Two rows of 512 for each type: `TYPE.bytes` and `TYPE.values`."""
    out = {}
    for name in [
        "F32",
        "F16",
        "BF16",
        "Q4_0",
        "Q4_1",
        "Q5_0",
        "Q5_1",
        "Q8_0",
        "Q2_K",
        "Q3_K",
        "Q4_K",
        "Q5_K",
        "Q6_K",
        "IQ4_NL",
        "IQ4_XS",
        "TQ1_0",
        "TQ2_0",
        "MXFP4",
    ]:
        kind = gguf.GGMLQuantizationType[name]
        if name.endswith("K") or name.startswith("IQ"):
            data = np.frombuffer(b"".join(k_block(kind) for _ in range(4)), dtype=np.uint8).reshape(
                2, -1
            )
        else:
            numbers = latest if name in ("TQ1_0", "TQ2_0", "MXFP4") else rng
            data = gguf.quantize(numbers.normal(0, 0.05, (2, 512)).astype(np.float32), kind)
        out[f"{name}.values"] = gguf.dequantize(data, kind).astype(np.float32).reshape(2, 512)
        out[f"{name}.bytes"] = np.ascontiguousarray(data).view(np.uint8).reshape(2, -1)
    save_file(out, f"{OUT}/blocks.safetensors")


def weights(*shape):
    return rng.normal(0, 0.1, shape).astype(np.float16)


def permute(w, heads):
    """As llama.cpp's convert_hf_to_gguf.py does to Llama's q and k."""
    return (
        w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)
    )


def common(writer):
    writer.add_context_length(512)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INTER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"<{i}>" for i in range(VOCAB - 2)] + ["<|end|>", "<|endoftext|>"])
    writer.add_token_types([1] * (VOCAB - 2) + [3, 3])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(VOCAB - 1)


def write(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def llama():
    """The same weights as a Hugging Face directory with projections apart, and as a GGUF."""
    os.makedirs(f"{OUT}/llama", exist_ok=True)
    hf = {
        "model.embed_tokens.weight": weights(VOCAB, HIDDEN),
        "lm_head.weight": weights(VOCAB, HIDDEN),
        "model.norm.weight": weights(HIDDEN),
    }
    names = {
        "model.embed_tokens.weight": "token_embd",
        "lm_head.weight": "output",
        "model.norm.weight": "output_norm",
    }
    for i in range(LAYERS):
        for name, short, shape in [
            ("self_attn.q_proj", "attn_q", (HEADS * HEAD, HIDDEN)),
            ("self_attn.k_proj", "attn_k", (KV * HEAD, HIDDEN)),
            ("self_attn.v_proj", "attn_v", (KV * HEAD, HIDDEN)),
            ("self_attn.o_proj", "attn_output", (HIDDEN, HEADS * HEAD)),
            ("mlp.gate_proj", "ffn_gate", (INTER, HIDDEN)),
            ("mlp.up_proj", "ffn_up", (INTER, HIDDEN)),
            ("mlp.down_proj", "ffn_down", (HIDDEN, INTER)),
            ("input_layernorm", "attn_norm", (HIDDEN,)),
            ("post_attention_layernorm", "ffn_norm", (HIDDEN,)),
        ]:
            hf[f"model.layers.{i}.{name}.weight"] = weights(*shape)
            names[f"model.layers.{i}.{name}.weight"] = f"blk.{i}.{short}"
    save_file(hf, f"{OUT}/llama/model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": INTER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV,
        "vocab_size": VOCAB,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "max_position_embeddings": 512,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": [VOCAB - 1, VOCAB - 2],
    }
    json.dump(config, open(f"{OUT}/llama/config.json", "w"), indent=1)
    writer = gguf.GGUFWriter(f"{OUT}/llama.gguf", "llama")
    common(writer)
    writer.add_rope_dimension_count(HEAD)
    for name, tensor in hf.items():
        short = names[name]
        heads = {"attn_q": HEADS, "attn_k": KV}.get(short.split(".")[-1])
        tensor = tensor if heads is None else permute(tensor, heads)
        writer.add_tensor(
            short + ".weight", tensor.astype(np.float32) if tensor.ndim == 1 else tensor
        )
    write(writer)


def phi3():
    """Fused and tied, with LongRoPE, quantised: what the Phi-3 family's files look like.
    `NAME.values` are the weights."""
    writer = gguf.GGUFWriter(f"{OUT}/phi3.gguf", "phi3")
    common(writer)
    writer.add_rope_dimension_count(HEAD * 3 // 4)
    writer.add_rope_scaling_orig_ctx_len(64)
    writer.add_rope_scaling_attn_factors(float(np.sqrt(1 + np.log(512 / 64) / np.log(64))))
    writer.add_sliding_window(0)
    pairs = HEAD * 3 // 8
    writer.add_tensor("rope_factors_long.weight", np.linspace(1, 32, pairs, dtype=np.float32))
    writer.add_tensor("rope_factors_short.weight", np.linspace(1, 1.5, pairs, dtype=np.float32))
    values = {}

    def matrix(name, canonical, kind, rows, cols):
        kind = gguf.GGMLQuantizationType[kind]
        data = gguf.quantize(weights(rows, cols).astype(np.float32), kind)
        values[canonical] = gguf.dequantize(data, kind).astype(np.float32).reshape(rows, cols)
        writer.add_tensor(name, data, raw_dtype=kind)

    matrix("token_embd.weight", "model.embed_tokens.weight", "Q8_0", VOCAB, HIDDEN)
    writer.add_tensor("output_norm.weight", np.ones(HIDDEN, dtype=np.float32))
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        matrix(
            f"blk.{i}.attn_qkv.weight",
            at + "self_attn.qkv_proj.weight",
            "Q4_0",
            (HEADS + 2 * KV) * HEAD,
            HIDDEN,
        )
        matrix(
            f"blk.{i}.attn_output.weight",
            at + "self_attn.o_proj.weight",
            "Q4_1",
            HIDDEN,
            HEADS * HEAD,
        )
        matrix(f"blk.{i}.ffn_up.weight", at + "mlp.gate_up_proj.weight", "Q5_0", 2 * INTER, HIDDEN)
        matrix(f"blk.{i}.ffn_down.weight", at + "mlp.down_proj.weight", "Q8_0", HIDDEN, INTER)
        writer.add_tensor(f"blk.{i}.attn_norm.weight", np.full(HIDDEN, 1 + i, dtype=np.float32))
        writer.add_tensor(f"blk.{i}.ffn_norm.weight", np.full(HIDDEN, 2 + i, dtype=np.float32))
    write(writer)
    save_file(values, f"{OUT}/phi3.values.safetensors")


os.makedirs(OUT, exist_ok=True)
blocks()
llama()
phi3()
