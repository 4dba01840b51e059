"""The small vision-language-action network: five parts, each of which can be another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from robokata.core.errors import TrainingRefused
from robokata.core.require import require
from robokata.learn.decoder import DECODERS, FlowChunk, L1Chunk
from robokata.learn.fusion import Fusion
from robokata.learn.language import HashedWords, LocalLanguage
from robokata.learn.net import Net, NetInput, NetTarget
from robokata.learn.proprioception import Proprioception
from robokata.learn.vision import ConvVision
from robokata.loading.codec import Codec

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from robokata.learn.pretrained_vision import PretrainedVision
else:
    torch = require("torch", extra="learn")
    nn = torch.nn
    Tensor = torch.Tensor


class VisionLanguageAction(Net):
    """Language tells vision what to look for; fusion joins words, body and pictures; the decoder acts."""

    def __init__(self, codec: Codec, options: Mapping[str, Any]) -> None:
        super().__init__()
        window, width = codec.spec.window, int(options["width"])
        readouts = min(int(options["readouts"]), window.chunk_steps)
        self.cameras = len(window.cameras)
        self.language = _language(str(options["language"]), width)
        self.camera = nn.Parameter(torch.randn(max(1, self.cameras), width) * 0.1)
        self.vision = _vision(str(options["vision"]), width)
        self.body = Proprioception(codec.feature_widths, window.past, width)
        self.fusion = Fusion(width, layers=int(options["layers"]), heads=int(options["heads"]), readouts=readouts)
        self.decoder = _decoder(
            str(options["decoder"]), width, codec.target_widths, chunk_steps=window.chunk_steps, readouts=readouts
        )
        self.pooled = nn.Linear(width, width)

    def loss(self, seen: NetInput, wanted: NetTarget) -> Tensor:
        return self.decoder.loss(self.readouts(seen), seen.body, wanted.targets, wanted.is_target)

    def predict(self, seen: NetInput, generator: torch.Generator | None = None) -> Tensor:
        return self.decoder.predict(self.readouts(seen), seen.body, generator)

    def readouts(self, seen: NetInput) -> Tensor:
        """What the decoder acts on, (B, K, width)."""
        said = self.language(seen.texts)
        words, is_word = said.tokens, said.is_word
        share = is_word.to(words.dtype)[..., None]
        meant = self.pooled((words * share).sum(1) / share.sum(1))
        body = self.body(seen.features, seen.is_feature, seen.body)
        tokens, is_token = [words, body], [is_word, is_word.new_ones(len(words), 1)]
        patches, is_patch = words.new_zeros(len(words), 0, words.shape[-1]), is_word.new_zeros(len(words), 0)
        if self.cameras:
            patches, points = self._look(seen.pictures, meant)
            per = patches.shape[1] // self.cameras
            is_patch = seen.has_picture.repeat_interleave(per, dim=1)
            tokens.append(points)
            is_token.append(seen.has_picture)
        return cast(Tensor, self.fusion(torch.cat(tokens, 1), torch.cat(is_token, 1), patches, is_patch))

    def _look(self, pictures: Tensor, meant: Tensor) -> tuple[Tensor, Tensor]:
        """Patches (B, V P, width) and points (B, V, width) of all cameras, one pass through the same network."""
        count, cameras = pictures.shape[:2]
        # The camera is part of what to look for: one network can be two where hand and scene need it.
        condition = (meant[:, None] + self.camera[None, :cameras]).flatten(0, 1)
        looked = self.vision(pictures.flatten(0, 1), condition)
        patches = looked.patches.unflatten(0, (count, cameras)) + self.camera[None, :cameras, None]
        points = looked.points.unflatten(0, (count, cameras)) + self.camera[None, :cameras]
        return patches.flatten(1, 2), points

    def provenance(self) -> Mapping[str, str]:
        return {**self.vision.provenance(), **self.language.provenance(), "rest": "trained from random"}


def _language(name: str, width: int) -> HashedWords | LocalLanguage:
    if name == "hashed":
        return HashedWords(width)
    if name.startswith("hf:"):
        return LocalLanguage(name.removeprefix("hf:"), width)
    raise TrainingRefused(f"language={name!r} is none. Known: hashed, hf:FOLDER.")


def _decoder(name: str, width: int, widths: tuple[int, ...], *, chunk_steps: int, readouts: int) -> L1Chunk | FlowChunk:
    if name not in DECODERS:
        raise TrainingRefused(f"decoder={name!r} is none. Known: {', '.join(DECODERS)}.")
    return DECODERS[name](width, widths, chunk_steps=chunk_steps, readouts=readouts)


def _vision(name: str, width: int) -> ConvVision | PretrainedVision:
    if name == "conv":
        return ConvVision(width, width)
    from robokata.learn.pretrained_vision import pretrained_vision

    return pretrained_vision(name, width, width)
