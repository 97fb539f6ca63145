#!/usr/bin/env python3
"""Compares what quantization costs here and in llama.cpp: the same checkpoint, the same text.

    Tests/peers/compare_llamacpp.py CHECKPOINT PAIRS [--limit 64] [--ingot PROGRAM]

Both sides score the response tokens (end token included) of the pairs, each after its prompt and
what came before it. For every type of llama.cpp: its own quantizer (no importance matrix), its own
arithmetic, and the KL divergence from its own F32 model, in nats a token, as `llama-perplexity
--kl-divergence` has it. For every scheme of ours: `ingot verify` against the lossless file, with
int8 activations (as generation runs) and with f32 ones. Bits are those of all tensors of the file.

Needs numpy, gguf and llama-cpp-python from the Python registry; skips when one is absent. Exit
status: 0 each 4-bit type of llama.cpp meets a scheme of ours with less KL divergence at no more
bits, and int8 stays below 1e-4 at 8.5 bits (or skipped), 1 not so, 2 bad input.
"""

import argparse
import ctypes
import json
import math
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

try:
    import gguf
    import llama_cpp
    import numpy
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(0)

PEERS = ["Q8_0", "Q5_K_M", "Q4_K_M", "Q4_K_S", "Q4_0", "IQ4_NL", "IQ4_XS"]
# Schemes, the mixed default, and what `--target-bits` chooses within the size of a peer.
OURS = [
    "int8-g32", "int8", "int8-g128", "int6", "int4", "4.92", "4.79", "4.77", "4.65", "4.55",
    "cb4-g16", "cb4-g32", "cb4-g64", "int4-g32",
]
# How llama.cpp names the tensors of a Qwen3 layer.
LAYER_NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
MODEL_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def llama_name(name):
    if name in MODEL_NAMES:
        return MODEL_NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{LAYER_NAMES[rest.removesuffix('.weight')]}.weight"


def tensors(checkpoint):
    """Names and float32 values of a safetensors file's BF16 tensors."""
    data = (checkpoint / "model.safetensors").read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    for name, entry in json.loads(data[8:8 + length]).items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "BF16":
            raise ValueError(f"{name} is {entry['dtype']}, not BF16")
        first, end = (8 + length + offset for offset in entry["data_offsets"])
        bits = numpy.frombuffer(data[first:end], "<u2").astype(numpy.uint32) << 16
        yield name, bits.view(numpy.float32).reshape(entry["shape"])


def write_gguf(checkpoint, path):
    """The checkpoint in llama.cpp's format, in F32, with tokens that nobody will read."""
    config = json.loads((checkpoint / "config.json").read_text())
    writer = gguf.GGUFWriter(str(path), "qwen3")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([f"t{token}".encode() for token in range(config["vocab_size"])])
    writer.add_token_types([1] * config["vocab_size"])
    writer.add_token_merges(["t 1"])
    writer.add_eos_token_id(config["eos_token_id"])
    for name, values in tensors(checkpoint):
        writer.add_tensor(llama_name(name), numpy.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def quantize(source, target, kind):
    """llama.cpp's own quantizer."""
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind}")
    parameters.nthread = os.cpu_count()
    status = llama_cpp.llama_model_quantize(
        str(source).encode(), str(target).encode(), ctypes.byref(parameters))
    if status != 0:
        raise ValueError(f"llama.cpp cannot quantize to {kind}: status {status}")


def bits_of(path):
    entries = gguf.GGUFReader(str(path)).tensors
    return 8 * sum(int(t.n_bytes) for t in entries) / sum(int(t.n_elements) for t in entries)


class LlamaModel:
    """Logits of llama.cpp for whole sequences, with an f32 cache."""

    def __init__(self, path, longest):
        self.model = llama_cpp.Llama(
            model_path=str(path), n_ctx=longest, n_batch=longest, n_ubatch=longest,
            logits_all=True, n_threads=os.cpu_count(), n_threads_batch=os.cpu_count(),
            type_k=0, type_v=0, verbose=False)

    def log_probabilities(self, tokens):
        """float64, a row for each token."""
        self.model.reset()
        self.model.eval(tokens)
        logits = numpy.array(self.model.scores[:len(tokens)], dtype=numpy.float64)
        logits -= logits.max(axis=1, keepdims=True)
        return logits - numpy.log(numpy.exp(logits).sum(axis=1, keepdims=True))


def encoded(ingot, model, text):
    result = subprocess.run(
        [ingot, "tokenize", model], input=text.encode(), capture_output=True, check=True)
    return [int(token) for token in result.stdout.split()]


def sequences(ingot, model, pairs, end):
    """Token ids of each pair and the number of its prompt's tokens."""
    for pair in pairs:
        prompt = encoded(
            ingot, model,
            f"<|im_start|>user\n{pair['query']}<|im_end|>\n<|im_start|>assistant\n")
        yield prompt + encoded(ingot, model, pair["response"]) + [end], len(prompt)


def score(model, texts):
    """Log-probabilities at the positions that predict response tokens, a matrix for each pair."""
    return [model.log_probabilities(tokens)[prompt - 1:-1] for tokens, prompt in texts]


