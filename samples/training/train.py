"""Trains a small ReFusion model with the published objective, on CPU.

One process, or several:  OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 train.py …
Killed or finished, the same command goes on from the last state in --output. The data order and
every random choice are functions of (seed, step, process), so a resumed run equals an unbroken one.
"""

from __future__ import annotations

import argparse
import array
import datetime
import hashlib
import math
import os
import random
import shutil
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
    parser.add_argument("--minutes", type=float, help="end earlier: the schedule follows the clock")
    parser.add_argument("--batch", type=int, default=96, help="pairs a step, over all processes")
    parser.add_argument("--micro-batch", type=int, default=32, help="pairs a forward")
    parser.add_argument(
        "--causal-share", type=float, default=0.25, help="pairs trained by next-token prediction"
    )
    parser.add_argument("--matrix-rate", type=float, default=0.02, help="peak rate of Muon")
    parser.add_argument("--other-rate", type=float, default=0.004, help="peak rate of AdamW")
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--average", type=float, default=0.995, help="decay of the weight average")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save-seconds", type=float, default=180)
    parser.add_argument("--log-steps", type=int, default=20)
    parser.add_argument("--f32", action="store_true", help="no bf16 arithmetic")
    return parser.parse_args()


def schedule(step: int, spent: float, options: argparse.Namespace) -> float:
    """Linear warm-up, then a cosine down to 1 % of the peak.

    `spent`: the fraction of --minutes that has passed, where given. (A run that is ended by the
    clock depends on it; one that is ended by --steps does not.)
    """
    if step < options.warmup:
        return (step + 1) / options.warmup
    progress = max(spent, (step - options.warmup) / max(1, options.steps - options.warmup))
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def save_state(path: str, **state) -> None:
    torch.save(state, path + ".partial")
    os.replace(path + ".partial", path)


def tokenized(tokenizer, path: str, folder: str) -> tuple[array.array, array.array]:
    """All pairs in one array of two bytes a token: prompt, response, prompt, …; and the ends.

    Kept in `folder`, so that a resumed run starts at once.
    """
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read() + tokenizer.to_str().encode()).hexdigest()
    kept = os.path.join(folder, f"pairs-{digest[:16]}.pt")
    tokens, ends = array.array("H"), array.array("Q", [0])
    if os.path.exists(kept):
        state = torch.load(kept)
        tokens.frombytes(state["tokens"].numpy().tobytes())
        ends = array.array("Q", state["ends"].tolist())
        return tokens, ends
    pairs = chat.load_pairs(path)
    for start in range(0, len(pairs), 1000):
        texts = [t for q, r in pairs[start : start + 1000] for t in (chat.prompt(q), r + chat.END)]
        for encoding in tokenizer.encode_batch(texts):
            tokens.extend(encoding.ids)
            ends.append(len(tokens))
    if RANK == 0:
        bytes_of = torch.frombuffer(bytearray(tokens.tobytes()), dtype=torch.uint8)
        save_state(kept, tokens=bytes_of, ends=torch.tensor(ends.tolist()))
    return tokens, ends


class Data:
    """Tokenized pairs, and the arrangements of any step."""

    def __init__(self, options: argparse.Namespace):
        tokenizer = train_tokenizer.load(options.tokenizer)
        self.tokens, self.ends = tokenized(tokenizer, options.pairs, options.output)
        self.count = len(self.ends) // 2
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

    def step(self, step: int) -> tuple[list[objective.Batch], int, int]:
        """This process's micro-batches of a step; AR labels and arranged pairs of the whole step.

        Every process draws the whole step, so that all of them know the totals.
        """
        options = self.options
        rng = random.Random(f"{options.seed}/step/{step}")
        # Stratified t: still uniform for each pair, and evenly spread within the step.
        shift = rng.random()
        times = [(i + shift) / options.batch % 1 for i in range(options.batch)]
        rng.shuffle(times)
        rows = []
        plain = round(options.causal_share * options.batch)
        for i in range(options.batch):
            prompt, response = self.row(step * options.batch + i)
            if i < plain:
                rows.append(objective.causal(prompt, response))
                continue
            size = rng.choice(objective.SLOT_SIZES)
            rows.append(objective.arrange(prompt, response, size, times[i], self.mask, rng))
        labels = sum(sum(l >= 0 and not m for l, m in zip(r.labels, r.masked)) for r in rows)
        arranged = options.batch - plain
        # Alike lengths together: less padding.
        rows.sort(key=lambda row: len(row.tokens))
        size = options.micro_batch
        parts = [rows[i : i + size] for i in range(0, len(rows), size)]
        return [objective.collate(part, self.pad) for part in parts[RANK::WORLD]], labels, arranged


