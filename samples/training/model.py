"""Qwen3 in one file: the same function, weights and names as Hugging Face's `Qwen3ForCausalLM`."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """The sizes of a Qwen3 decoder, named as in `config.json`."""

    vocab_size: int
    hidden_size: int = 256
    intermediate_size: int = 768
    num_hidden_layers: int = 5
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 64
    rope_theta: float = 1e6
    rms_norm_eps: float = 1e-6
    tie_word_embeddings: bool = False

    @staticmethod
    def load(folder: str) -> Shape:
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        return Shape(**{name: config[name] for name in Shape.__dataclass_fields__})


class RMSNorm(nn.Module):
    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), self.weight.shape, self.weight, self.eps)


def rotation(positions: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """cos and sin of RoPE, [batch, 1, tokens, head_dim], for any positions [batch, tokens]."""
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim
    angles = positions.float()[:, None, :, None] / theta**exponents
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates the two halves of each head, Qwen's pairing."""
    low, high = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-high, low), dim=-1) * sin


class Attention(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        size, head = shape.hidden_size, shape.head_dim
        self.q_proj = nn.Linear(size, shape.num_attention_heads * head, bias=False)
        self.k_proj = nn.Linear(size, shape.num_key_value_heads * head, bias=False)
        self.v_proj = nn.Linear(size, shape.num_key_value_heads * head, bias=False)
        self.o_proj = nn.Linear(shape.num_attention_heads * head, size, bias=False)
        self.q_norm = RMSNorm(head, shape.rms_norm_eps)
        self.k_norm = RMSNorm(head, shape.rms_norm_eps)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, past=None):
        batch, tokens, _ = x.shape
        split = (batch, tokens, -1, self.shape.head_dim)
        q = self.q_norm(self.q_proj(x).view(split)).transpose(1, 2)
        k = self.k_norm(self.k_proj(x).view(split)).transpose(1, 2)
        v = self.v_proj(x).view(split).transpose(1, 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        mask = None
        if past is not None:
            k, v = torch.cat((past[0], k), dim=2), torch.cat((past[1], v), dim=2)
            # Causal by order in the input: whatever lies in the cache comes before.
            mask = torch.ones(tokens, k.shape[2], dtype=torch.bool).tril(k.shape[2] - tokens)
        present = (k, v)
        groups = self.shape.num_attention_heads // self.shape.num_key_value_heads
        k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        # f32: the bf16 backward of this operation is four times slower on a CPU.
        with torch.autocast("cpu", enabled=False):
            y = F.scaled_dot_product_attention(
                q.float(), k.float(), v.float(), attn_mask=mask, is_causal=mask is None
            )
        return self.o_proj(y.to(v.dtype).transpose(1, 2).reshape(batch, tokens, -1)), present


class MLP(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.up_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.down_proj = nn.Linear(shape.intermediate_size, shape.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.self_attn = Attention(shape)
        self.mlp = MLP(shape)
        self.input_layernorm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, past=None):
        y, present = self.self_attn(self.input_layernorm(x), cos, sin, past)
        x = x + y
        return x + self.mlp(self.post_attention_layernorm(x)), present


class Decoder(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape.num_hidden_layers))
        self.norm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)


class Qwen3(nn.Module):
    """The decoder and its head; attention is causal by order in the input, not by position."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        self.model = Decoder(shape)
        self.lm_head = nn.Linear(shape.hidden_size, shape.vocab_size, bias=False)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
        if shape.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def hidden(self, tokens: Tensor, positions: Tensor, past=None):
        """Normalised states [batch, tokens, hidden] and the keys and values of every layer.

        `past`: the second result of an earlier call, or None.
        """
        x = self.model.embed_tokens(tokens)
        cos, sin = rotation(positions, self.shape.head_dim, self.shape.rope_theta)
        present = []
        for index, layer in enumerate(self.model.layers):
            x, pair = layer(x, cos, sin, past[index] if past is not None else None)
            present.append(pair)
        return self.model.norm(x), present

    def forward(self, tokens: Tensor, positions: Tensor, past=None):
        """Logits [batch, tokens, vocabulary] and the cache."""
        x, present = self.hidden(tokens, positions, past)
        return self.lm_head(x), present


def save_checkpoint(folder: str, weights: dict[str, Tensor], shape: Shape, ids: dict) -> None:
    """Writes bf16 weights in two shards with an index, `config.json`, `generation_config.json`.

    `ids`: bos, eos and mask token numbers.
    """
    os.makedirs(folder, exist_ok=True)
    tensors = {name: value.to(torch.bfloat16).contiguous() for name, value in weights.items()}
    if shape.tie_word_embeddings:
        tensors.pop("lm_head.weight")
    total = sum(value.nbytes for value in tensors.values())
    shards: list[dict[str, Tensor]] = [{}, {}]
    used = 0
    for name, value in tensors.items():
        shards[0 if used < total // 2 else 1][name] = value
        used += value.nbytes
    index = {"metadata": {"total_size": total}, "weight_map": {}}
    for number, shard in enumerate(shards, start=1):
        file = f"model-{number:05}-of-00002.safetensors"
        save_file(shard, os.path.join(folder, file), metadata={"format": "pt"})
        index["weight_map"].update({name: file for name in shard})
    index["weight_map"] = dict(sorted(index["weight_map"].items()))

    def dump(name: str, value: dict) -> None:
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(value, file, indent=2)
            file.write("\n")

    dump("model.safetensors.index.json", index)
    fields = {name: getattr(shape, name) for name in Shape.__dataclass_fields__}
    fields["rope_theta"] = int(shape.rope_theta)
    config = {
        "architectures": ["Qwen3ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": ids["bos"],
        "eos_token_id": ids["eos"],
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "mask_token_id": ids["mask"],
        "max_position_embeddings": 512,
        "max_window_layers": shape.num_hidden_layers,
        "model_type": "qwen3",
        "rope_scaling": None,
        "sliding_window": None,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.52.4",
        "use_cache": True,
        "use_sliding_window": False,
        **fields,
    }
    dump("config.json", dict(sorted(config.items())))
    dump(
        "generation_config.json",
        {
            "_from_model_config": True,
            "bos_token_id": ids["bos"],
            "eos_token_id": ids["eos"],
            "transformers_version": "4.52.4",
        },
    )


def load_checkpoint(folder: str) -> Qwen3:
    """The model of a checkpoint folder, sharded or not, as f32."""
    shape = Shape.load(folder)
    model = Qwen3(shape)
    weights: dict[str, Tensor] = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".safetensors"):
            weights.update(load_file(os.path.join(folder, name)))
    if shape.tie_word_embeddings:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    model.load_state_dict({name: value.float() for name, value in weights.items()})
    return model.eval()
