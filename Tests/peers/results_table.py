#!/usr/bin/env python3
"""Prints what each scheme costs on a checkpoint, as the README's table has it.

    Tests/peers/results_table.py CHECKPOINT PAIRS [--limit 64] [--ingot PROGRAM]

For each recipe and target size: `quantize`, then `verify` against the lossless file with int8
activations and with f32 ones. Perplexity changes come with their paired standard error. Needs
nothing beyond Python; `compare_llamacpp.py` prints the same figures of llama.cpp's types.
"""

import argparse
import json
import math
import pathlib
import subprocess
import tempfile

# Every scheme for every matrix, the mixed default, and what `--target-bits` chooses.
RECIPES = [
    "int8-g32", "int8-g64", "int8-g128", "int6-g32", "int6-g64", "int6-g128", "int4", "4.92",
    "4.79", "4.77", "4.55", "int4z-g32", "int4z-g64", "int4z-g128", "int4-g32", "int4-g64",
    "int4-g128", "cb4-g16", "cb4-g32", "cb4-g64", "cb4-g128",
]
HEAD = [
    "recipe", "bits", "causal perplexity", "slot perplexity (k = 8)", "KL causal",
    "weights alone", "KL masked", "weights alone", "top-1 causal", "top-1 masked",
]


class Bench:
    def __init__(self, options, work):
        self.options, self.work = options, work
        self.model, self.candidate = work / "model.ingot", work / "candidate.ingot"
        self.ingot("convert", options.checkpoint, self.model, "--quiet")

    def ingot(self, *arguments):
        """A failed verdict (status 1) is a result like any other."""
        result = subprocess.run(
            [self.options.ingot, *map(str, arguments)], capture_output=True, text=True)
        if result.returncode not in (0, 1):
            raise SystemExit(result.stderr.strip())

    def verified(self, arithmetic):
        report = self.work / "report.json"
        self.ingot(
            "verify", "--reference", self.model, "--candidate", self.candidate, "--pairs",
            self.options.pairs, "--limit", self.options.limit, "--decode-pairs", 0,
            "--arithmetic", arithmetic, "--json", report, "--quiet")
        return json.loads(report.read_text())

    def row(self, recipe):
        is_target = recipe[0].isdigit()
        self.ingot(
            "quantize", self.model, self.candidate, "--target-bits" if is_target else "--recipe",
            recipe, "--quiet")
        report, alone = self.verified("quantized"), self.verified("dequantized")
        heads, exact = report["heads"], alone["heads"]

        def change(metric):
            figures = report["likelihood"][metric]
            return (
                f"{100 * math.expm1(figures['nll_difference']):+.3f} "
                f"± {100 * figures['standard_error']:.3f} %")

        name = f"--target-bits {recipe}" if is_target else recipe
        return [
            f"`{name}`", f"{report['inputs']['candidate']['bits_per_weight']:.2f}",
            change("causal"), change("slot_k8"),
            f"{heads['causal']['kl']['mean']:.2e}", f"{exact['causal']['kl']['mean']:.2e}",
            f"{heads['masked']['kl']['mean']:.2e}", f"{exact['masked']['kl']['mean']:.2e}",
            f"{100 * heads['causal']['top1_agreement']:.2f} %",
            f"{100 * heads['masked']['top1_agreement']:.2f} %",
        ]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint")
    parser.add_argument("pairs")
    parser.add_argument("--limit", type=int, default=64)
    parser.add_argument("--ingot", default=".build/release/ingot")
    return parser.parse_args()


def main():
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, pathlib.Path(folder))
        print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD), flush=True)
        for recipe in RECIPES:
            print("| " + " | ".join(bench.row(recipe)) + " |", flush=True)


main()
