#!/usr/bin/env python3
"""Reads .ingot files: an independent implementation of formats/ingot.md in Python and NumPy.

    python3 formats/ingot.py list FILE                  tensors and metadata
    python3 formats/ingot.py check FILE                 every rule, every checksum
    python3 formats/ingot.py export FILE OUT            safetensors; quantized tensors become F32
    python3 formats/ingot.py dump FILE FOLDER           0.f32, 1.f32, …: every tensor as raw f32

Written from the specification alone; ING-nnn are its requirements. Exit status: 0 done, 1 the file
breaks a rule, 64 wrong usage.
"""

import ctypes
import ctypes.util
import hashlib
import json
import math
import mmap
import os
import struct
import sys

import numpy as np

MAGIC = bytes.fromhex("89494E474F540D0A")
PARTIAL = bytes.fromhex("89494E474F547E0A")

# code: (safetensors name, bytes)
ELEMENTS = {
    1: ("F32", 4), 2: ("F16", 2), 3: ("BF16", 2), 4: ("F64", 8), 5: ("BOOL", 1), 6: ("U8", 1),
    7: ("I8", 1), 8: ("U16", 2), 9: ("I16", 2), 10: ("U32", 4), 11: ("I32", 4), 12: ("U64", 8),
    13: ("I64", 8), 14: ("F8_E4M3", 1), 15: ("F8_E5M2", 1),
}
# code: (name, group sizes, bytes per scale)
SCHEMES = {
    1: ("int8", (32, 64, 128), 2), 2: ("int4", (32, 64, 128), 2), 3: ("int4z", (32, 64, 128), 2),
    4: ("cb4", (16, 32, 64, 128), 1), 5: ("int6", (32, 64, 128), 2),
}
U64, I64, F64, BOOL, STRING, BLOB, U64S, I64S, F64S, STRINGS = range(1, 11)

SIZES = {
    "vocab_size": 1 << 22, "hidden_size": 1 << 18, "intermediate_size": 1 << 18,
    "num_hidden_layers": 1 << 12, "num_attention_heads": 1 << 12, "num_key_value_heads": 1 << 12,
    "head_dim": 1 << 12, "max_position_embeddings": 1 << 30,
}


class Malformed(Exception):
    """The file breaks a requirement."""


def demand(condition, rule, message):
    if not condition:
        raise Malformed(f"{rule}: {message}")


