"""Where instruction, body and pictures meet: a transformer whose few tokens look at the many patches."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from robokata.core.require import require

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
else:
    torch = require("torch", extra="learn")
    nn = torch.nn
    Tensor = torch.Tensor


class Fusion(nn.Module):
    """Readout, instruction, body and keypoint tokens attend to each other and, in every layer, to the patches.

    Patches are only keys and values: full attention among 128 of them would cost five times as much and they have
    already seen each other in the convolutions.
    """

    def __init__(self, width: int, *, layers: int, heads: int, readouts: int) -> None:
        super().__init__()
        self.readouts = nn.Parameter(torch.randn(readouts, width) * 0.02)
        self.layers = nn.ModuleList([_Layer(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.patch_norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, is_token: Tensor, patches: Tensor, is_patch: Tensor) -> Tensor:
        """Tokens (B, L, width), patches (B, P, width), each with its mask; gives readouts (B, K, width)."""
        count = len(self.readouts)
        own = self.readouts.to(tokens.dtype).expand(len(tokens), -1, -1)
        stream = torch.cat([own, tokens], dim=1)
        is_there = torch.cat([is_token.new_ones(len(tokens), count), is_token], dim=1)
        looked = self.patch_norm(patches)
        for layer in self.layers:
            stream = layer(stream, is_there, looked, is_patch)
        return cast(Tensor, self.norm(stream[:, :count]))


class _Layer(nn.Module):
    """Attention among the tokens, attention to the patches, a feed-forward; normalised before each."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.among = _Attention(width, heads)
        self.across = _Attention(width, heads)
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(3)])
        self.think = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, stream: Tensor, is_there: Tensor, patches: Tensor, is_patch: Tensor) -> Tensor:
        own = self.norms[0](stream)
        stream = stream + self.among(own, own, is_there)
        if patches.shape[1]:
            stream = stream + self.across(self.norms[1](stream), patches, is_patch)
        return cast(Tensor, stream + self.think(self.norms[2](stream)))


class _Attention(nn.Module):
    """Multi-head attention with a mask over the keys; a query whose keys are all absent gets nothing."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ask, self.tell, self.out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)

    def forward(self, queries: Tensor, keys: Tensor, is_key: Tensor) -> Tensor:
        b, n, width = queries.shape
        q = self.ask(queries).view(b, n, self.heads, -1).transpose(1, 2)
        k, v = self.tell(keys).view(b, keys.shape[1], 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        mask = None
        if not bool(is_key.all()):
            # A row without any key would be NaN: it may look at all, and what it sees is zeroed below.
            mask = (is_key | ~is_key.any(1, keepdim=True))[:, None, None, :]
        seen = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        seen = self.out(seen.transpose(1, 2).reshape(b, n, width))
        return cast(Tensor, seen * is_key.any(1)[:, None, None].to(seen.dtype))
