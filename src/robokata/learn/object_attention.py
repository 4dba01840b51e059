"""What the instruction is about: the things that it names reach the network, and no others.

A network that is told where every thing lies knows each demonstration by that, and learns the demonstrations by heart
(causal confusion: de Haan et al. 2019, arXiv 1905.11979). `design/policies.md` has the numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from robokata.core.require import require
from robokata.learn.language import words_of
from robokata.learn.proprioception import with_mask
from robokata.loading.features import Thing

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
else:
    torch = require("torch", extra="learn")
    nn = torch.nn
    Tensor = torch.Tensor

_FOR_NAME = 10.0
"""What a name that is met exactly is worth to a softmax: 150 times what a name is worth that is half met."""
_FOR_PLACE = 10.0
"""What lies between the first and the last word: two things named half an instruction apart share as 150 to 1."""


class Mention(NamedTuple):
    """How an instruction speaks of a thing."""

    exactness: float
    """1 / the number of things that the most telling word it shares with the name may mean; 0 where it shares none."""
    place: float
    """Where that word stands, from 0 for the first to almost 1; of a thing that is not named, its place among all."""


def mentions(text: str, names: Sequence[str]) -> list[Mention]:
    """How `text` speaks of each thing. "The red block" is red_cube where only one name holds "red"."""
    named = [set(words_of(name)) for name in names]
    meanings = Counter(word for own in named for word in own)
    said = words_of(text)
    found = []
    for number, own in enumerate(named):
        shared = [(1 / meanings[word], -place) for place, word in enumerate(said) if word in own]
        if shared:
            exactness, place = max(shared)
            found.append(Mention(exactness, -place / len(said)))
        else:
            found.append(Mention(0.0, number / len(names)))
    return found


class NamedThings(nn.Module):
    """Two views of the things: of what is named first, and of what is named last.

    That is where looking begins; what the words mean besides is learnt on top of it. It depends on the words alone:
    where the things are must not decide it, for that would tell apart what the demonstrations happened to look like.
    """

    def __init__(self, things: Sequence[Thing], history: int, words: int) -> None:
        super().__init__()
        self.names = tuple(thing.name for thing in things)
        self.columns: Tensor
        columns = torch.tensor([thing.columns for thing in things], dtype=torch.long)
        self.register_buffer("columns", columns, persistent=False)
        self.width = 2 * 2 * history * columns.shape[1]
        """Numbers that come out: two views of a thing's features and their mask."""
        self.look = nn.Linear(words, 2 * len(things))
        nn.init.zeros_(self.look.weight)
        nn.init.zeros_(self.look.bias)
        self._known: dict[str, Tensor] = {}

    def forward(self, features: Tensor, is_feature: Tensor, meant: Tensor, texts: Sequence[str]) -> Tensor:
        """Features (B, n, F) with their mask, and what was said, (B, words) and as text, to (B, width)."""
        both = with_mask(features, is_feature)[..., self.columns]  # (B, 2, n, things, numbers of each)
        seen = both.permute(0, 3, 1, 2, 4).flatten(2)
        is_there = is_feature[..., self.columns].any(-1).any(1)
        scores = self._at_first(texts).to(meant) + self.look(meant).unflatten(-1, (2, -1))
        share = scores.softmax(-1) * is_there[:, None]
        # A thing that is not there has no say; where none is, nothing is seen.
        share = share / share.sum(-1, keepdim=True).clamp(min=1e-6)
        return cast(Tensor, (share.to(seen.dtype) @ seen).flatten(1))

    def _at_first(self, texts: Sequence[str]) -> Tensor:
        """Scores (B, 2, things) before anything is learnt."""
        rows = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        scores = torch.stack([self._of_text(text) for text in rows])
        return scores[[rows[text] for text in texts]]

    def _of_text(self, text: str) -> Tensor:
        if text not in self._known:
            if len(self._known) > 10_000:
                self._known.clear()
            found = torch.tensor(mentions(text, self.names))
            exactness, place = _FOR_NAME * found[:, 0], _FOR_PLACE * found[:, 1]
            self._known[text] = torch.stack([exactness - place, exactness + place])
        return self._known[text]
