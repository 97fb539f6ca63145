"""Trains a small ReFusion model with the published objective, on CPU.

One process, or several:  OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 train.py …
Killed or finished, the same command goes on from the last state in --output. The data order and
every random choice are functions of (seed, step, process), so a resumed run equals an unbroken one.
"""

from __future__ import annotations

import argparse
import array
import datetime
import math
import os
import random
import time
import warnings

import torch
import torch.distributed as dist

import chat
import objective
import optimizer as optimizers
import train_tokenizer
from model import Qwen3, Shape, save_checkpoint

WORLD = int(os.environ.get("WORLD_SIZE", "1"))
RANK = int(os.environ.get("RANK", "0"))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", required=True, help="JSON of query/response objects")
    parser.add_argument("--tokenizer", required=True, help="folder with vocab.json and merges.txt")
    parser.add_argument("--output", required=True, help="folder of the state and the checkpoint")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--intermediate", type=int, default=768)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=96, help="pairs a step, over all processes")
    parser.add_argument("--micro-batch", type=int, default=32, help="pairs a forward")
    parser.add_argument("--matrix-rate", type=float, default=0.02, help="peak rate of Muon")
    parser.add_argument("--other-rate", type=float, default=0.004, help="peak rate of AdamW")
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--average", type=float, default=0.995, help="decay of the weight average")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save-seconds", type=float, default=180)
    parser.add_argument("--log-steps", type=int, default=20)
    parser.add_argument("--f32", action="store_true", help="no bf16 arithmetic")
    return parser.parse_args()


def schedule(step: int, options: argparse.Namespace) -> float:
    """Linear warm-up, then a cosine down to 1 % of the peak."""
    if step < options.warmup:
        return (step + 1) / options.warmup
    progress = (step - options.warmup) / max(1, options.steps - options.warmup)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


class Data:
    """Tokenized pairs, and the arrangements of any step."""

    def __init__(self, options: argparse.Namespace):
        tokenizer = train_tokenizer.load(options.tokenizer)
        pairs = chat.load_pairs(options.pairs)
        # Two bytes a token, all pairs in one array: prompt, response, prompt, …
        self.tokens, self.ends = array.array("H"), array.array("Q", [0])
        for start in range(0, len(pairs), 1000):
            part = pairs[start : start + 1000]
            texts = [t for q, r in part for t in (chat.prompt(q), r + chat.END)]
            for encoding in tokenizer.encode_batch(texts):
                self.tokens.extend(encoding.ids)
                self.ends.append(len(self.tokens))
        self.count = len(pairs)
        self.mask, self.pad = tokenizer.token_to_id(chat.MASK), tokenizer.token_to_id(chat.PAD)
        self.vocabulary = tokenizer.get_vocab_size()
        names = {"bos": chat.BEGIN, "eos": chat.END, "mask": chat.MASK}
        self.ids = {key: tokenizer.token_to_id(text) for key, text in names.items()}
        self.options = options
        self.epoch, self.order = -1, []

    def row(self, number: int) -> tuple[list[int], list[int]]:
        """Pair `number` of an endless sequence of epochs, each in an order of its own."""
        epoch, place = divmod(number, self.count)
        if epoch != self.epoch:
            self.epoch, self.order = epoch, list(range(self.count))
            random.Random(f"{self.options.seed}/order/{epoch}").shuffle(self.order)
        first = 2 * self.order[place]
        start, middle, end = self.ends[first : first + 3]
        return self.tokens[start:middle].tolist(), self.tokens[middle:end].tolist()

    def step(self, step: int) -> tuple[list[objective.Batch], int]:
        """This process's micro-batches of a step, and the AR labels of the whole step.

        Every process draws the whole step, so that all of them know the totals.
        """
        options = self.options
        rng = random.Random(f"{options.seed}/step/{step}")
        # Stratified t: still uniform for each pair, and evenly spread within the step.
        shift = rng.random()
        times = [(i + shift) / options.batch % 1 for i in range(options.batch)]
        rng.shuffle(times)
        rows = []
        for i in range(options.batch):
            prompt, response = self.row(step * options.batch + i)
            size = rng.choice(objective.SLOT_SIZES)
            rows.append(objective.arrange(prompt, response, size, times[i], self.mask, rng))
        labels = sum(sum(l >= 0 and not m for l, m in zip(r.labels, r.masked)) for r in rows)
        # Alike lengths together: less padding.
        rows.sort(key=lambda row: len(row.tokens))
        size = options.micro_batch
        parts = [rows[i : i + size] for i in range(0, len(rows), size)]
        return [objective.collate(part, self.pad) for part in parts[RANK::WORLD]], labels


