"""ReFusion's training objective (arXiv 2512.13586): arrangements of a pair, AR and MDM losses."""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

SLOT_SIZES = (4, 8, 16, 32)
EPSILON = 1e-3
NONE = -100


@dataclass
class Arrangement:
    """One pair arranged for one step: what goes in, and what each input has to predict."""

    tokens: list[int]
    positions: list[int]
    labels: list[int]  # NONE where there is nothing to predict
    masked: list[bool]  # True: an MDM label, of the same position
    probability: float
    response_length: int


def arrange(
    prompt: list[int], response: list[int], slot_size: int, t: float, mask: int, rng: random.Random
) -> Arrangement:
    """Prompt, clean slots in random order, masked slots ascending; positions are the original.

    `response` ends with EOS. `t` in [0, 1) sets the probability that a slot is masked.
    """
    probability = (1 - EPSILON) * t + EPSILON
    length = len(response)
    slots = [range(i, min(i + slot_size, length)) for i in range(0, length, slot_size)]
    clean, hidden = [], []
    for slot in slots:
        (hidden if rng.random() < probability else clean).append(slot)
    rng.shuffle(clean)
    start = len(prompt)
    tokens, positions = list(prompt), list(range(start))
    labels, masked = [NONE] * start, [False] * start
    for slot in clean:
        tokens += (response[i] for i in slot)
        positions += (start + i for i in slot)
        # Inside a slot a token predicts the next one; the last has nothing to predict.
        labels += [response[i] for i in slot[1:]] + [NONE]
        masked += [False] * len(slot)
    for slot in hidden:
        tokens += [mask] * len(slot)
        positions += (start + i for i in slot)
        labels += (response[i] for i in slot)
        masked += [True] * len(slot)
    return Arrangement(tokens, positions, labels, masked, probability, length)


def causal(prompt: list[int], response: list[int]) -> Arrangement:
    """Plain next-token prediction of the response, its first token included.

    Not in the published objective, which starts from a model that was trained so before.
    """
    tokens = prompt + response
    labels = [NONE] * (len(prompt) - 1) + response + [NONE]
    size = len(tokens)
    return Arrangement(tokens, list(range(size)), labels, [False] * size, 1.0, len(response))


@dataclass
class Batch:
    """Arrangements padded on the right; attention is causal, so padding reaches nothing."""

    tokens: Tensor
    positions: Tensor
    index: Tensor  # of labelled inputs in the flattened batch
    labels: Tensor  # one a labelled input; NONE in the padding of this list
    clean: Tensor  # one a labelled input: an AR label
    masked: Tensor  # one a labelled input: an MDM label
    weights: Tensor  # one a labelled input: 1 / (p · L)


def collate(rows: list[Arrangement], pad: int) -> Batch:
    # Few different shapes: the matrix library keeps memory for each one it has seen.
    width = -(-max(len(row.tokens) for row in rows) // 8) * 8
    tokens = torch.full((len(rows), width), pad)
    positions = torch.zeros((len(rows), width), dtype=torch.long)
    labels = torch.full((len(rows), width), NONE)
    masked = torch.zeros((len(rows), width), dtype=torch.bool)
    weights = torch.zeros((len(rows), width))
    for i, row in enumerate(rows):
        n = len(row.tokens)
        tokens[i, :n] = torch.tensor(row.tokens)
        positions[i, :n] = torch.tensor(row.positions)
        labels[i, :n] = torch.tensor(row.labels)
        masked[i, :n] = torch.tensor(row.masked)
        weights[i, :n] = 1 / (row.probability * row.response_length)
    index = (labels.flatten() != NONE).nonzero().squeeze(1)
    count = len(index)
    index = F.pad(index, (0, -count % 64))
    chosen, real = labels.flatten()[index], torch.arange(len(index)) < count
    chosen = torch.where(real, chosen, NONE)
    hidden = masked.flatten()[index] & real
    scale = weights.flatten()[index]
    return Batch(tokens, positions, index, chosen, real & ~hidden, hidden, scale)


def losses(model, batch: Batch) -> tuple[Tensor, Tensor]:
    """Sums over a batch: CE of the AR labels, and CE / p / L of the masks.

    The AR loss is the first divided by the number of AR labels, the MDM loss the second divided by
    the number of arranged pairs. Only labelled inputs pay for the vocabulary projection.
    """
    states, _ = model.hidden(batch.tokens, batch.positions)
    logits = model.lm_head(states.flatten(0, 1)[batch.index]).float()
    nll = F.cross_entropy(logits, batch.labels, reduction="none")
    return (nll * batch.clean).sum(), (nll * batch.masked * batch.weights).sum()
