"""A running average of the weights: what is kept, because single steps scatter around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robokata.core.require import require

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
else:
    torch = require("torch", extra="learn")
    nn = torch.nn
    Tensor = torch.Tensor


class Average:
    """Exponential average of a network's trained weights (Polyak and Juditsky 1992). A class, because it holds them.

    The decay grows with the steps, (1 + n) / (10 + n), up to its limit: else the first, random weights would stay.
    """

    def __init__(self, net: nn.Module, *, decay: float) -> None:
        self.decay = decay
        self._live = [p for p in net.parameters() if p.requires_grad]
        self._names = [name for name, p in net.named_parameters() if p.requires_grad]
        self._kept = [p.detach().clone() for p in self._live]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step number `step`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._kept, [p.detach() for p in self._live], 1 - decay)

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged weights by name."""
        return dict(zip(self._names, self._kept, strict=True))

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take averaged weights by name."""
        for name, kept in zip(self._names, self._kept, strict=True):
            kept.copy_(state[name])