def align(offset, to):
    return -(-offset // to) * to


def sha256(data):
    return hashlib.sha256(data).digest()


# BLAKE3 (section 7), all chunks of an input at a time: NumPy's arrays are the lanes.
START = np.array([
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
], "<u4")
PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
CHUNK = 1024
CHUNKS_AT_A_TIME = 8192


def mix(a, b, c, d, x, y):
    """The quarter round on rows of the state, in place: arrays (4, inputs)."""
    for word, first, second in ((x, 16, 12), (y, 8, 7)):
        a += b + word
        d ^= a
        d[:] = d >> first | d << (32 - first)
        c += d
        b ^= c
        b[:] = b >> second | b << (32 - second)


def compress(value, words, counter, length, flags):
    """Chaining values (8, inputs) and message words (16, inputs) to the next values."""
    inputs = value.shape[1]
    counter = np.broadcast_to(np.asarray(counter, "<u8"), inputs)
    tail = [counter & 0xFFFFFFFF, counter >> 32, np.full(inputs, length), np.full(inputs, flags)]
    a, b = value[:4].copy(), value[4:].copy()
    c, d = np.repeat(START[:4, None], inputs, 1), np.array(tail).astype("<u4")
    for _ in range(7):
        mix(a, b, c, d, words[0:8:2], words[1:8:2])
        b, c, d = np.roll(b, -1, 0), np.roll(c, -2, 0), np.roll(d, -3, 0)
        mix(a, b, c, d, words[8:16:2], words[9:16:2])
        b, c, d = np.roll(b, 1, 0), np.roll(c, 2, 0), np.roll(d, 3, 0)
        words = words[PERMUTATION]
    return np.concatenate([a ^ c, b ^ d])


def chunk_values(data, first, flags):
    """Chaining values (8, chunks) of equally long chunks: bytes (chunks, 1 … 1024)."""
    count, length = data.shape
    value = np.repeat(START[:, None], count, 1)
    starts = range(0, length, 64) if length else [0]
    for start in starts:
        block = np.zeros((count, 64), np.uint8)
        block[:, :min(64, length - start)] = data[:, start:start + 64]
        value = compress(
            value, block.view("<u4").T, first + np.arange(count, dtype="<u8"),
            min(64, length - start),
            (CHUNK_START if start == 0 else 0) | (flags if start == starts[-1] else 0))
    return value


def blake3(data):
    """ING-080: the 32 bytes of the hash."""
    data = np.frombuffer(data, np.uint8)
    whole = max(0, len(data) - 1) // CHUNK
    root = CHUNK_END | (ROOT if whole == 0 else 0)
    values = [
        chunk_values(data[first * CHUNK:last * CHUNK].reshape(-1, CHUNK), first, CHUNK_END)
        for first in range(0, whole, CHUNKS_AT_A_TIME)
        for last in [min(whole, first + CHUNKS_AT_A_TIME)]
    ] + [chunk_values(data[None, whole * CHUNK:], whole, root)]
    level = np.concatenate(values, 1)
    while level.shape[1] > 1:
        count = level.shape[1]
        pairs = np.concatenate([level[:, 0:count // 2 * 2:2], level[:, 1::2]])
        values = np.repeat(START[:, None], count // 2, 1)
        parents = compress(values, pairs, 0, 64, PARENT | (ROOT if count == 2 else 0))
        level = np.concatenate([parents, level[:, count // 2 * 2:]], 1)
    return level[:, 0].astype("<u4").tobytes()


class Tensor:
    """One entry of the tensor directory (section 4)."""

    def __init__(self, entry, names):
        (name_offset, name_length, self.storage, self.code, self.group, rank, self.exact_type,
         reserved, self.exact_count, d0, d1, d2, d3, self.offset, self.length, flags, self.checksum,
         tail) = struct.unpack("<QIBBHBBHI4QQQQ32s16s", entry)
        self.name_range = (name_offset, name_length)
        raw = names[name_offset:name_offset + name_length]
        demand(1 <= name_length <= 4096 and len(raw) == name_length, "ING-020", "length of a name")
        try:
            self.name = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("ING-020: a name is not UTF-8") from None
        demand(all(b >= 0x20 and b != 0x7F for b in raw), "ING-020", "control byte in a name")
        demand(flags == 0 and reserved == 0 and not any(tail), "ING-022", self.name)
        dimensions = (d0, d1, d2, d3)
        demand(rank <= 4 and max(dimensions) <= 1 << 40, "ING-023", self.name)
        demand(not any(dimensions[rank:]), "ING-023", self.name)
        self.shape = dimensions[:rank]
        self._check_storage()

    def _check_storage(self):
        name = self.name
        demand((self.exact_type == 0) == (self.exact_count == 0), "ING-029", name)
        if self.storage == 0:
            demand(self.code in ELEMENTS and self.group == 0, "ING-024", name)
            demand(self.exact_count == 0, "ING-029", name)
            self.type = ELEMENTS[self.code][0]
            demanded = math.prod(self.shape) * ELEMENTS[self.code][1]
        else:
            demand(self.storage == 1 and self.code in SCHEMES, "ING-024", name)
            self.scheme, groups, scale_bytes = SCHEMES[self.code]
            demand(self.group in groups, "ING-024", name)
            self.type = f"{self.scheme}-g{self.group}"
            demand(len(self.shape) == 2, "ING-025", name)
            rows, columns = self.shape
            demand(rows > 0 and columns > 0 and columns % self.group == 0, "ING-025", name)
            groups_per_row = columns // self.group
            bits = {"int8": 8, "int6": 6}.get(self.scheme, 4)
            self.scale_bytes = scale_bytes * 16 * groups_per_row
            self.zero_start = align(self.scale_bytes, 64)
            zeros = 16 * groups_per_row if self.scheme == "int4z" else 0
            self.code_start = self.zero_start + align(zeros, 64)
            self.code_bytes = 16 * columns * bits // 8
            self.tile_bytes = self.code_start + align(self.code_bytes, 64)
            self.tiles = -(-rows // 16)
            self.payload = demanded = 64 + self.tiles * self.tile_bytes
            if self.exact_count:
                demand(self.exact_type in (1, 2, 3), "ING-029", name)
                demand(self.exact_count <= min(rows, 1 << 16), "ING-029", name)
                self.exact_start = self.payload + align(4 * self.exact_count, 64)
                demanded = self.exact_start + (
                    self.exact_count * columns * ELEMENTS[self.exact_type][1])
        demand(self.length == demanded, "ING-025", f"{name}: {self.length} bytes, not {demanded}")


class Value:
    """One entry of the metadata directory (section 5)."""

    def __init__(self, entry, names):
        (key_offset, key_length, self.type, self.encoding, reserved, self.count, self.bits,
         self.stored, self.decoded, self.checksum, tail) = struct.unpack("<QIBBHQQQQ32s16s", entry)
        self.name_range = (key_offset, key_length)
        raw = names[key_offset:key_offset + key_length]
        demand(1 <= key_length <= 255 and len(raw) == key_length, "ING-040", "length of a key")
        demand(all(b in b"abcdefghijklmnopqrstuvwxyz0123456789._-" for b in raw), "ING-040", str(raw))
        self.key = raw.decode("ascii")
        demand(1 <= self.type <= 10 and self.encoding <= 1, "ING-041", self.key)
        demand(reserved == 0 and not any(tail), "ING-041", self.key)
        if self.type <= BOOL:
            demand(self.count == 1 and self.encoding == 0 and self.stored == 0, "ING-042", self.key)
            demand(self.decoded == 0 and not any(self.checksum), "ING-042", self.key)
            demand(self.type != BOOL or self.bits <= 1, "ING-042", self.key)
            return
        demand(self.decoded <= 1 << 28, "ING-045", self.key)
        if self.type in (STRING, BLOB):
            demand(self.count == self.decoded, "ING-044", self.key)
        elif self.type == STRINGS:
            demand(4 * self.count <= self.decoded, "ING-044", self.key)
        else:
            demand(8 * self.count == self.decoded, "ING-044", self.key)
        if self.encoding == 0:
            demand(self.stored == self.decoded, "ING-044", self.key)
        else:
            demand(0 < self.stored < self.decoded, "ING-046", self.key)


def zstd(data, size):
    """One frame of exactly `size` decoded bytes (ING-046), by whatever this Python has."""
    path = ctypes.util.find_library("zstd")
    if path:
        library = ctypes.CDLL(path)
        library.ZSTD_decompress.restype = ctypes.c_size_t
        library.ZSTD_decompress.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
        target = ctypes.create_string_buffer(max(size, 1))
        written = library.ZSTD_decompress(target, size, bytes(data), len(data))
        demand(written == size, "ING-046", "a zstd frame is damaged")
        return target.raw[:size]
    try:
        from compression import zstd as module  # Python 3.14
    except ImportError:
        raise SystemExit("a metadata value is compressed: install libzstd") from None
    decoded = module.decompress(bytes(data))
    demand(len(decoded) == size, "ING-046", "a zstd frame is damaged")
    return decoded


class IngotFile:
    """An open file. Reads header and directories; tensor data stays in the mapping."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.size = os.fstat(file.fileno()).st_size
            demand(self.size > 0, "ING-002", "the file is empty")
            self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.view = memoryview(self.map)
        self._read_header()
        names = bytes(self.view[slice(*self.sections[2])])
        self._read_tensors(names)
        self._read_metadata(names)
        self._check_model()

    def _read_header(self):
        head = bytes(self.view[:256])
        demand(head[:8] != PARTIAL, "ING-002", "the unfinished temporary of a writer")
        demand(head[:8] == MAGIC, "ING-002", "not an .ingot file")
        demand(len(head) == 256, "ING-009", "shorter than its header")
        (marker, major, minor, length, self.alignment, required, self.optional, file_bytes, tensors,
         values) = struct.unpack_from("<IHHIIQQQQQ", head, 8)
        demand(marker == 0x01020304, "ING-003", "endianness")
        demand(major == 1, "ING-004", f"major version {major}")
        demand(length == 256, "ING-005", "header length")
        self.version = (major, minor)
        power = self.alignment & (self.alignment - 1) == 0
        demand(power and 4096 <= self.alignment <= 1 << 20, "ING-006", "data alignment")
        demand(required == 0, "ING-007", f"unknown required features {required:#x}")
        demand(file_bytes == self.size, "ING-009", f"{self.size} bytes instead of {file_bytes}")
        demand(tensors <= 1 << 24 and values <= 1 << 16, "ING-010", "counts")
        demand(not any(head[152:224]), "ING-011", "header")
        fields = struct.unpack_from("<11Q", head, 64)
        demanded = (128 * tensors, 4 * tensors, None, 96 * values, None)
        self.sections, end = [], 256
        for index in range(5):
            start, size = fields[2 * index], fields[2 * index + 1]
            demand(start == align(end, 64), "ING-012", f"section {index}: offset")
            demand(demanded[index] in (None, size), "ING-012", f"section {index}: length")
            end = start + size
            demand(end <= self.size, "ING-012", f"section {index} leaves the file")
            self.sections.append((start, end))
        self.data_offset = fields[10]
        demand(self.data_offset == align(end, self.alignment), "ING-013", "data offset")
        demand(self.data_offset <= self.size, "ING-013", "data offset")
        self.checksum = head[224:]
        front = head[:224] + bytes(self.view[256:self.sections[4][0]])
        demand(sha256(front) == self.checksum, "ING-014", "the directory is damaged")
        self.tensor_count, self.value_count = tensors, values

    def _read_tensors(self, names):
        start = self.sections[0][0]
        self.tensors, end, self.name_end = [], self.data_offset, 0
        for index in range(self.tensor_count):
            entry = bytes(self.view[start + 128 * index:start + 128 * (index + 1)])
            tensor = Tensor(entry, names)
            demand(tensor.name_range[0] == self.name_end, "ING-021", tensor.name)
            self.name_end += tensor.name_range[1]
            demand(tensor.offset == align(end, self.alignment), "ING-026", tensor.name)
            end = tensor.offset + tensor.length
            demand(end <= self.size, "ING-026", f"{tensor.name} leaves the file")
            self.tensors.append(tensor)
        demand(self.size == align(end, self.alignment), "ING-027", "file length")
        order = np.frombuffer(self.view[slice(*self.sections[1])], "<u4")
        demand(all(index < len(self.tensors) for index in order), "ING-028", "name order")
        ordered = [self.tensors[index].name.encode() for index in order]
        demand(all(a < b for a, b in zip(ordered, ordered[1:])), "ING-028", "name order")
        self.by_name = {tensor.name: tensor for tensor in self.tensors}

    def _read_metadata(self, names):
        start = self.sections[3][0]
        end, values_end = self.sections[4]
        self.values = {}
        last = b""
        for index in range(self.value_count):
            entry = bytes(self.view[start + 96 * index:start + 96 * (index + 1)])
            value = Value(entry, names)
            demand(value.name_range[0] == self.name_end, "ING-021", value.key)
            self.name_end += value.name_range[1]
            demand(value.key.encode() > last, "ING-040", f"order of {value.key}")
            last = value.key.encode()
            if value.type > BOOL:
                if value.stored == 0:
                    demand(value.bits == 0, "ING-043", value.key)
                else:
                    demand(value.bits == align(end, 64), "ING-043", value.key)
                    end = value.bits + value.stored
                    demand(end <= values_end, "ING-043", value.key)
            self.values[value.key] = value
        demand(self.name_end == len(names), "ING-021", "names that belong to nothing")
        demand(end == values_end, "ING-043", "values that belong to nothing")

    def _check_model(self):
        def get(key, kind):
            entry = self.values.get("model." + key)
            demand(entry is not None and entry.type == kind, "ING-049", "model." + key)
            return self.value(entry.key)

        get("architecture", STRING)
        for key, limit in SIZES.items():
            demand(1 <= get(key, U64) <= limit, "ING-050", key)
        for key in ("rms_norm_eps", "rope_theta"):
            demand(0 < get(key, F64) < math.inf, "ING-050", key)
        for key in ("tie_word_embeddings", "attention_bias"):
            get(key, BOOL)
        heads = get("num_attention_heads", U64)
        demand(heads % get("num_key_value_heads", U64) == 0, "ING-050", "num_key_value_heads")
        demand(get("head_dim", U64) % 2 == 0, "ING-050", "head_dim")
        for key in ("bos_token_id", "eos_token_id", "mask_token_id"):
            if "model." + key in self.values:
                demand(get(key, U64) < get("vocab_size", U64), "ING-050", key)

    def value(self, key):
        """A metadata value, decoded and verified (ING-047)."""
        entry = self.values[key]
        if entry.type <= BOOL:
            code = {U64: "<Q", I64: "<q", F64: "<d", BOOL: "<Q"}[entry.type]
            number = struct.unpack(code, struct.pack("<Q", entry.bits))[0]
            return bool(number) if entry.type == BOOL else number
        raw = bytes(self.view[entry.bits:entry.bits + entry.stored])
        if entry.encoding == 1:
            raw = zstd(raw, entry.decoded)
        demand(sha256(raw) == entry.checksum, "ING-081", f"{key} is damaged")
        if entry.type == BLOB:
            return raw
        if entry.type == STRING:
            return raw.decode("utf-8")
        if entry.type == STRINGS:
            lengths = struct.unpack_from(f"<{entry.count}I", raw)
            at, strings = 4 * entry.count, []
            for length in lengths:
                strings.append(raw[at:at + length].decode("utf-8"))
                at += length
            demand(at == len(raw), "ING-044", key)
            return strings
        code = {U64S: "Q", I64S: "q", F64S: "d"}[entry.type]
        return list(struct.unpack(f"<{entry.count}{code}", raw))

    def data(self, tensor):
        return self.view[tensor.offset:tensor.offset + tensor.length]

    def exact_rows(self, tensor):
        """Row numbers and rows as f32 (ING-065, ING-066)."""
        data = self.data(tensor)
        rows = np.frombuffer(data, "<u4", tensor.exact_count, tensor.payload).astype(np.int64)
        ascending = np.all(np.diff(rows) > 0) and np.all(rows < tensor.shape[0])
        demand(bool(ascending), "ING-066", tensor.name)
        numbers = floats(data[tensor.exact_start:], ELEMENTS[tensor.exact_type][0])
        return rows, numbers.reshape(tensor.exact_count, tensor.shape[1])

    def dequantize(self, tensor):
        """The tensor's values as f32 (ING-068 to ING-071)."""
        data = self.data(tensor)
        if tensor.storage == 0:
            return floats(data, tensor.type).reshape(tensor.shape)
        rows, columns = tensor.shape
        groups = columns // tensor.group
        tensor_scale = np.frombuffer(data, "<f4", 1, 16)[0]
        count = tensor.tiles * tensor.tile_bytes
        tiles = np.frombuffer(data, np.uint8, count, 64).reshape(tensor.tiles, tensor.tile_bytes)
        scales = np.ascontiguousarray(tiles[:, :tensor.scale_bytes])
        if tensor.scheme == "cb4":
            wide = scales.astype(np.uint16)
            halves = (wide & 0x80) << 8 | (wide & 0x7F) << 5
            scales = halves.astype("<u2").view("<f2")  # ING-070
        else:
            scales = scales.view("<f2")
        scales = per_column(scales.astype(np.float32), tensor.tiles, groups, tensor.group)
        codes = np.ascontiguousarray(
            tiles[:, tensor.code_start:tensor.code_start + tensor.code_bytes])
        if tensor.scheme == "int8":
            atoms = codes.view(np.int8).reshape(tensor.tiles, columns // 4, 16, 4)
            codes = atoms.transpose(0, 2, 1, 3).reshape(-1, columns).astype(np.int32)
        else:
            half = tensor.group // 8
            blocks = codes.reshape(tensor.tiles, groups, -1, 16, 4)
            low, high = blocks[:, :, :half], blocks[:, :, half:]
            atoms = np.concatenate([low & 15, low >> 4], axis=2)
            if tensor.scheme == "int6":
                atoms |= np.concatenate([(high >> shift & 3) << 4 for shift in (0, 2, 4, 6)], axis=2)
            codes = atoms.transpose(0, 3, 1, 2, 4).reshape(-1, columns).astype(np.int32)
            if tensor.scheme in ("int4", "int6"):
                codes -= 8 if tensor.scheme == "int4" else 32
            elif tensor.scheme == "int4z":
                zeros = np.ascontiguousarray(
                    tiles[:, tensor.zero_start:tensor.zero_start + 16 * groups]).astype(np.int32)
                codes -= per_column(zeros, tensor.tiles, groups, tensor.group)
            else:
                codes = np.frombuffer(data, np.int8, 16)[codes].astype(np.int32)
        with np.errstate(all="ignore"):
            values = (codes.astype(np.float32) * scales) * tensor_scale  # ING-069
        values = values[:rows]
        if tensor.exact_count:
            index, exact = self.exact_rows(tensor)
            values[index] = exact  # ING-071
        return values

    def check(self):
        """Everything opening does not see (ING-083). Returns what is wrong."""
        problems = []

        def attempt(body):
            try:
                body()
            except Malformed as error:
                problems.append(str(error))

        ranges = [(0, 256)] + self.sections[:4]
        ranges += [(v.bits, v.bits + v.stored) for v in self.values.values()
                   if v.type > BOOL and v.stored]
        ranges += [(t.offset, t.offset + t.length) for t in self.tensors if t.length]
        ranges.append((self.size, self.size))
        for (_, left), (right, _) in zip(ranges, ranges[1:]):
            if any(self.view[left:right]):
                problems.append(f"ING-083: padding between {left} and {right} is not zero")
        for key in self.values:
            attempt(lambda key=key: self.value(key))
        for tensor in self.tensors:
            attempt(lambda tensor=tensor: self._check_data(tensor))
        return problems

    def _check_data(self, tensor):
        data = self.data(tensor)
        demand(blake3(data) == tensor.checksum, "ING-080", f"{tensor.name} is damaged")
        if tensor.storage == 0:
            return
        levels = np.frombuffer(data, np.int8, 16).astype(int)
        scale = struct.unpack_from("<f", data, 16)[0]
        demand(not any(data[20:64]), "ING-062", tensor.name)
        if tensor.scheme == "cb4":
            demand(bool(np.all(np.diff(levels) > 0)), "ING-062", tensor.name)
            demand(math.isfinite(scale) and scale >= 0, "ING-062", tensor.name)
        else:
            demand(not levels.any() and scale == 1, "ING-062", tensor.name)
        if tensor.exact_count:
            self.exact_rows(tensor)


def floats(data, type_name):
    """Dense numbers as f32 (ING-068)."""
    if type_name == "F32":
        return np.frombuffer(data, "<f4").astype(np.float32)
    if type_name == "F16":
        return np.frombuffer(data, "<f2").astype(np.float32)
    if type_name == "BF16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    raise Malformed(f"{type_name} has no f32 values")


def per_column(plane, tiles, groups, group):
    """[tile][group][lane] → [row][column]."""
    turned = plane.reshape(tiles, groups, 16).transpose(0, 2, 1).reshape(tiles * 16, groups)
    return np.repeat(turned, group, axis=1)


def show(value):
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"


def command_list(file):
    print(f"version {file.version[0]}.{file.version[1]}, {file.size} bytes, "
          f"{len(file.tensors)} tensors, checksum {file.checksum.hex()}")
    for key in file.values:
        print(f"  {key:40} {show(file.value(key))}")
    for tensor in file.tensors:
        shape = "×".join(map(str, tensor.shape)) or "scalar"
        exact = f" +{tensor.exact_count} exact rows" if tensor.exact_count else ""
        print(f"  {tensor.name:50} {tensor.type:10} {shape:>16} {tensor.length:>14}{exact}")


def command_check(file):
    problems = file.check()
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems" if problems else "every rule and every checksum holds")
    return 1 if problems else 0


def command_export(file, out):
    header, offset = {}, 0
    for tensor in file.tensors:
        if tensor.storage == 0:
            kind, size = tensor.type, tensor.length
        else:
            kind, size = "F32", 4 * math.prod(tensor.shape)
        header[tensor.name] = {
            "dtype": kind, "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(out, "wb") as target:
        target.write(struct.pack("<Q", len(text)) + text)
        for tensor in file.tensors:
            if tensor.storage == 0:
                target.write(file.data(tensor))
            else:
                target.write(file.dequantize(tensor).astype("<f4").tobytes())


def command_dump(file, folder):
    for index, tensor in enumerate(file.tensors):
        file.dequantize(tensor).astype("<f4").tofile(os.path.join(folder, f"{index}.f32"))


def main(arguments):
    commands = {
        "list": (command_list, 0), "check": (command_check, 0), "export": (command_export, 1),
        "dump": (command_dump, 1),
    }
    if len(arguments) < 2 or arguments[0] not in commands:
        print(__doc__, file=sys.stderr)
        return 64
    body, extra = commands[arguments[0]]
    if len(arguments) != 2 + extra:
        print(__doc__, file=sys.stderr)
        return 64
    try:
        return body(IngotFile(arguments[1]), *arguments[2:]) or 0
    except Malformed as error:
        print(f"{arguments[1]}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
