"""Writes tests/golden/cases/qwen2 and qwen3: small random models, each as a Hugging Face directory
and as a GGUF of the same values, and what transformers 5.24.0 (torch 2.15.0) computes with them in
float32. The GGUFs are written by the package `gguf` (0.19.0), which knows the names.

usage: python3 tests/golden/make/families.py   (from the repository's root)
"""

import json
import os

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

OUT = "tests/golden/cases"
VOCAB, HIDDEN, INTER, LAYERS, TOKENS = 64, 64, 96, 2, 24
COMMON = dict(
    vocab_size=VOCAB,
    hidden_size=HIDDEN,
    intermediate_size=INTER,
    num_hidden_layers=LAYERS,
    max_position_embeddings=512,
    rms_norm_eps=1e-6,
    rope_theta=1000000.0,
    bos_token_id=1,
    eos_token_id=2,
    attn_implementation="eager",
)
# A window that is not used, as Qwen's configurations have it.
UNUSED = dict(use_sliding_window=False, sliding_window=4, max_window_layers=1)
FAMILIES = {
    # Seven queries share a KV head, as in Qwen2.5-0.5B.
    "qwen2": (
        Qwen2Config,
        Qwen2ForCausalLM,
        gguf.MODEL_ARCH.QWEN2,
        dict(num_attention_heads=14, num_key_value_heads=2, head_dim=16, tie_word_embeddings=True),
    ),
    # Heads are wider than they would be by hidden_size, as in Qwen3-0.6B.
    "qwen3": (
        Qwen3Config,
        Qwen3ForCausalLM,
        gguf.MODEL_ARCH.QWEN3,
        dict(num_attention_heads=4, num_key_value_heads=2, head_dim=32, tie_word_embeddings=False),
    ),
}


def weights(model):
    """Random, and such that bf16 holds them: norms and biases are far from what they begin as."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name:
                p.copy_(1.0 + 0.3 * torch.randn_like(p))
            elif name.endswith("bias"):
                p.copy_(0.5 * torch.randn_like(p))
            else:
                p.copy_(
                    torch.randn_like(p) * (1.0 if "embed" in name else 1.3) / np.sqrt(p.shape[-1])
                )
            p.copy_(p.to(torch.bfloat16).float())


def configuration(config, window):
    """As the family's own files spell it."""
    keep = [
        "hidden_act",
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "max_position_embeddings",
        "rms_norm_eps",
        "tie_word_embeddings",
        "bos_token_id",
        "eos_token_id",
    ]
    return {
        "architectures": [type(config).__name__.replace("Config", "ForCausalLM")],
        "model_type": config.model_type,
        **{key: getattr(config, key) for key in keep},
        "rope_theta": 1000000.0,
        "torch_dtype": "bfloat16",
        **window,
    }


def expected(model, config_class, config, window, ids):
    """The logits with a window, by a model that has these weights."""
    with torch.no_grad():
        other = type(model)(config_class(**config, **window)).eval()
        other.load_state_dict(model.state_dict())
        logits = other(torch.tensor([ids]), use_cache=False).logits[0]
    return {"ids": ids, "argmax": logits.argmax(-1).tolist(), "last_logits": logits[-1].tolist()}


def write_gguf(path, arch, config, tensors):
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[arch])
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INTER)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(1000000.0)
    # No loader of these families heeds it.
    writer.add_sliding_window(4)
    names = gguf.get_tensor_name_map(arch, LAYERS)
    for name, tensor in tensors.items():
        stored = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if tensor.ndim == 1:
            writer.add_tensor(stored, tensor.numpy())
        else:
            bf16 = gguf.GGMLQuantizationType.BF16
            writer.add_tensor(stored, gguf.quantize(tensor.numpy(), bf16), raw_dtype=bf16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def family(name, config_class, model_class, arch, sizes):
    os.makedirs(f"{OUT}/{name}", exist_ok=True)
    config = {**COMMON, **sizes}
    model = model_class(config_class(**config)).eval()
    weights(model)
    tensors = {name: p.detach() for name, p in model.named_parameters()}
    if config["tie_word_embeddings"]:
        tensors.pop("lm_head.weight", None)
    save_file(
        {name: p.to(torch.bfloat16).contiguous() for name, p in tensors.items()},
        f"{OUT}/{name}/model.safetensors",
        metadata={"format": "pt"},
    )
    write_gguf(f"{OUT}/{name}/model.gguf", arch, model.config, tensors)
    ids = np.random.default_rng(7).integers(3, VOCAB, TOKENS).tolist()
    # In the second the window holds from the second layer on.
    windows = {
        "config": ("expected", UNUSED),
        "window": ("window-expected", {**UNUSED, "use_sliding_window": True}),
    }
    for file, (answer, window) in windows.items():
        json.dump(
            configuration(model.config, window), open(f"{OUT}/{name}/{file}.json", "w"), indent=1
        )
        json.dump(
            expected(model, config_class, config, window, ids),
            open(f"{OUT}/{name}/{answer}.json", "w"),
        )


torch.manual_seed(7)
for name, row in FAMILIES.items():
    family(name, *row)