def paired(differences, counts):
    """Mean per token and its standard error over pairs (ratio estimator)."""
    mean = sum(differences) / sum(counts)
    spread = sum((d - mean * n)**2 for d, n in zip(differences, counts))
    pairs = len(counts)
    return mean, math.sqrt(spread * pairs / (pairs - 1)) / sum(counts)


def compare(reference, candidate, texts):
    """Mean KL divergence, top-1 agreement, and the change of NLL with its standard error."""
    divergence = agreement = positions = 0
    differences, counts = [], []
    for left, right, (tokens, prompt) in zip(reference, candidate, texts):
        divergence += float((numpy.exp(left) * (left - right)).sum())
        agreement += int((left.argmax(axis=1) == right.argmax(axis=1)).sum())
        rows, answers = numpy.arange(len(left)), numpy.array(tokens[prompt:])
        differences.append(float((left[rows, answers] - right[rows, answers]).sum()))
        counts.append(len(left))
        positions += len(left)
    return divergence / positions, agreement / positions, *paired(differences, counts)


def row(name, bits, cells, divergence, agreement, change, error):
    print(
        f"| {name} | {bits:.2f} | {cells} | {100 * agreement:.2f} % "
        f"| {100 * math.expm1(change):+.3f} ± {100 * error:.3f} % |", flush=True)
    return bits, divergence


def of_llama(work, checkpoint, texts):
    longest = max(len(tokens) for tokens, _ in texts)
    full = work / "f32.gguf"
    write_gguf(checkpoint, full)
    reference = score(LlamaModel(full, longest), texts)
    for kind in PEERS:
        path = work / f"{kind}.gguf"
        quantize(full, path, kind)
        figures = compare(reference, score(LlamaModel(path, longest), texts), texts)
        yield kind, *row(f"`{kind}`", bits_of(path), f"{figures[0]:.2e} | ", *figures)


def of_ingot(work, ingot, model, pairs, limit):
    for recipe in OURS:
        path = str(work / f"{recipe}.ingot")
        chosen = ["--target-bits" if recipe[0].isdigit() else "--recipe", recipe]
        subprocess.run(
            [ingot, "quantize", model, path, *chosen, "--quiet"], check=True, capture_output=True)
        reports = []
        for arithmetic in ("quantized", "dequantized"):
            report = work / f"{recipe}-{arithmetic}.json"
            subprocess.run(
                [ingot, "verify", "--reference", model, "--candidate", path, "--pairs", pairs,
                 "--limit", str(limit), "--decode-pairs", "0", "--arithmetic", arithmetic,
                 "--json", str(report), "--quiet"], capture_output=True)
            reports.append(json.loads(report.read_text()))
        causal = [report["heads"]["causal"] for report in reports]
        change = reports[0]["likelihood"]["causal"]
        kl = [head["kl"]["mean"] for head in causal]
        yield recipe, *row(
            f"**`{' '.join(chosen).removeprefix('--recipe ')}`**", reports[0]["inputs"]["candidate"]["bits_per_weight"],
            f"{kl[0]:.2e} | {kl[1]:.2e}", max(kl), causal[0]["top1_agreement"],
            change["nll_difference"], change["standard_error"])


def verdict(ours, peers):
    """The comparisons that are lost."""
    lost = []
    for kind, bits, divergence in peers:
        if kind in ("Q8_0", "Q5_K_M"):
            continue
        if not any(own < divergence and size <= bits for _, size, own in ours):
            lost.append(f"no scheme has less than {kind}: {divergence:.1e} at {bits:.2f} bits")
    if not any(own <= 1e-4 and size <= 8.5 for _, size, own in ours):
        lost.append("no scheme stays below 1e-4 at 8.5 bits")
    return lost


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("pairs", type=pathlib.Path)
    parser.add_argument("--limit", type=int, default=64, help="pairs that are scored")
    parser.add_argument("--ingot", default=".build/release/ingot")
    return parser.parse_args()


def main():
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        model = str(work / "model.ingot")
        try:
            subprocess.run(
                [options.ingot, "convert", options.checkpoint, model, "--quiet"], check=True,
                capture_output=True)
            pairs = json.loads(options.pairs.read_text())[:options.limit]
            end = json.loads((options.checkpoint / "config.json").read_text())["eos_token_id"]
            texts = list(sequences(options.ingot, model, pairs, end))
        except (OSError, ValueError, KeyError, subprocess.CalledProcessError) as problem:
            print(f"cannot read the input: {problem}", file=sys.stderr)
            return 2
        print("| type | bits | KL | weights alone | top-1 | perplexity |")
        print("|---|---|---|---|---|---|")
        peers = list(of_llama(work, options.checkpoint, texts))
        ours = list(of_ingot(work, options.ingot, model, options.pairs, options.limit))
    lost = verdict(ours, peers)
    for line in lost:
        print(line)
    print(f"{len(texts)} pairs, {sum(len(t) - p for t, p in texts)} positions")
    return 1 if lost else 0


sys.exit(main())