def reduce_gradients(parameters: list[torch.Tensor], sums: torch.Tensor) -> None:
    """Adds the gradients and the loss sums of all processes, in one exchange."""
    flat = torch.cat([p.grad.flatten() for p in parameters] + [sums])
    dist.all_reduce(flat)
    offset = 0
    for p in parameters:
        p.grad.copy_(flat[offset : offset + p.numel()].view_as(p))
        offset += p.numel()
    sums.copy_(flat[offset:])


def main() -> None:
    options = parse()
    warnings.filterwarnings("ignore", message="Mismatch dtype")
    if WORLD > 1:
        # A paused process must not end the run.
        dist.init_process_group("gloo", timeout=datetime.timedelta(hours=12))
    torch.manual_seed(options.seed)
    os.makedirs(options.output, exist_ok=True)
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
    state_path, first, elapsed = os.path.join(options.output, "state.pt"), 0, 0.0
    if os.path.exists(state_path):
        state = torch.load(state_path)
        model.load_state_dict(state["model"])
        average, first = state["average"], state["step"]
        elapsed = state.get("seconds", 0.0)
        for updater, saved in zip(updaters, state["optimizers"]):
            updater.load_state_dict(saved)
    if RANK == 0:
        for name in os.listdir(options.tokenizer):
            shutil.copy(os.path.join(options.tokenizer, name), options.output)
        count = sum(p.numel() for p in parameters)
        print(f"{count} parameters, {data.count} pairs, from step {first}", flush=True)
    saved_at = logged_at = time.time()
    began, logged = time.time() - elapsed, first
    limit = 60 * options.minutes if options.minutes else math.inf
    window, spent = torch.zeros(2), min(1.0, elapsed / limit)
    for step in range(first, options.steps):
        rate = schedule(step, spent, options)
        for updater in updaters:
            updater.zero_grad(set_to_none=False)
            for group in updater.param_groups:
                group["lr"] = group["peak"] * rate
        batches, labels, arranged = data.step(step)
        # AR loss, MDM loss, and the clock of the first process, which all of them follow.
        sums = torch.zeros(3)
        sums[2] = min(1.0, (time.time() - began) / limit) if RANK == 0 else 0
        for p in parameters:
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        for batch in batches:
            with torch.autocast("cpu", torch.bfloat16, enabled=not options.f32):
                autoregressive, diffusion = objective.losses(model, batch)
            autoregressive = autoregressive / max(1, labels)
            diffusion = diffusion / max(1, arranged)
            (autoregressive + diffusion).backward()
            sums[:2] += torch.stack((autoregressive.detach(), diffusion.detach()))
        if WORLD > 1:
            reduce_gradients(parameters, sums)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for updater in updaters:
            updater.step()
        decay = min(options.average, (step + 1) / (step + 10))
        for name, value in model.state_dict().items():
            average[name].lerp_(value, 1 - decay)
        window += sums[:2]
        done, spent = step + 1, float(sums[2])
        last = done == options.steps or spent >= 1
        if RANK == 0 and (done % options.log_steps == 0 or last):
            ar, mdm = (window / (done - logged)).tolist()
            seconds = (time.time() - logged_at) / (done - logged)
            print(
                f"{done}: ar {ar:.4f} mdm {mdm:.4f} rate {rate:.3f} {seconds:.2f} s/step",
                flush=True,
            )
            window.zero_()
            logged_at, logged = time.time(), done
        if RANK == 0 and (last or time.time() - saved_at > options.save_seconds):
            save_state(
                state_path,
                model=model.state_dict(),
                average=average,
                step=done,
                seconds=time.time() - began,
                optimizers=[updater.state_dict() for updater in updaters],
            )
            save_checkpoint(options.output, average, shape, data.ids)
            saved_at = time.time()
        if last:
            break
    if WORLD > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
