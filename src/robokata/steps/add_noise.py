"""Noise on numbers and pictures: how much does a policy mind?

White Gaussian noise, as encoders and camera sensors have it: `numbers_share` of each channel's own range in the
episode on state and action, `pixel_levels` of 255 on pictures. Quaternions are brought back to length one; numbers that
take few values (a gripper's command, a flag) stay.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Episode
from robokata.core.errors import StepRefused
from robokata.core.stream import Role, Stream
from robokata.core.trace import rng_of, traced
from robokata.core.values import ArrayValues
from robokata.geometry.channels import has_few_values
from robokata.steps._pictures import repainted

_NAME = __name__.rpartition(".")[2]
_QUAT = ("qx", "qy", "qz", "qw")


def step(
    episode: Episode,
    *,
    # 0.01: a channel that moves through a radian then trembles by 10 mrad, which is ten times an encoder of 12 bits.
    numbers_share: float = 0.01,
    # 0: pictures stay as they are, to the byte. 8 is a small camera in a dim room.
    pixel_levels: float = 0.0,
    # `observation.state` alone blurs what the policy sees; `action` alone blurs what it is taught.
    streams: tuple[str, ...] = (),
    seed: int = 0,
) -> Iterator[Episode]:
    """The episode with noise; `streams` empty means state and action, and all pictures.

    Raises:
        StepRefused: a named stream is not there, or a level is negative.
    """
    if numbers_share < 0 or pixel_levels < 0:
        raise StepRefused(_NAME, episode.id, "noise is at least 0.")
    lacking = [name for name in streams if name not in episode.streams]
    if lacking:
        raise StepRefused(_NAME, episode.id, f"it has no stream {lacking[0]!r}. It has: {', '.join(episode.streams)}.")
    rng, changed = rng_of(_NAME, seed, episode), episode
    for number, stream in enumerate(episode.streams.values()):
        if streams and stream.name not in streams:
            continue
        if stream.is_picture and pixel_levels > 0 and stream.values.dtype == np.uint8:
            chance = int(rng.integers(2**32)) + number
            noisy = functools.partial(_noisy_picture, levels=pixel_levels, chance=chance)
            changed = changed.with_stream(repainted(stream, noisy))
        elif numbers_share > 0 and stream.is_numeric and _is_wanted(stream, streams):
            changed = changed.with_stream(_noisy(stream, numbers_share, rng))
    parameters = {"numbers_share": numbers_share, "pixel_levels": pixel_levels, "streams": streams, "seed": seed}
    yield traced(changed, of=episode, step=_NAME, parameters=parameters)


def _is_wanted(stream: Stream, named: tuple[str, ...]) -> bool:
    is_smooth = stream.values.dtype.kind == "f" and len(stream) > 0
    return is_smooth and (stream.name in named or stream.role in (Role.STATE, Role.ACTION))


def _noisy(stream: Stream, share: float, rng: np.random.Generator) -> Stream:
    table = np.asarray(stream.table, np.float64)
    reach = np.where([has_few_values(column) for column in table.T], 0.0, np.ptp(table, axis=0))
    out = table + rng.normal(0.0, 1.0, table.shape) * share * np.where(np.isfinite(reach), reach, 0.0)
    column = {channel: number for number, channel in enumerate(stream.channels or ())}
    for owner in [name.removesuffix("qw") for name in column if name.endswith("qw")]:
        at = [column[f"{owner}{axis}"] for axis in _QUAT if f"{owner}{axis}" in column]
        if len(at) == len(_QUAT):
            out[:, at] /= np.linalg.norm(out[:, at], axis=1, keepdims=True)
    return stream.with_values(ArrayValues(out.reshape((len(out), *stream.shape)).astype(stream.values.dtype)))


def _noisy_picture(picture: NDArray[Any], index: int, *, levels: float, chance: int) -> NDArray[Any]:
    noise = np.random.default_rng([chance, index]).normal(0.0, levels, picture.shape)
    return np.clip(np.round(picture + noise), 0, 255).astype(np.uint8)
