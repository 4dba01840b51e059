"""What the instruction is about: the things that it names reach the network, and no others.

A network that is told where every thing lies knows each demonstration by that, and learns the demonstrations by heart
(causal confusion: de Haan et al. 2019, arXiv 1905.11979). `design/policies.md` has the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from robokata.core.require import require
from robokata.learn.proprioception import with_mask

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
else:
    torch = require("torch", extra="learn")
    nn = torch.nn
    Tensor = torch.Tensor


class NamedThings(nn.Module):
    """Things by name: each head looks where the words say, all things through the same layers.

    Where to look depends on the words alone. Where the things are must not decide it: that would tell apart what the
    demonstrations happened to look like.
    """

    def __init__(self, columns: Sequence[Sequence[int]], history: int, words: int, *, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.columns: Tensor
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.long), persistent=False)
        self.look = nn.Linear(words, heads * len(columns))
        self.see = nn.Sequential(
            nn.Linear(2 * history * len(columns[0]), width), nn.GELU(), nn.Linear(width, width), nn.GELU()
        )

    def forward(self, features: Tensor, is_feature: Tensor, meant: Tensor) -> Tensor:
        """Features (B, n, F) with their mask, and what was said (B, words), to (B, heads x width)."""
        both = with_mask(features, is_feature)[..., self.columns]  # (B, 2, n, things, numbers of each)
        seen = self.see(both.permute(0, 3, 1, 2, 4).flatten(2))
        is_there = is_feature[..., self.columns].any(-1).any(1)
        share = self.look(meant).unflatten(-1, (self.heads, -1)).softmax(-1) * is_there[:, None]
        # A thing that is not there has no say; where none is, nothing is seen.
        share = share / share.sum(-1, keepdim=True).clamp(min=1e-6)
        return cast(Tensor, (share.to(seen.dtype) @ seen).flatten(1))
