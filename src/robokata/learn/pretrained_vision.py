"""Vision models that the user has: DINOv2 or SigLIP from a folder, opened by transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robokata.core.errors import TrainingRefused
from robokata.core.require import require
from robokata.learn.local_models import opened_model
from robokata.learn.vision import Looked

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
else:
    torch = require("torch", extra="learn")
    nn = torch.nn
    Tensor = torch.Tensor

_NORMS = {"siglip": ((0.5,) * 3, (0.5,) * 3), "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))}
"""Mean and spread that the models were trained with: SigLIP's own, ImageNet's for DINOv2."""


class PretrainedVision(nn.Module):
    """A frozen backbone; the map to our width and the attention to the instruction are trained."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, hidden: int, width: int, condition: int, *, norm: str, origin: str) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(False).eval()
        self.origin = origin
        self.to_tokens = nn.Linear(hidden, width)
        self.asks = nn.Linear(condition, width)
        mean, std = _NORMS[norm]
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, pictures: Tensor, condition: Tensor) -> Looked:
        """Pictures (N, 3, px, px) in -1..1 and what to look for (N, condition)."""
        with torch.no_grad():
            hidden = self.backbone((pictures * 0.5 + 0.5 - self.mean) / self.std)
        tokens = self.to_tokens(hidden)
        weight = (tokens @ self.asks(condition)[..., None] / tokens.shape[-1] ** 0.5).softmax(1)
        return Looked(tokens, (tokens * weight).sum(1))

    def train(self, mode: bool = True) -> PretrainedVision:
        super().train(mode)
        self.backbone.eval()  # frozen: its dropout stays off
        return self

    def provenance(self) -> Mapping[str, str]:
        """Where its weights come from."""
        return {"vision": f"{self.origin}, frozen"}


def pretrained_vision(name: str, width: int, condition: int) -> PretrainedVision:
    """`hf:FOLDER`, with DINOv2 or SigLIP in it.

    Raises:
        TrainingRefused: the folder is absent, or holds no such model; nothing is ever fetched.
        MissingPart: transformers is not installed.
    """
    kind, _, folder = name.partition(":")
    if kind != "hf":
        raise TrainingRefused(f"vision={name!r} is none. Known: conv, hf:FOLDER.")
    transformers = require("transformers", extra="pretrained")
    if not Path(folder).is_dir():
        raise TrainingRefused(f"vision='hf:{folder}': is no folder with a model. Nothing is fetched; name a local one.")
    model = opened_model(transformers, folder, asked=f"vision='hf:{folder}'")
    model = getattr(model, "vision_model", model)  # SigLIP: the half that sees
    norm = "siglip" if "siglip" in str(model.config.model_type) else "imagenet"
    backbone = _Hidden(model)
    origin = f"{model.config.model_type} from {folder}"
    return PretrainedVision(backbone, int(model.config.hidden_size), width, condition, norm=norm, origin=origin)


class _Hidden(nn.Module):
    """A transformers model that gives its tokens. A class, because torch's modules are."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures: Tensor) -> Tensor:
        hidden: Tensor = self.model(pixel_values=pictures, interpolate_pos_encoding=True).last_hidden_state
        return hidden
