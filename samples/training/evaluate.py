"""Exact answers, tokens per forward and likelihoods of a checkpoint on held-out pairs."""

from __future__ import annotations

import argparse
import collections
import json
import os
import time

import torch
import torch.nn.functional as F

import chat
import train_tokenizer
import world
from decode import Decoder, Settings
from model import Qwen3, load_checkpoint

# Serial blocks from one slot at a time to all at once; 64 tokens hold every response.
SWEEP = [
    Settings(k, 64, blocks, 0.9, token)
    for k, slots in ((4, (16,)), (8, (8, 1)), (16, (4, 1)), (32, (2, 1)))
    for blocks in slots
    for token in (0.3, 0.6, 0.9)
]


def causal_nll(model: Qwen3, prompt: list[int], response: list[int]) -> float:
    """−ln p(response, EOS included) by next-token prediction, in nats."""
    tokens = torch.tensor([prompt + response])
    with torch.inference_mode():
        logits, _ = model(tokens, torch.arange(tokens.shape[1])[None])
    start = len(prompt)
    return float(F.cross_entropy(logits[0, start - 1 : -1], tokens[0, start:], reduction="sum"))


def slot_nll(model: Qwen3, prompt: list[int], response: list[int], k: int, mask: int) -> float:
    """−ln p by slots from left to right: a slot's first token from a mask, the rest shifted.

    One row for each slot: the prompt, the slots before, the first mask; then the slot itself.
    """
    total = 0.0
    for start in range(0, len(response), k):
        slot = response[start : start + k]
        before = prompt + response[:start]
        rows = torch.tensor([before + [mask]]), torch.tensor([before + slot])
        with torch.inference_mode():
            masked, _ = model(rows[0], torch.arange(rows[0].shape[1])[None])
            shifted, _ = model(rows[1], torch.arange(rows[1].shape[1])[None])
        total -= float(masked[0, -1].log_softmax(-1)[slot[0]])
        if len(slot) > 1:
            logits = shifted[0, len(before) : -1]
            total += float(F.cross_entropy(logits, torch.tensor(slot[1:]), reduction="sum"))
    return total


class Evaluation:
    def __init__(self, folder: str, seed: int, count: int):
        self.model = load_checkpoint(folder)
        self.tokenizer = train_tokenizer.load(folder)
        self.mask = self.tokenizer.token_to_id(chat.MASK)
        eos = self.tokenizer.token_to_id(chat.END)
        self.decoder = Decoder(self.model, self.mask, eos)
        self.pairs = world.pairs(count, seed, held_out=True)

    def ids(self, pair: world.Pair) -> tuple[list[int], list[int]]:
        encode = self.tokenizer.encode
        return encode(chat.prompt(pair.query)).ids, encode(pair.response + chat.END).ids

    def decode(self, settings: Settings | None) -> dict:
        """Exact answers and speed at one setting; None: autoregressive."""
        correct: collections.Counter = collections.Counter()
        failures: list[tuple[world.Pair, str]] = []
        counts: collections.Counter = collections.Counter()
        tokens = forwards = 0
        started = time.perf_counter()
        for pair in self.pairs:
            prompt, _ = self.ids(pair)
            if settings is None:
                result = self.decoder.autoregressive(prompt, 64)
            else:
                result = self.decoder.refusion(prompt, settings)
            tokens += len(result.output)
            forwards += result.forwards
            counts[pair.family] += 1
            text = self.tokenizer.decode(result.output)
            if world.is_correct(pair, text):
                correct[pair.family] += 1
            else:
                failures.append((pair, text))
        return {
            "exact": sum(correct.values()) / len(self.pairs),
            "tokens_per_forward": tokens / forwards,
            "seconds": time.perf_counter() - started,
            "families": {name: correct[name] / counts[name] for name in sorted(counts)},
            "failures": failures,
        }

    def likelihoods(self) -> dict[str, float]:
        """Mean nats per response token of every metric, and the floor of these very pairs."""
        totals: collections.Counter = collections.Counter()
        for pair in self.pairs:
            prompt, response = self.ids(pair)
            totals["tokens"] += len(response)
            totals["floor"] += pair.nats
            totals["causal"] += causal_nll(self.model, prompt, response)
            for k in (4, 8, 16, 32):
                totals[f"slot_k{k}"] += slot_nll(self.model, prompt, response, k, self.mask)
        tokens = totals.pop("tokens")
        return {"tokens": tokens, **{name: value / tokens for name, value in totals.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument("--seed", type=int, default=7, help="7: the pairs of samples/eval.json")
    parser.add_argument("--likelihoods", action="store_true")
    parser.add_argument("--sweep", action="store_true", help="many settings")
    parser.add_argument("--setting", nargs=5, type=float, metavar="X", help="k G S τs τt")
    parser.add_argument("--families", action="store_true", help="exact answers of each family")
    parser.add_argument("--failures", type=int, default=0, help="wrong outputs to print")
    options = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    evaluation = Evaluation(options.folder, options.seed, options.count)
    if options.likelihoods:
        print(json.dumps(evaluation.likelihoods()))
    settings: list[Settings | None] = [None]
    if options.setting:
        k, length, blocks, *thresholds = options.setting
        settings = [Settings(int(k), int(length), int(blocks), *thresholds)]
    if options.sweep:
        settings += SWEEP
    for setting in settings:
        result = evaluation.decode(setting)
        name = "autoregressive" if setting is None else str(setting)
        print(
            f"{name}: exact {result['exact']:.3f}"
            f" tokens/forward {result['tokens_per_forward']:.2f} {result['seconds']:.1f} s",
            flush=True,
        )
        if options.families:
            print(json.dumps(result["families"]))
        for pair, text in result["failures"][: options.failures]:
            print(f"--- {pair.query}\n{pair.response}\n--- answered:\n{text}\n")


if __name__ == "__main__":
    main()
