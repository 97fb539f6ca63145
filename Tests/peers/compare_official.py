#!/usr/bin/env python3
"""ReFusion decoding beside the official PyTorch implementation, in one run.

Both decode the same prompts with the same settings, float32 arithmetic on the checkpoint's own
weights and the same number of threads; the tokens must be equal, and the rounds of the two alternate.

    python3 Tests/peers/compare_official.py .build/release/ingot CHECKPOINT PAIRS --official FOLDER

FOLDER holds generate.py and qwen3/ of github.com/ML-GSAI/ReFusion. Needs torch and transformers
(4.52); skips with a line when one is absent. Exit status: 0 same tokens (or skipped), 1 others.
"""

import argparse
import importlib.machinery
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import types

try:
    import torch
    import transformers
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(0)


def ours(options, model):
    output = subprocess.run(
        [options.ingot, "generate", model, "--pairs", options.pairs, "--limit",
         str(options.limit), "--json", "--quiet", "--eos", "official", "--slot-size",
         str(options.slot_size), "--blocks", str(options.blocks), "--max-tokens",
         str(options.max_tokens), "--slot-threshold", str(options.slot_threshold),
         "--token-threshold", str(options.token_threshold), "--threads", str(options.threads)],
        check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def theirs(options, generate, model, tokenizer, prompts):
    """Output ids of each prompt, and seconds for all."""
    outputs, seconds = [], 0.0
    for prompt in prompts:
        ids = torch.tensor([prompt])
        start = time.perf_counter()
        with torch.no_grad():
            found, _ = generate(
                model, tokenizer, ids, gen_length=options.max_tokens, temperature=0.0,
                mask_id=model.config.mask_token_id, slot_size=options.slot_size,
                serial_num_blocks=options.blocks, slot_threshold=options.slot_threshold,
                token_threshold=options.token_threshold)
        seconds += time.perf_counter() - start
        outputs.append(found[0].tolist()[len(prompt):])
    return outputs, seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ingot")
    parser.add_argument("checkpoint")
    parser.add_argument("pairs")
    parser.add_argument("--official", required=True)
    parser.add_argument("--limit", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--slot-size", type=int, default=32)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--slot-threshold", type=float, default=0.9)
    parser.add_argument("--token-threshold", type=float, default=0.4)
    parser.add_argument("--recipe", default="int8", help="of the model whose speed is also shown")
    options = parser.parse_args()
    if not os.path.exists(os.path.join(options.official, "generate.py")):
        print(f"skipped: no generate.py in {options.official}")
        return 0
    sys.path.insert(0, options.official)
    if importlib.util.find_spec("pandas") is None:
        # generate.py imports it and does not use it.
        sys.modules["pandas"] = types.ModuleType("pandas")
        sys.modules["pandas"].__spec__ = importlib.machinery.ModuleSpec("pandas", None)
    from generate import generate_refusion
    from qwen3.modeling_qwen3_refusion import Qwen3ForCausalLM

    torch.set_num_threads(options.threads)
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.checkpoint)
    model = Qwen3ForCausalLM.from_pretrained(
        options.checkpoint, torch_dtype=torch.float32, attn_implementation="eager").eval()
    scratch = tempfile.mkdtemp()
    full, small = os.path.join(scratch, "full.ingot"), os.path.join(scratch, "small.ingot")
    subprocess.run(
        [options.ingot, "convert", options.checkpoint, full, "--quiet"],
        check=True, stdout=subprocess.DEVNULL)
    subprocess.run(
        [options.ingot, "quantize", options.checkpoint, small, "--recipe", options.recipe,
         "--quiet"], check=True, stdout=subprocess.DEVNULL)

    speeds = {"official float32": [], "ingot float32": [], f"ingot {options.recipe}": []}
    prompts = [run["prompt_ids"] for run in ours(options, full)]
    expected, _ = theirs(options, generate_refusion, model, tokenizer, prompts)
    equal = 0
    for _ in range(options.rounds):
        outputs, seconds = theirs(options, generate_refusion, model, tokenizer, prompts)
        speeds["official float32"].append(sum(map(len, outputs)) / seconds)
        for name, path in (("ingot float32", full), (f"ingot {options.recipe}", small)):
            runs = ours(options, path)
            speeds[name].append(
                sum(len(run["output_ids"]) for run in runs) / sum(run["seconds"] for run in runs))
            if path == full:
                equal = sum(run["output_ids"] == want for run, want in zip(runs, expected))
    base = statistics.median(speeds["official float32"])
    print(
        f"k = {options.slot_size}, S = {options.blocks}, {options.max_tokens} tokens,"
        f" {len(prompts)} prompts, {options.threads} threads, medians of {options.rounds} rounds")
    for name, rates in speeds.items():
        rate = statistics.median(rates)
        print(f"{name:20} {rate:8.1f} tokens/s   {rate / base:6.1f} x")
    print(f"same tokens at float32: {equal} of {len(prompts)} prompts")
    return 0 if equal == len(prompts) else 1


if __name__ == "__main__":
    sys.exit(main())
