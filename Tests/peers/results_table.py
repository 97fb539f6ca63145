#!/usr/bin/env python3
"""Prints what each scheme costs and gains on a checkpoint, as the README's tables have it.

    Tests/peers/results_table.py CHECKPOINT PAIRS [--limit 128] [--ingot PROGRAM]

For each recipe: `quantize`, `verify` against the lossless file with int8 activations and with f32
ones, and `generate` for the speed. Needs nothing beyond Python.
"""

import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import tempfile

RECIPES = [
    "int8-g32", "int8", "int8-g128", "int4", "cb4-g16", "cb4-g32", "cb4-g64", "int4z-g32",
    "int4-g32", "int4-g64", "int4-g128",
]
ROUNDS = 5
HEAD = [
    "recipe", "file", "bits", "causal perplexity", "slot perplexity (k = 8)", "KL causal",
    "weights alone", "KL masked", "top-1 causal", "top-1 masked", "equal outputs", "tokens/s",
]


class Bench:
    def __init__(self, options, work):
        self.options, self.work = options, work
        self.decoding = [
            "--slot-size", str(options.slot_size), "--blocks", str(options.blocks),
            "--max-tokens", "64", "--slot-threshold", str(options.slot_threshold),
            "--token-threshold", str(options.token_threshold)]

    def ingot(self, *arguments):
        """Its standard output; a failed verdict (status 1) is a result like any other."""
        result = subprocess.run(
            [self.options.ingot, *map(str, arguments)], capture_output=True, text=True)
        if result.returncode not in (0, 1):
            raise SystemExit(result.stderr.strip())
        return result.stdout

    def verified(self, candidate, *more):
        report = self.work / "report.json"
        self.ingot(
            "verify", "--reference", self.work / "model.ingot", "--candidate", candidate,
            "--pairs", self.options.pairs, "--limit", self.options.limit, *self.decoding,
            "--json", report, "--quiet", *more)
        return json.loads(report.read_text())

    def path(self, recipe):
        return self.work / f"{recipe}.ingot"

    def speed(self, model):
        """Tokens a second of ReFusion decoding."""
        lines = self.ingot(
            "generate", model, "--pairs", self.options.pairs, "--limit", 64, *self.decoding,
            "--json").splitlines()
        answers = [json.loads(line) for line in lines]
        tokens = sum(a["forwards"] * a["tokens_per_forward"] for a in answers)
        return tokens / sum(a["seconds"] for a in answers)

    def speeds(self, names):
        """Medians of rounds in which the files take turns, since machines are not steady."""
        rounds = [[self.speed(self.path(name)) for name in names] for _ in range(ROUNDS)]
        return [statistics.median(rates) for rates in zip(*rounds)]

    def row(self, recipe):
        path = self.path(recipe)
        self.ingot(
            "quantize", self.path("model"), path, "--recipe", recipe, "--quiet")
        report = self.verified(path, "--decode-pairs", 32)
        alone = self.verified(path, "--decode-pairs", 0, "--arithmetic", "dequantized")
        likelihood, heads, decode = report["likelihood"], report["heads"], report["decode"]

        def change(metric):
            figures = likelihood[metric]
            return (
                f"{100 * math.expm1(figures['nll_difference']):+.3f} "
                f"± {100 * figures['standard_error']:.3f} %")

        return [
            f"`{recipe}`", f"{os.path.getsize(path) / 1e6:.2f} MB",
            f"{report['inputs']['candidate']['bits_per_weight']:.2f}", change("causal"),
            change("slot_k8"), f"{heads['causal']['kl']['mean']:.1e}",
            f"{alone['heads']['causal']['kl']['mean']:.1e}",
            f"{heads['masked']['kl']['mean']:.1e}",
            f"{100 * heads['causal']['top1_agreement']:.2f} %",
            f"{100 * heads['masked']['top1_agreement']:.2f} %",
            f"{decode['exact_outputs']}/{decode['prompts']}",
        ]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint")
    parser.add_argument("pairs")
    parser.add_argument("--limit", type=int, default=128)
    parser.add_argument("--ingot", default=".build/release/ingot")
    parser.add_argument("--slot-size", type=int, default=32)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--slot-threshold", type=float, default=0.9)
    parser.add_argument("--token-threshold", type=float, default=0.4)
    return parser.parse_args()


def main():
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, pathlib.Path(folder))
        model = bench.path("model")
        bench.ingot("convert", options.checkpoint, model, "--quiet")
        rows = [bench.row(recipe) for recipe in RECIPES]
        full, *speeds = bench.speeds(["model", *RECIPES])
        print(f"bf16: {os.path.getsize(model) / 1e6:.2f} MB, {full:.0f} tokens/s\n")
        print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
        for row, speed in zip(rows, speeds):
            print("| " + " | ".join(row) + f" | {speed:.0f} |")


main()
