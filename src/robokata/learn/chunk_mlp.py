"""A network without pictures: numbers and instruction in, a chunk out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from robokata.core.require import require
from robokata.learn.language import HashedWords
from robokata.learn.net import Net, NetInput, NetTarget, PerBody, linear, masked_mean, unpacked
from robokata.learn.object_attention import NamedThings
from robokata.learn.proprioception import with_mask
from robokata.loading.codec import BodyCodec, Codec
from robokata.loading.features import things_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
else:
    torch = require("torch", extra="learn")
    nn = torch.nn
    Tensor = torch.Tensor

_WORDS = 64
"""Numbers that stand for an instruction."""


class ChunkMlp(Net):
    """Residual layers that the instruction scales and shifts; an entry and a map per robot at the ends."""

    def __init__(self, codec: Codec, options: Mapping[str, Any]) -> None:
        super().__init__()
        window, width = codec.spec.window, int(options["width"])
        self.outs, self.chunk_steps = codec.target_widths, window.chunk_steps
        self.language = HashedWords(_WORDS)
        self.entries = nn.ModuleList([_Entry(body, window.past, width) for body in codec.bodies])
        self.blocks = nn.ModuleList([_Block(width) for _ in range(int(options["layers"]))])
        self.norm = nn.LayerNorm(width)
        self.last = PerBody((width,) * len(codec.bodies), tuple(self.chunk_steps * w for w in self.outs))

    def loss(self, seen: NetInput, wanted: NetTarget) -> Tensor:
        return masked_mean((self.predict(seen).float() - wanted.targets).abs(), wanted.is_target)

    def predict(self, seen: NetInput, generator: torch.Generator | None = None) -> Tensor:
        said = self.language(seen.texts)
        share = said.is_word.to(said.tokens.dtype)[..., None]
        meant = (said.tokens * share).sum(1) / share.sum(1)
        values = self._entered(seen, meant)
        for block in self.blocks:
            values = block(values, meant)
        flat = self.last(self.norm(values), seen.body)
        return unpacked(flat, seen.body, self.outs, rows=self.chunk_steps)

    def _entered(self, seen: NetInput, meant: Tensor) -> Tensor:
        if len(self.entries) == 1:
            return cast(Tensor, self.entries[0](seen.features, seen.is_feature, meant, seen.texts))
        out: Tensor | None = None
        for number, entry in enumerate(self.entries):
            places = torch.nonzero(seen.body == number).flatten()
            if len(places):
                texts = [seen.texts[place] for place in places.tolist()]
                entered = entry(seen.features[places], seen.is_feature[places], meant[places], texts)
                out = entered.new_zeros(len(seen.body), entered.shape[1]) if out is None else out
                out = out.index_copy(0, places, entered)
        return cast(Tensor, out)

    def provenance(self) -> Mapping[str, str]:
        return {"network": "trained from random"}


class _Entry(nn.Module):
    """One robot's numbers: its own as they are, and the things that the instruction names."""

    def __init__(self, body: BodyCodec, history: int, width: int) -> None:
        super().__init__()
        things = things_of(body.blocks)
        taken = {column for thing in things for column in thing.columns}
        own = [column for column in range(sum(len(block.kinds) for block in body.blocks)) if column not in taken]
        self.own: Tensor
        self.register_buffer("own", torch.tensor(own, dtype=torch.long), persistent=False)
        self.things = NamedThings(things, history, _WORDS) if things else None
        self.first = linear(2 * history * len(own) + (self.things.width if self.things else 0), width)

    def forward(self, features: Tensor, is_feature: Tensor, meant: Tensor, texts: Sequence[str]) -> Tensor:
        own = with_mask(features[..., self.own], is_feature[..., self.own]).flatten(1)
        if self.things is not None:
            own = torch.cat([own, self.things(features, is_feature, meant, texts)], dim=1)
        return cast(Tensor, self.first(own))


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.film = nn.Linear(_WORDS, 2 * width)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)
        self.inside = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, values: Tensor, meant: Tensor) -> Tensor:
        scale, shift = self.film(meant).chunk(2, dim=-1)
        return cast(Tensor, values + self.inside(self.norm(values) * (1 + scale) + shift))
