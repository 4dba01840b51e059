"""What the robot measures of itself as one token, a map per robot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robokata.core.require import require
from robokata.learn.net import PerBody, packed

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
else:
    torch = require("torch", extra="learn")
    nn = torch.nn
    Tensor = torch.Tensor


class Proprioception(nn.Module):
    """Two layers per robot; now and then the token is hidden, so that the policy keeps looking at its pictures."""

    def __init__(self, widths: tuple[int, ...], history: int, width: int, *, hidden_share: float = 0.1) -> None:
        # 0.1: enough that the loss without the token is trained, little enough that the token is trusted.
        super().__init__()
        self.widths, self.history, self.hidden_share = widths, history, hidden_share
        # Numbers and their masks side by side, for every moment of the history.
        self.first = PerBody(tuple(2 * history * w for w in widths), (width,) * len(widths))
        self.second = PerBody((width,) * len(widths), (width,) * len(widths))
        self.unknown = nn.Parameter(torch.zeros(width))

    def forward(self, features: Tensor, is_feature: Tensor, body: Tensor) -> Tensor:
        """Features (B, n, F) with their mask to (B, 1, width)."""
        seen = packed(with_mask(features, is_feature), body, self.widths)
        token = self.second(nn.functional.gelu(self.first(seen, body)), body)
        is_known = is_feature.flatten(1).any(1)
        if self.training and self.hidden_share > 0:
            is_known = is_known & (torch.rand(len(token), device=token.device) >= self.hidden_share)
        return torch.where(is_known[:, None], token, self.unknown.to(token.dtype))[:, None]


def with_mask(features: Tensor, is_feature: Tensor) -> Tensor:
    """Features (B, n, F) and their mask side by side, (B, 2, n, F); what is absent is 0 whatever it held."""
    values = torch.where(is_feature, features, torch.zeros_like(features))
    return torch.stack([values, is_feature.to(values.dtype)], dim=1)
