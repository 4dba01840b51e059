"""Pictures as tokens that know where they lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from robokata.core.require import require

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
else:
    torch = require("torch", extra="learn")
    nn = torch.nn
    Tensor = torch.Tensor


class Looked(NamedTuple):
    """One picture each as tokens."""

    patches: Tensor
    """(N, P, width): what is where."""
    points: Tensor
    """(N, width): where the things lie that the instruction made it look for."""


class ConvVision(nn.Module):
    """Strided convolutions, told what to look for (FiLM) before they look.

    Patches give what lies where on a coarse grid; the spatial softmax of the finer map before gives image coordinates
    to a fraction of a cell, which reaching needs (Levine et al. 2016, End-to-End Training of Deep Visuomotor Policies).
    FiLM after Perez et al. 2018.
    """

    def __init__(self, width: int, condition: int, *, channels: tuple[int, ...] = (32, 64, 96)) -> None:
        super().__init__()
        first, *rest = channels
        # 8 x 8 with stride 4: one pass over the pixels, the costliest part on a CPU.
        self.stem = nn.Conv2d(3, first, 8, stride=4, padding=2)
        self.stages = nn.ModuleList()
        before = first
        for after in rest:
            self.stages.append(_Stage(before, after, condition))
            before = after
        self.keypoints = nn.Conv2d(rest[0], 32, 1)
        self.sharpness = nn.Parameter(torch.ones(1))
        self.from_points = nn.Sequential(nn.Linear(64, width), nn.GELU(), nn.Linear(width, width))
        self.to_tokens = nn.Linear(before, width)
        self.place = nn.Linear(4, width)

    def forward(self, pictures: Tensor, condition: Tensor) -> Looked:
        """Pictures (N, 3, px, px) and what to look for (N, condition)."""
        seen = self.stages[0](nn.functional.gelu(self.stem(pictures)), condition)
        points = spatial_softmax(self.keypoints(seen).float() * self.sharpness)
        for stage in self.stages[1:]:
            seen = stage(seen, condition)
        tokens = self.to_tokens(seen.flatten(2).transpose(1, 2)) + self.place(_grid(seen))
        return Looked(tokens, self.from_points(points.to(tokens.dtype)))

    def provenance(self) -> Mapping[str, str]:
        """Where its weights come from."""
        return {"vision": "convolutions, trained from random"}


class _Stage(nn.Module):
    """A strided convolution and a residual one, each normalised; the condition scales and shifts in between."""

    def __init__(self, before: int, after: int, condition: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(before, after, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(8, after)
        self.film = nn.Linear(condition, 2 * after)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)
        self.keep = nn.Conv2d(after, after, 3, padding=1)
        self.keep_norm = nn.GroupNorm(8, after)

    def forward(self, seen: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.film(condition)[..., None, None].chunk(2, dim=1)
        seen = nn.functional.gelu(self.norm(self.down(seen)) * (1 + scale) + shift)
        kept: Tensor = nn.functional.gelu(self.keep_norm(self.keep(seen)))
        return seen + kept


def spatial_softmax(maps: Tensor) -> Tensor:
    """Centre of each map's softmax in -1..1, (N, 2 K) from (N, K, h, w): x of all, then y of all."""
    n, k, height, width = maps.shape
    share = maps.flatten(2).softmax(-1).view(n, k, height, width)
    x = torch.linspace(-1, 1, width, device=maps.device, dtype=maps.dtype)
    y = torch.linspace(-1, 1, height, device=maps.device, dtype=maps.dtype)
    return torch.cat([(share.sum(2) * x).sum(-1), (share.sum(3) * y).sum(-1)], dim=1)


def _grid(maps: Tensor) -> Tensor:
    """x, y, x^2, y^2 of every cell in -1..1, (h w, 4): where a token lies, whatever the picture's size."""
    height, width = maps.shape[-2:]
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, height, device=maps.device),
        torch.linspace(-1, 1, width, device=maps.device),
        indexing="ij",
    )
    return torch.stack([x, y, x**2, y**2], dim=-1).flatten(0, 1).to(maps.dtype)
