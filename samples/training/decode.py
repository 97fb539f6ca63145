"""ReFusion and autoregressive decoding, greedy, of one prompt: a plain reference.

Steps A…E are those of the paper (arXiv 2512.13586): plan, global verify, prefix commit, infill,
commit of the rows. After an EOS the undecided slots behind it are dropped by slot index.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from model import Qwen3

Cache = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Settings:
    """How to decode: slot size k, generation length, serial blocks S, thresholds τs and τt."""

    slot_size: int
    length: int
    blocks: int
    slot_threshold: float
    token_threshold: float

    @property
    def rounded_length(self) -> int:
        return -(-self.length // self.slot_size) * self.slot_size

    def __str__(self) -> str:
        return (
            f"k {self.slot_size} S {self.blocks} τs {self.slot_threshold}"
            f" τt {self.token_threshold}"
        )

    def check(self) -> None:
        if self.length < 1 or self.rounded_length % (self.blocks * self.slot_size):
            raise ValueError("serial blocks must be whole and hold whole slots")


@dataclass
class Result:
    output: list[int]  # the response, up to and with the first EOS
    forwards: int = 0

    @property
    def tokens_per_forward(self) -> float:
        return len(self.output) / self.forwards


@dataclass
class State:
    """What is committed, in commit order; the cache has one entry for each token."""

    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    cache: Cache | None = None


def cut(cache: Cache, length: int) -> Cache:
    return [(k[:, :, :length], v[:, :, :length]) for k, v in cache]


def prefix(passes: list[bool]) -> list[bool]:
    """Cumulative AND."""
    return [all(passes[: i + 1]) for i in range(len(passes))]


class Decoder:
    def __init__(self, model: Qwen3, mask: int, eos: int):
        self.model, self.mask, self.eos = model, mask, eos
        self.forwards = 0

    def forward(self, tokens: list[list[int]], positions: list[list[int]], cache: Cache | None):
        """Probabilities [rows, tokens, vocabulary] and the grown cache; one call of the model."""
        self.forwards += 1
        with torch.inference_mode():
            logits, cache = self.model(torch.tensor(tokens), torch.tensor(positions), cache)
        return logits.float().softmax(-1), cache

    def autoregressive(self, prompt: list[int], length: int) -> Result:
        """Greedy next-token decoding with a cache."""
        self.forwards = 0
        output: list[int] = []
        tokens, start, cache = prompt, 0, None
        while len(output) < length:
            probabilities, cache = self.forward(
                [tokens], [list(range(start, start + len(tokens)))], cache
            )
            start += len(tokens)
            tokens = [int(probabilities[0, -1].argmax())]
            output += tokens
            if tokens[0] == self.eos:
                break
        return Result(output, self.forwards)

    def refusion(self, prompt: list[int], settings: Settings) -> Result:
        """ReFusion decoding."""
        settings.check()
        self.forwards = 0
        k, start = settings.slot_size, len(prompt)
        per_block = settings.rounded_length // k // settings.blocks
        state = State()
        for block in range(settings.blocks):
            open_slots = list(range(block * per_block, (block + 1) * per_block))
            finished = False
            while open_slots:
                drafts = self.plan(state, prompt, open_slots, settings)
                chosen = sorted(drafts)
                committed, tags = self.verify_and_commit(state, drafts, start, settings)
                if committed is None:
                    committed = chosen
                    end = self.infill(state, drafts, tags, start, settings)
                else:
                    # Only the last slot of a prefix commit can hold its EOS.
                    end = committed[-1] if state.tokens[-1] == self.eos else None
                open_slots = [slot for slot in open_slots if slot not in committed]
                if end is not None:
                    open_slots = [slot for slot in open_slots if slot < end]
                    finished = True
            if finished:
                break
        ordered = [t for _, t in sorted(zip(state.positions, state.tokens))][start:]
        if self.eos in ordered:
            ordered = ordered[: ordered.index(self.eos) + 1]
        return Result(ordered, self.forwards)

    def plan(self, state: State, prompt: list[int], slots: list[int], settings: Settings) -> dict:
        """A. Drafts of the chosen slots, {slot: tokens}."""
        k, start = settings.slot_size, len(prompt)
        positions = [start + slot * k + i for slot in slots for i in range(k)]
        before = [] if state.tokens else prompt
        probabilities, cache = self.forward(
            [before + [self.mask] * len(positions)],
            [list(range(len(before))) + positions],
            state.cache,
        )
        if before:
            state.tokens, state.positions = list(prompt), list(range(start))
        state.cache = cut(cache, len(state.tokens))
        best, tokens = probabilities[0, len(before) :].max(-1)
        confidence = {slot: float(best[i * k]) for i, slot in enumerate(slots)}
        chosen = [slot for slot in slots if confidence[slot] > settings.slot_threshold]
        if not chosen:
            chosen = [max(slots, key=lambda slot: (confidence[slot], -slot))]
        drafts = {
            slot: tokens[i * k : (i + 1) * k].tolist()
            for i, slot in enumerate(slots)
            if slot in chosen
        }
        return drafts

    def verify_and_commit(self, state, drafts, start, settings):
        """B and C. The slots committed as a prefix, or None when not even the first one passed;
        and for each chosen slot how far its own draft passed.
        """
        k, chosen = settings.slot_size, sorted(drafts)
        tokens = [token for slot in chosen for token in drafts[slot]]
        positions = [start + slot * k + i for slot in chosen for i in range(k)]
        probabilities, cache = self.forward([tokens], [positions], state.cache)
        # The first token of a slot keeps its confidence and always passes.
        passes = [
            index % k == 0
            or float(probabilities[0, index - 1, token]) > settings.token_threshold
            for index, token in enumerate(tokens)
        ]
        tags = [prefix(passes[i : i + k]) for i in range(0, len(passes), k)]
        passed = sum(prefix(passes))
        if self.eos in tokens[:passed]:
            count = tokens.index(self.eos) + 1
            slots = chosen[: (count - 1) // k + 1]
        elif passed >= k:
            count = passed // k * k
            slots = chosen[: passed // k]
        else:
            return None, tags
        state.cache = cut(cache, len(state.tokens) + count)
        state.tokens += tokens[:count]
        state.positions += positions[:count]
        return slots, tags

    def infill(self, state, drafts, tags, start, settings) -> int | None:
        """D and E. Completes every chosen slot as a row of its own, then commits the rows.

        Returns the slot with the first EOS, if any.
        """
        k, rows, length = settings.slot_size, sorted(drafts), len(state.tokens)
        tokens = [list(drafts[slot]) for slot in rows]
        cache = [
            (a.expand(len(rows), -1, -1, -1), b.expand(len(rows), -1, -1, -1))
            for a, b in state.cache
        ]
        offset = 0
        while not all(all(row) for row in tags):
            positions = [[start + slot * k + i for i in range(offset, k)] for slot in rows]
            inputs = [
                [t if tag else self.mask for t, tag in zip(tokens[r][offset:], tags[r][offset:])]
                for r in range(len(rows))
            ]
            drafted, _ = self.forward(inputs, positions, cache)
            for r in range(len(rows)):
                for i in range(offset, k):
                    if not tags[r][i]:
                        tokens[r][i] = int(drafted[r, i - offset].argmax())
            probabilities, cache = self.forward(
                [row[offset:] for row in tokens], positions, cache
            )
            for r in range(len(rows)):
                before = list(tags[r])
                for i in range(k):
                    if before[i]:
                        continue
                    free = i == offset or (i > 0 and before[i - 1])
                    sure = i > offset and (
                        float(probabilities[r, i - 1 - offset, tokens[r][i]])
                        > settings.token_threshold
                    )
                    if not (free or sure):
                        break
                    tags[r][i] = True
            for r in range(len(rows)):
                if any(tag and t == self.eos for tag, t in zip(tags[r], tokens[r])):
                    rows, tokens, tags = rows[: r + 1], tokens[: r + 1], tags[: r + 1]
                    cache = [(a[: r + 1], b[: r + 1]) for a, b in cache]
                    tags[r] = [True] * k
                    break
            tagged = min(sum(row) for row in tags)
            # The last accepted token is fed again: its logit is needed.
            offset = k if tagged == k else max(0, tagged - 1)
            cache = cut(cache, length + offset)
        return self.commit(state, rows, tokens, cache, start, k)

    def commit(self, state, rows, tokens, cache, start, k) -> int | None:
        """E. Appends the rows with their own keys and values up to the first EOS."""
        length = len(state.tokens)
        flat = [token for row in tokens for token in row]
        count = flat.index(self.eos) + 1 if self.eos in flat else len(flat)
        state.tokens += flat[:count]
        state.positions += [start + slot * k + i for slot in rows for i in range(k)][:count]
        grown = []
        for (ck, cv), (rk, rv) in zip(state.cache, cache):
            keys = torch.cat([rk[r : r + 1, :, length:] for r in range(len(rows))], dim=2)
            values = torch.cat([rv[r : r + 1, :, length:] for r in range(len(rows))], dim=2)
            grown.append(
                (torch.cat((ck, keys[:, :, :count]), 2), torch.cat((cv, values[:, :, :count]), 2))
            )
        state.cache = grown
        return rows[(count - 1) // k] if self.eos in flat else None
