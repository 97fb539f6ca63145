#!/usr/bin/env python3
"""Write a checkpoint of random weights in the shape of a published model.

For measuring conversion, quantization and speed at real sizes without a download: every tensor,
shape and file is as a ReFusion checkpoint of that size has it; the weights mean nothing.

    python3 samples/make_checkpoint.py qwen3-8b /tmp/random-8b --tokenizer PATH

Needs NumPy. Memory stays below 300 MB at any size, and the same arguments give the same bytes:
one block of normal numbers is drawn once, and each tensor reads it from an offset of its own.
"""

import argparse
import json
import os
import shutil
import struct
import sys

import numpy as np

SHAPES = {
    # hidden, intermediate, layers, heads, key/value heads, tied embeddings
    "qwen3-0.6b": (1024, 3072, 28, 16, 8, True),
    "qwen3-1.7b": (2048, 6144, 28, 16, 8, True),
    "qwen3-4b": (2560, 9728, 36, 32, 8, True),
    "qwen3-8b": (4096, 12288, 36, 32, 8, False),
}
HEAD_DIMENSION = 128
# Qwen3's 151,669 tokens and the two that ReFusion adds.
VOCABULARY = 151671
TOKENIZER_FILES = [
    "tokenizer.json", "vocab.json", "merges.txt", "added_tokens.json", "tokenizer_config.json",
    "special_tokens_map.json", "chat_template.jinja",
]
TYPES = {"bf16": ("BF16", "bfloat16", 2), "f16": ("F16", "float16", 2), "f32": ("F32", "float32", 4)}
BLOCK = 1 << 24  # elements
DEVIATION = 0.02  # initializer_range of the published configuration


def tensors(shape, layers, vocabulary, tied):
    """Names and shapes in the order the forward pass uses them."""
    hidden, intermediate, _, heads, key_value_heads, _ = shape
    yield "model.embed_tokens.weight", (vocabulary, hidden)
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        yield prefix + "input_layernorm.weight", (hidden,)
        yield prefix + "self_attn.q_proj.weight", (heads * HEAD_DIMENSION, hidden)
        yield prefix + "self_attn.k_proj.weight", (key_value_heads * HEAD_DIMENSION, hidden)
        yield prefix + "self_attn.v_proj.weight", (key_value_heads * HEAD_DIMENSION, hidden)
        yield prefix + "self_attn.o_proj.weight", (hidden, heads * HEAD_DIMENSION)
        yield prefix + "self_attn.q_norm.weight", (HEAD_DIMENSION,)
        yield prefix + "self_attn.k_norm.weight", (HEAD_DIMENSION,)
        yield prefix + "post_attention_layernorm.weight", (hidden,)
        yield prefix + "mlp.gate_proj.weight", (intermediate, hidden)
        yield prefix + "mlp.up_proj.weight", (intermediate, hidden)
        yield prefix + "mlp.down_proj.weight", (hidden, intermediate)
    yield "model.norm.weight", (hidden,)
    if not tied:
        yield "lm_head.weight", (vocabulary, hidden)


def encode(values, kind):
    """float32 numbers as the bytes of a type."""
    if kind == "f32":
        return values.astype("<f4").view(np.uint8)
    if kind == "f16":
        return values.astype("<f2").view(np.uint8)
    bits = values.view(np.uint32)
    # To nearest, ties to even.
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return rounded.astype("<u2").view(np.uint8)


def shards(entries, size, limit):
    """Consecutive tensors in groups of at most `limit` bytes, as transformers splits them."""
    groups, used = [[]], 0
    for name, shape in entries:
        count = int(np.prod(shape)) * size
        if groups[-1] and used + count > limit:
            groups.append([])
            used = 0
        groups[-1].append((name, shape, count))
        used += count
    return groups


