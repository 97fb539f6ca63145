"""Muon for the matrices (Jordan et al. 2024), AdamW for embeddings, head and norms."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn


def orthogonalize(matrix: Tensor, steps: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrix, roughly, by Newton-Schulz iteration in bf16.

    The coefficients maximise the slope at zero; the singular values end in about 0.7…1.2.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).float()


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal; for 2-D hidden matrices only."""

    def __init__(self, parameters, lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(
            parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        )

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            updates = self.updates(group)
            for parameter, update in zip(group["params"], updates):
                scale = max(1.0, parameter.shape[0] / parameter.shape[1]) ** 0.5
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * scale)

    def updates(self, group: dict) -> list[Tensor]:
        """The orthogonal updates; several processes share the work and add up their parts."""
        parameters = group["params"]
        shared = dist.is_initialized()
        world, rank = (dist.get_world_size(), dist.get_rank()) if shared else (1, 0)
        sizes = [p.numel() for p in parameters]
        flat = torch.zeros(sum(sizes))
        parts = [part.view_as(p) for part, p in zip(flat.split(sizes), parameters)]
        for index, parameter in enumerate(parameters):
            state = self.state[parameter]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(parameter)
            momentum = state["momentum"]
            momentum.lerp_(parameter.grad, 1 - group["momentum"])
            if index % world == rank:
                ahead = parameter.grad.lerp(momentum, group["momentum"])
                parts[index].copy_(orthogonalize(ahead))
        if shared:
            dist.all_reduce(flat)
        return parts


def make(model: nn.Module, matrix_rate: float, other_rate: float) -> list[torch.optim.Optimizer]:
    """The two optimizers of a model; each group remembers its peak rate."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and ".layers." in n]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    optimizers = [
        Muon(matrices, lr=matrix_rate, weight_decay=0.1),
        torch.optim.AdamW(others, lr=other_rate, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.0),
    ]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers
