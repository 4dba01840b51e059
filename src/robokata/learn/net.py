"""What every network of ours takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

from robokata.core.require import require

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
else:
    torch = require("torch", extra="learn")
    nn = torch.nn
    Tensor = torch.Tensor


class NetInput(NamedTuple):
    """What a network sees; B samples of any mixture of robots."""

    body: Tensor
    """Number of the robot, (B,) int64."""
    features: Tensor
    """(B, n, F) float32, 0 where absent."""
    is_feature: Tensor
    """(B, n, F) bool."""
    pictures: Tensor
    """(B, V, 3, px, px) float32 in about -1..1, 0 where absent; V may be 0."""
    has_picture: Tensor
    """(B, V) bool."""
    texts: tuple[str, ...]

    def to(self, device: str) -> NetInput:
        """The same on another device."""
        body, features, is_feature, pictures, has_picture = (part.to(device, non_blocking=True) for part in self[:5])
        return NetInput(body, features, is_feature, pictures, has_picture, self.texts)


class NetTarget(NamedTuple):
    """What it should answer."""

    targets: Tensor
    """(B, H, E) float32."""
    is_target: Tensor
    """(B, H, E) bool."""

    def to(self, device: str) -> NetTarget:
        """The same on another device."""
        return NetTarget(*(part.to(device, non_blocking=True) for part in self))


class Net(nn.Module):
    """A network that can be trained and asked. A class with two methods to fill, as torch wants it."""

    def loss(self, seen: NetInput, wanted: NetTarget) -> Tensor:
        """Mean loss over everything that is wanted, a scalar.

        Raises:
            NotImplementedError: a network that does not fill this in.
        """
        raise NotImplementedError

    def predict(self, seen: NetInput, generator: torch.Generator | None = None) -> Tensor:
        """Normalised targets, (B, H, E). `generator` is what a sampling decoder draws from.

        Raises:
            NotImplementedError: a network that does not fill this in.
        """
        raise NotImplementedError

    def provenance(self) -> Mapping[str, str]:
        """Part -> where its weights come from, for the card."""
        return {}


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` where `mask`; 0 where nothing is masked in."""
    weight = mask.to(values.dtype)
    return (values * weight).sum() / weight.sum().clamp(min=1.0)


def linear(inputs: int, outputs: int) -> nn.Module:
    """A linear map; of no inputs, the constant that is left of it: torch warns when it draws weights of no elements."""
    return nn.Linear(inputs, outputs) if inputs else _Constant(outputs)


class _Constant(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, values: Tensor) -> Tensor:
        return self.bias.to(values.dtype).expand(*values.shape[:-1], -1)


class PerBody(nn.Module):
    """One linear map per robot: (B, in) to (B, out), each sample by its own robot's.

    Robot b reads the first `ins[b]` numbers and writes the first `outs[b]`; what lies beyond is padding: never read,
    and written as 0.
    """

    def __init__(self, ins: tuple[int, ...], outs: tuple[int, ...]) -> None:
        super().__init__()
        self.ins, self.outs = ins, outs
        self.maps = nn.ModuleList([linear(i, o) for i, o in zip(ins, outs, strict=True)])

    def forward(self, values: Tensor, body: Tensor) -> Tensor:
        if len(self.maps) == 1:
            return cast(Tensor, self.maps[0](values[..., : self.ins[0]]))
        out = values.new_zeros(*values.shape[:-1], max(self.outs))
        for number, one in enumerate(self.maps):
            places = torch.nonzero(body == number).flatten()
            if len(places):
                mapped = one(values[places][..., : self.ins[number]])
                padded = nn.functional.pad(mapped, (0, max(self.outs) - self.outs[number]))
                out = out.index_copy(0, places, padded.to(out.dtype))
        return out


def packed(values: Tensor, body: Tensor, widths: tuple[int, ...]) -> Tensor:
    """Padded values (B, ..., most) as (B, N) in which every robot's own numbers come first, without its padding."""
    most = values.shape[-1]
    if all(width == most for width in widths):
        return values.flatten(1)
    out = values.new_zeros(len(values), values[0].numel())
    for number, width in enumerate(widths):
        places = torch.nonzero(body == number).flatten()
        own = values[places][..., :width].flatten(1)
        out = out.index_copy(0, places, nn.functional.pad(own, (0, out.shape[1] - own.shape[1])))
    return out


def unpacked(flat: Tensor, body: Tensor, widths: tuple[int, ...], *, rows: int) -> Tensor:
    """The inverse of `packed` for chunks: (B, N) to (B, rows, most), 0 in the padding."""
    most = max(widths)
    if all(width == most for width in widths):
        return flat.view(len(flat), rows, most)
    out = flat.new_zeros(len(flat), rows, most)
    for number, width in enumerate(widths):
        places = torch.nonzero(body == number).flatten()
        own = flat[places][:, : rows * width].view(len(places), rows, width)
        out = out.index_copy(0, places, nn.functional.pad(own, (0, most - width)))
    return out