def write_shard(path, group, type_name, block, noise, rng):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape, count in group:
        header[name] = {
            "dtype": type_name, "shape": list(shape), "data_offsets": [offset, offset + count]}
        offset += count
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "xb", buffering=0) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape, count in group:
            # Norms are near one, everything else near zero.
            source = noise if len(shape) == 1 else block
            start = int(rng.integers(len(source) // 4)) * 4
            while count > 0:
                piece = source[start:start + count]
                file.write(memoryview(piece))
                count -= len(piece)
                start = 0


def configuration(arguments, shape, layers):
    hidden, intermediate, _, heads, key_value_heads, tied = shape
    specials = {"bos_token_id": 151669, "eos_token_id": 151645, "mask_token_id": 151670}
    if arguments.vocabulary != VOCABULARY:
        last = arguments.vocabulary - 1
        specials = {"bos_token_id": last - 1, "eos_token_id": last - 2, "mask_token_id": last}
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": specials["bos_token_id"],
        "eos_token_id": specials["eos_token_id"],
        "head_dim": HEAD_DIMENSION,
        "hidden_act": "silu",
        "hidden_size": hidden,
        "initializer_range": DEVIATION,
        "intermediate_size": intermediate,
        "mask_token_id": specials["mask_token_id"],
        "max_position_embeddings": 40960,
        "max_window_layers": layers,
        "model_type": "qwen3",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "num_key_value_heads": key_value_heads,
        "rms_norm_eps": 1e-06,
        "rope_scaling": None,
        "rope_theta": 1000000,
        "sliding_window": None,
        "tie_word_embeddings": tied,
        "torch_dtype": TYPES[arguments.type][1],
        "transformers_version": "4.52.4",
        "use_cache": False,
        "use_sliding_window": False,
        "vocab_size": arguments.vocabulary,
    }


def write_json(folder, name, value):
    with open(os.path.join(folder, name), "x", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shape", choices=sorted(SHAPES))
    parser.add_argument("folder", help="created; must not hold a checkpoint yet")
    parser.add_argument("--type", choices=sorted(TYPES), default="bf16")
    parser.add_argument("--layers", type=int, help="fewer or more layers than the model has")
    parser.add_argument("--vocabulary", type=int, default=VOCABULARY)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shard-bytes", type=int, default=5_000_000_000)
    parser.add_argument("--tokenizer", help="folder to copy tokenizer files from")
    return parser.parse_args()


def main():
    arguments = parse()
    shape = SHAPES[arguments.shape]
    layers = shape[2] if arguments.layers is None else arguments.layers
    type_name, _, size = TYPES[arguments.type]
    folder = arguments.folder
    os.makedirs(folder, exist_ok=True)
    if os.path.exists(os.path.join(folder, "config.json")):
        sys.exit(f"{folder} already holds a checkpoint")

    rng = np.random.default_rng(arguments.seed)
    drawn = rng.standard_normal(BLOCK, dtype=np.float32)
    noise = encode(1 + 0.1 * drawn[:1 << 16], arguments.type)
    block = encode(DEVIATION * drawn, arguments.type)
    del drawn

    groups = shards(
        tensors(shape, layers, arguments.vocabulary, shape[5]), size, arguments.shard_bytes)
    total, places = 0, {}
    for number, group in enumerate(groups):
        name = "model.safetensors"
        if len(groups) > 1:
            name = f"model-{number + 1:05}-of-{len(groups):05}.safetensors"
        write_shard(os.path.join(folder, name), group, type_name, block, noise, rng)
        for tensor, _, count in group:
            places[tensor] = name
            total += count
        print(f"{name}: {len(group)} tensors", flush=True)
    if len(groups) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
        write_json(folder, "model.safetensors.index.json", index)

    config = configuration(arguments, shape, layers)
    write_json(folder, "generation_config.json", {
        "bos_token_id": config["bos_token_id"], "eos_token_id": config["eos_token_id"],
        "transformers_version": config["transformers_version"]})
    if arguments.tokenizer:
        for name in TOKENIZER_FILES:
            source = os.path.join(arguments.tokenizer, name)
            if os.path.exists(source):
                # The bytes only: a read-only source must not make a read-only copy.
                shutil.copyfile(source, os.path.join(folder, name))
    # Last, so that an interrupted run is not taken for a checkpoint.
    write_json(folder, "config.json", config)
    print(f"{folder}: {total:,} bytes of weights in {len(groups)} file(s)")


if __name__ == "__main__":
    main()
