"""From readout tokens to a chunk of actions: straight (L1), or by flow matching where several ways are right."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from robokata.core.require import require
from robokata.learn.net import PerBody, masked_mean, packed, unpacked

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
else:
    torch = require("torch", extra="learn")
    nn = torch.nn
    Tensor = torch.Tensor


class L1Chunk(nn.Module):
    """Every readout gives its share of the steps; the loss is the mean absolute difference.

    L1 answers the median of what was done, not the mean between two ways (Kim, Finn and Liang 2025, OpenVLA-OFT).
    """

    def __init__(self, width: int, widths: tuple[int, ...], *, chunk_steps: int, readouts: int) -> None:
        super().__init__()
        self.chunk_steps, self.per = chunk_steps, -(-chunk_steps // readouts)
        self.most = max(widths)
        self.hidden = nn.Sequential(nn.Linear(width, width), nn.GELU())
        # Steps lie outermost, so that a robot's numbers of one step are neighbours and its padding comes last.
        self.heads = nn.ModuleList([PerBody((width,) * len(widths), widths) for _ in range(self.per)])

    def forward(self, readouts: Tensor, body: Tensor) -> Tensor:
        """Readouts (B, K, width) to (B, H, E)."""
        hidden = self.hidden(readouts)
        steps = torch.stack([head(hidden, body) for head in self.heads], dim=2)  # (B, K, per, E)
        return steps.flatten(1, 2)[:, : self.chunk_steps]

    def loss(self, readouts: Tensor, body: Tensor, targets: Tensor, is_target: Tensor) -> Tensor:
        """Mean absolute difference where there is a target."""
        return masked_mean((self(readouts, body).float() - targets).abs(), is_target)

    def predict(self, readouts: Tensor, body: Tensor, generator: torch.Generator | None) -> Tensor:
        """The chunk itself: nothing is drawn."""
        chunk: Tensor = self(readouts, body)
        return chunk


class FlowChunk(nn.Module):
    """Flows from noise to the chunk along straight lines, in ten Euler steps (Lipman et al. 2023).

    The network tells the line's end, from which the velocity (end - here) / (1 - time) follows: a velocity would carry
    all of the noise through the network, which is narrower than a chunk is long.
    """

    STEPS = 10

    def __init__(self, width: int, widths: tuple[int, ...], *, chunk_steps: int, readouts: int) -> None:
        super().__init__()
        self.chunk_steps, self.widths, self.most = chunk_steps, widths, max(widths)
        bodies = len(widths)
        flat = tuple(chunk_steps * w for w in widths)
        hidden = 2 * width
        self.see = nn.Linear(readouts * width, hidden)
        self.noise_in = PerBody(flat, (hidden,) * bodies)
        self.time_in = nn.Linear(32, hidden)
        self.blocks = nn.ModuleList([_Residual(hidden) for _ in range(3)])
        self.out = PerBody((hidden,) * bodies, flat)

    def end(self, noisy: Tensor, time: Tensor, readouts: Tensor, body: Tensor) -> Tensor:
        """Where the line through a noisy chunk (B, H, E) at times (B,) in 0..1 ends, (B, H, E)."""
        mixed = self.see(readouts.flatten(1)) + self.noise_in(packed(noisy, body, self.widths), body)
        mixed = mixed + self.time_in(_waves(time).to(mixed.dtype))
        for block in self.blocks:
            mixed = block(mixed)
        flat: Tensor = self.out(mixed, body)
        return unpacked(flat, body, self.widths, rows=self.chunk_steps)

    def loss(self, readouts: Tensor, body: Tensor, targets: Tensor, is_target: Tensor) -> Tensor:
        """Mean squared difference of the end where there is a target."""
        # More of the early part than uniform: there the way is decided.
        time = torch.rand(len(targets), device=targets.device) ** 1.5
        noise = torch.randn_like(targets)
        # Absent targets stay noise: their value must not reach the network.
        known = torch.where(is_target, targets, noise)
        mixed = time[:, None, None] * known + (1 - time[:, None, None]) * noise
        end = self.end(mixed.to(readouts.dtype), time, readouts, body).float()
        return masked_mean((end - known) ** 2, is_target)

    def predict(self, readouts: Tensor, body: Tensor, generator: torch.Generator | None) -> Tensor:
        """A chunk drawn from `generator` (torch's own where None)."""
        shape = (len(readouts), self.chunk_steps, self.most)
        chunk = torch.randn(shape, generator=generator).to(readouts)
        for step in range(self.STEPS):
            time = chunk.new_full((len(chunk),), step / self.STEPS)
            end = self.end(chunk, time, readouts, body)
            chunk = chunk + (end - chunk) / (self.STEPS - step)  # dt / (1 - time); the last step is the end itself
        return chunk


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inside = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, values: Tensor) -> Tensor:
        inside: Tensor = self.inside(values)
        return values + inside


def _waves(time: Tensor) -> Tensor:
    """Sines and cosines of times in 0..1, (B, 32)."""
    frequency = torch.exp(torch.linspace(0, math.log(1000), 16, device=time.device))
    angle = time[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


DECODERS: dict[str, type[L1Chunk] | type[FlowChunk]] = {"l1": L1Chunk, "flow": FlowChunk}
