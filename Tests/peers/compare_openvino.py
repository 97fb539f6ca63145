#!/usr/bin/env python3
"""Linear layers beside OpenVINO's, in one run.

OpenVINO multiplies matrices of 2048 x 6144 in a row with dynamic int8 activations in groups of 128, as
its own LLM pipelines do, at least six of them and twice as many as the last-level cache holds; Ingot
runs the linear layers of one Qwen3-1.7B block after another. So both read their weights from memory,
as a model does that is larger than a cache. Rounds of the two alternate, so that whatever else the
machine does falls on both.

    python3 Tests/peers/compare_openvino.py .build/release/ingot

Skips with a line when OpenVINO is not installed (pip install openvino).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

try:
    import numpy as np
    import openvino as ov
    from openvino import opset13 as ops
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(0)

WIDTH, HEIGHT, GROUP = 2048, 6144, 128


def cache_bytes():
    """Bytes of the last-level cache, 32 MiB where nobody says."""
    try:
        with open("/sys/devices/system/cpu/cpu0/cache/index3/size") as file:
            return int(file.read().strip().removesuffix("K")) << 10
    except (OSError, ValueError):
        return 32 << 20


def layer_count(bits):
    """Matrices in a row, an even number."""
    each = WIDTH * HEIGHT * bits // 8
    return max(6, (2 * cache_bytes() // each + 1) // 2 * 2)


# OpenVINO's constants do not keep the memory of packed numbers alive.
kept = []


def compressed(rows, columns, bits, random):
    """A matrix of `rows` x `columns` as OpenVINO stores compressed weights."""
    groups = columns // GROUP
    shape = [rows, groups, GROUP]
    if bits == 8:
        codes = ops.constant(random.integers(-127, 128, shape, dtype=np.int8))
    else:
        packed = random.integers(0, 256, rows * columns // 2, dtype=np.uint8)
        kept.append(packed)
        codes = ops.constant(ov.Tensor(packed, ov.Shape(shape), ov.Type.i4))
    scale = ops.constant(random.uniform(0.005, 0.01, [rows, groups, 1]).astype(np.float16))
    weights = ops.multiply(ops.convert(codes, np.float16), scale)
    weights = ops.reshape(weights, ops.constant(np.array([rows, columns], np.int64)), False)
    return ops.convert(weights, np.float32)


def model(bits, tokens, threads):
    random = np.random.default_rng(1)
    entry = ops.parameter([tokens, WIDTH], np.float32)
    value = entry
    for layer in range(layer_count(bits)):
        rows, columns = (HEIGHT, WIDTH) if layer % 2 == 0 else (WIDTH, HEIGHT)
        value = ops.matmul(value, compressed(rows, columns, bits, random), False, True)
    compiled = ov.Core().compile_model(
        ov.Model([value], [entry]), "CPU",
        {"DYNAMIC_QUANTIZATION_GROUP_SIZE": str(GROUP), "INFERENCE_NUM_THREADS": str(threads),
         "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    request.set_input_tensor(
        ov.Tensor(np.random.default_rng(2).standard_normal((tokens, WIDTH)).astype(np.float32)))
    return request


def openvino_rate(request, bits, tokens, seconds):
    """10^9 multiply-adds a second, the median over `seconds`."""
    work = tokens * WIDTH * HEIGHT * layer_count(bits)
    request.infer()
    rates, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(rates) < 3:
        start = time.perf_counter()
        request.infer()
        rates.append(work / (time.perf_counter() - start) / 1e9)
    return statistics.median(rates)


def ingot_rate(program, recipe, tokens, threads, seconds, isa):
    environment = dict(os.environ, **({"INGOT_ISA": isa} if isa else {}))
    output = subprocess.run(
        [program, "bench", "--shape", "qwen3-1.7b", "--recipe", recipe,
         "--only", ",".join(f"linear_{count}" for count in tokens), "--threads", str(threads),
         "--seconds", str(seconds), "--json", "--quiet"],
        check=True, capture_output=True, text=True, env=environment).stdout
    report = json.loads(output)
    return [result["gmacs"] for result in report["results"]], report["machine"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ingot")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.7)
    parser.add_argument("--tokens", type=int, nargs="+", default=[512, 32, 8])
    parser.add_argument("--bits", type=int, nargs="+", default=[8, 4], choices=[8, 4])
    parser.add_argument("--int8", nargs="+", default=["int8-g128"])
    parser.add_argument("--int4", nargs="+", default=["int4-g128", "cb4-g64"])
    parser.add_argument("--isa", help="force Ingot's kernels, as INGOT_ISA does")
    options = parser.parse_args()

    print(f"OpenVINO {ov.__version__.split('-')[0]}, {options.threads} threads, GMAC/s, medians")
    for bits in options.bits:
        requests = {count: model(bits, count, options.threads) for count in options.tokens}
        for recipe in options.int8 if bits == 8 else options.int4:
            theirs = {count: [] for count in options.tokens}
            ours = {count: [] for count in options.tokens}
            for _ in range(options.rounds):
                for count in options.tokens:
                    theirs[count].append(
                        openvino_rate(requests[count], bits, count, options.seconds))
                rates, machine = ingot_rate(
                    options.ingot, recipe, options.tokens, options.threads, options.seconds,
                    options.isa)
                for count, rate in zip(options.tokens, rates):
                    ours[count].append(rate)
            for count in options.tokens:
                a, b = statistics.median(ours[count]), statistics.median(theirs[count])
                print(
                    f"{bits} bits, {count:4} tokens: ingot {recipe:10} {machine['isa']:10} {a:6.0f}"
                    f"   OpenVINO g{GROUP} {b:6.0f}   ratio {a / b:.2f}", flush=True)


if __name__ == "__main__":
    main()
