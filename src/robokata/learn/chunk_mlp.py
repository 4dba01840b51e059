"""A network without pictures: numbers and instruction in, a chunk out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from robokata.core.require import require
from robokata.feed.codec import Codec
from robokata.learn.language import HashedWords
from robokata.learn.net import Net, NetInput, NetTarget, PerBody, masked_mean, packed, unpacked
from robokata.learn.proprioception import with_mask

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
else:
    torch = require("torch", extra="learn")
    nn = torch.nn
    Tensor = torch.Tensor


class ChunkMlp(Net):
    """Residual layers that the instruction scales and shifts; a map per robot at both ends."""

    def __init__(self, codec: Codec, options: Mapping[str, Any]) -> None:
        super().__init__()
        window, width = codec.spec.window, int(options["width"])
        bodies = len(codec.bodies)
        history = len(window.history_s)
        self.ins, self.outs, self.chunk_steps = codec.feature_widths, codec.target_widths, window.chunk_steps
        self.language = HashedWords(64)
        self.first = PerBody(tuple(2 * history * w for w in self.ins), (width,) * bodies)
        self.blocks = nn.ModuleList([_Block(width, 64) for _ in range(int(options["layers"]))])
        self.norm = nn.LayerNorm(width)
        self.last = PerBody((width,) * bodies, tuple(self.chunk_steps * w for w in self.outs))

    def loss(self, seen: NetInput, wanted: NetTarget) -> Tensor:
        return masked_mean((self.predict(seen).float() - wanted.targets).abs(), wanted.is_target)

    def predict(self, seen: NetInput, generator: torch.Generator | None = None) -> Tensor:
        said = self.language(seen.texts)
        share = said.is_word.to(said.tokens.dtype)[..., None]
        meant = (said.tokens * share).sum(1) / share.sum(1)
        values = self.first(packed(with_mask(seen.features, seen.is_feature), seen.body, self.ins), seen.body)
        for block in self.blocks:
            values = block(values, meant)
        flat = self.last(self.norm(values), seen.body)
        return unpacked(flat, seen.body, self.outs, rows=self.chunk_steps)

    def provenance(self) -> Mapping[str, str]:
        return {"network": "trained from random"}


class _Block(nn.Module):
    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.film = nn.Linear(condition, 2 * width)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)
        self.inside = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, values: Tensor, meant: Tensor) -> Tensor:
        scale, shift = self.film(meant).chunk(2, dim=-1)
        return cast(Tensor, values + self.inside(self.norm(values) * (1 + scale) + shift))