def reduce_gradients(parameters: list[torch.Tensor], sums: torch.Tensor) -> None:
    """Adds the gradients and the loss sums of all processes, in one exchange."""
    flat = torch.cat([p.grad.flatten() for p in parameters] + [sums])
    dist.all_reduce(flat)
    offset = 0
    for p in parameters:
        p.grad.copy_(flat[offset : offset + p.numel()].view_as(p))
        offset += p.numel()
    sums.copy_(flat[offset:])


def save_state(path: str, **state) -> None:
    torch.save(state, path + ".partial")
    os.replace(path + ".partial", path)


def main() -> None:
    options = parse()
    warnings.filterwarnings("ignore", message="Mismatch dtype")
    if WORLD > 1:
        # A paused process must not end the run.
        dist.init_process_group("gloo", timeout=datetime.timedelta(hours=12))
    torch.manual_seed(options.seed)
    data = Data(options)
    shape = Shape(
        vocab_size=data.vocabulary,
        hidden_size=options.hidden,
        intermediate_size=options.intermediate,
        num_hidden_layers=options.layers,
    )
    model = Qwen3(shape)
    parameters = list(model.parameters())
    updaters = optimizers.make(model, options.matrix_rate, options.other_rate)
    average = {name: value.clone() for name, value in model.state_dict().items()}
    state_path, first = os.path.join(options.output, "state.pt"), 0
    os.makedirs(options.output, exist_ok=True)
    if os.path.exists(state_path):
        state = torch.load(state_path)
        model.load_state_dict(state["model"])
        average, first = state["average"], state["step"]
        for updater, saved in zip(updaters, state["optimizers"]):
            updater.load_state_dict(saved)
    if RANK == 0:
        count = sum(p.numel() for p in parameters)
        print(f"{count} parameters, {data.count} pairs, from step {first}", flush=True)
    saved_at = logged_at = time.time()
    window = torch.zeros(2)
    for step in range(first, options.steps):
        rate = schedule(step, options)
        for updater in updaters:
            updater.zero_grad(set_to_none=False)
            for group in updater.param_groups:
                group["lr"] = group["peak"] * rate
        batches, labels = data.step(step)
        sums = torch.zeros(2)
        for p in parameters:
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        for batch in batches:
            with torch.autocast("cpu", torch.bfloat16, enabled=not options.f32):
                autoregressive, diffusion = objective.losses(model, batch)
            # From means over the micro-batch to means over the step.
            share = (~batch.masked).sum() / labels
            autoregressive, diffusion = (
                autoregressive * share,
                diffusion * batch.count / options.batch,
            )
            (autoregressive + diffusion).backward()
            sums += torch.stack((autoregressive.detach(), diffusion.detach()))
        if WORLD > 1:
            reduce_gradients(parameters, sums)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for updater in updaters:
            updater.step()
        decay = min(options.average, (step + 1) / (step + 10))
        for name, value in model.state_dict().items():
            average[name].lerp_(value, 1 - decay)
        window += sums
        done = step + 1
        if RANK != 0:
            continue
        if done % options.log_steps == 0:
            ar, mdm = (window / options.log_steps).tolist()
            seconds = (time.time() - logged_at) / options.log_steps
            print(f"{done}: ar {ar:.4f} mdm {mdm:.4f} {seconds:.2f} s/step", flush=True)
            window.zero_()
            logged_at = time.time()
        if done == options.steps or time.time() - saved_at > options.save_seconds:
            save_state(
                state_path,
                model=model.state_dict(),
                average=average,
                step=done,
                optimizers=[updater.state_dict() for updater in updaters],
            )
            save_checkpoint(options.output, average, shape, data.ids)
            saved_at = time.time()
    if WORLD > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
