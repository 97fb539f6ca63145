#!/usr/bin/env python3
"""Compares our 4-bit error with llama.cpp's own quantizers, tensor by tensor.

    ingot quantize CHECKPOINT out.ingot --recipe cb4-g16 --report ours.json
    Tests/peers/compare_quantizers.py CHECKPOINT ours.json

Needs numpy, gguf and llama-cpp-python from the Python registry; skips when one is absent. Exit
status: 0 every linear tensor of ours has a smaller relative RMS error than Q4_K at no more bits
(or skipped), 1 one has not, 2 bad input.
"""

import argparse
import ctypes
import json
import pathlib
import struct
import sys

try:
    import gguf
    import numpy
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(0)

PEERS = ["Q4_0", "Q4_K", "IQ4_NL", "IQ4_XS", "Q8_0"]


def ggml_library(given):
    """llama.cpp's quantizers, from the llama-cpp-python package or a given libggml-base."""
    candidates = [pathlib.Path(given)] if given else []
    if not candidates:
        import importlib.util

        package = importlib.util.find_spec("llama_cpp")
        if package is None or package.origin is None:
            print("skipped: No module named 'llama_cpp' (llama-cpp-python)")
            sys.exit(0)
        folder = pathlib.Path(package.origin).parent
        candidates = sorted(folder.glob("**/libggml-base.*"))
    if not candidates:
        print("skipped: llama-cpp-python has no libggml-base")
        sys.exit(0)
    library = ctypes.CDLL(str(candidates[0]))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [
        ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64,
        ctypes.c_int64, ctypes.c_void_p,
    ]
    return library


def tensors(checkpoint):
    """Names and float32 values of the BF16, F16 and F32 matrices of a safetensors file."""
    data = (checkpoint / "model.safetensors").read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    for name, entry in header.items():
        if name == "__metadata__" or len(entry["shape"]) != 2:
            continue
        first, end = (8 + length + offset for offset in entry["data_offsets"])
        raw = data[first:end]
        if entry["dtype"] == "BF16":
            bits = numpy.frombuffer(raw, "<u2").astype(numpy.uint32) << 16
            values = bits.view(numpy.float32)
        else:
            values = numpy.frombuffer(raw, {"F16": "<f2", "F32": "<f4"}[entry["dtype"]])
        yield name, numpy.ascontiguousarray(values.astype(numpy.float32).reshape(entry["shape"]))


def peer(library, kind, weights):
    """Relative RMS error and bits per weight of one of llama.cpp's types, or None."""
    number = gguf.GGMLQuantizationType[kind]
    block, size = gguf.GGML_QUANT_SIZES[number]
    rows, columns = weights.shape
    if columns % block:
        return None
    coded = numpy.zeros(rows * columns // block * size, numpy.uint8)
    library.ggml_quantize_chunk(
        int(number), weights.ctypes.data, coded.ctypes.data, 0, rows, columns, None)
    back = gguf.quants.dequantize(coded, number).reshape(weights.shape)
    difference = (weights - back).astype(numpy.float64)
    error = numpy.sqrt((difference**2).sum() / (weights.astype(numpy.float64)**2).sum())
    return float(error), 8 * size / block


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("report", type=pathlib.Path, help="JSON of ingot quantize --report")
    parser.add_argument("--against", default="Q4_K", choices=PEERS)
    parser.add_argument("--ggml", help="a libggml-base to use in place of llama-cpp-python's")
    options = parser.parse_args()
    library = ggml_library(options.ggml)
    try:
        report = json.loads(options.report.read_text())
        ours = {tensor["name"]: tensor for tensor in report["tensors"]}
        matrices = list(tensors(options.checkpoint))
    except (OSError, ValueError, KeyError) as problem:
        print(f"cannot read the input: {problem}", file=sys.stderr)
        return 2

    compared, losses = 0, []
    print(f"{'tensor':44} {'ours':>16} " + " ".join(f"{kind:>8}" for kind in PEERS))
    for name, weights in matrices:
        tensor = ours.get(name)
        if tensor is None or tensor["scheme"] in ("BF16", "F16", "F32"):
            continue
        errors = {kind: peer(library, kind, weights) for kind in PEERS}
        cells = [f"{errors[kind][0]:8.5f}" if errors[kind] else f"{'-':>8}" for kind in PEERS]
        print(f"{name:44} {tensor['scheme']:>8} {tensor['relative_error']:.5f} " + " ".join(cells))
        rival = errors[options.against]
        if rival is None:
            continue
        compared += 1
        if tensor["relative_error"] >= rival[0] or tensor["bits_per_weight"] > rival[1]:
            losses.append(name)
    if compared == 0:
        print("no tensor could be compared", file=sys.stderr)
        return 2
    for name in losses:
        print(f"not better than {options.against}: {name}")
    print(f"{compared - len(losses)} of {compared} tensors are better than {options.against}")
    return 1 if losses else 0


sys.exit(main())
