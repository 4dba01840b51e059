"""Between a robot's numbers and a network's: features and targets of mean 0 and spread 1, and actions back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData
from robokata.loading.actions import Frame, Learnt, decoded, encoded, plan_actions
from robokata.loading.features import Block, Noise, features_of, least_spread, noisy, plan_features
from robokata.loading.feed import Batch, Feed
from robokata.loading.layout import BodyLayout, layout_from
from robokata.loading.statistics import Statistics, statistics_from, statistics_of
from robokata.loading.window_spec import WindowSpec

_LIMIT = 10.0
"""Standard deviations beyond which a feature is cut off: a broken sensor must not drive the network anywhere."""
_LEAST_CHANGE = {"position": 0.003, "rotation": 0.03, "plain": 1e-3}
"""Smallest spread that a target is divided by (m, dimensionless, the stream's unit): what an arm follows to anyway. A
hand that always points down would else be learnt to a thousandth of a degree, at the cost of where it goes."""
_ROWS = 4096


@dataclass(frozen=True)
class CodecSpec:
    """How numbers are shown and actions learnt, for all robots of a policy."""

    window: WindowSpec
    frame: Frame = Frame.TIP
    seen_from_tip: tuple[str, ...] = ()
    """Streams whose poses are told in the hand's frame."""
    is_change: bool = False
    """True where the data's actions are differences already."""

    @property
    def learns_to_hold(self) -> bool:
        """True where what comes after the end is learnt: a target holds until the next, a difference does not."""
        return not self.is_change

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            "window": self.window.to_json(),
            "frame": str(self.frame),
            "seen_from_tip": list(self.seen_from_tip),
            "is_change": self.is_change,
        }


VERSION = 1
"""Of what the numbers mean to a network. A checkpoint of another version would open and act nonsense: it is refused."""


class Encoded(NamedTuple):
    """A batch as a network sees it; robots of fewer numbers are padded, and the masks say where."""

    body: NDArray[np.int64]
    """Number of the robot, (B,)."""
    features: NDArray[np.float32]
    """(B, n, F), 0 where absent."""
    is_feature: NDArray[np.bool_]
    """(B, n, F)."""
    targets: NDArray[np.float32]
    """(B, H, E), 0 where absent."""
    is_target: NDArray[np.bool_]
    """(B, H, E)."""


@dataclass(frozen=True)
class BodyCodec:
    """The codec of one robot."""

    spec: CodecSpec
    layout: BodyLayout
    seen: Statistics
    """Of the features, (F,)."""
    learnt: Statistics
    """Of the targets at each step of the chunk, (H, E)."""
    raw: Mapping[str, Statistics] = field(default_factory=dict)
    """Of the channels themselves: stream -> (D,)."""

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """What the features are made from."""
        return plan_features(self.layout, self.spec.window.inputs, seen_from_tip=self.spec.seen_from_tip)

    @cached_property
    def plan(self) -> tuple[Learnt, ...]:
        """How the actions are learnt."""
        return plan_actions(
            self.layout,
            self.spec.window.action,
            sources=self.spec.window.inputs,
            frame=self.spec.frame,
            is_change=self.spec.is_change,
        )

    @cached_property
    def _seen_std(self) -> NDArray[np.float64]:
        return np.maximum(self.seen.std, least_spread(self.blocks))

    @cached_property
    def _learnt_std(self) -> NDArray[np.float64]:
        # A tenth of the chunk's overall spread: the first step of a slow robot moves by less than its noise.
        overall = np.sqrt(np.mean(self.learnt.std**2 + (self.learnt.mean - self.learnt.mean.mean(0)) ** 2, axis=0))
        least = np.asarray([_LEAST_CHANGE[kind] for learnt in self.plan for kind in learnt.kinds])
        return np.asarray(np.maximum(np.maximum(self.learnt.std, 0.1 * overall), least))

    def features(self, numbers: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Normalised features (..., n, F), NaN where absent."""
        values = (features_of(self.blocks, numbers) - self.seen.mean) / self._seen_std
        return np.asarray(np.clip(values, -_LIMIT, _LIMIT))

    def targets(self, actions: NDArray[Any], numbers: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Normalised targets (..., H, E) from actions (..., H, A), NaN where absent."""
        values = encoded(self.plan, actions, _present(numbers), frame=self.spec.frame)
        return (values - self.learnt.mean) / self._learnt_std

    def actions(self, targets: NDArray[Any], numbers: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Actions (..., H, A) from normalised targets (..., H, E): the inverse of `targets`."""
        values = np.asarray(targets, np.float64) * self._learnt_std + self.learnt.mean
        width = self.layout.width(self.spec.window.action)
        return decoded(self.plan, values, _present(numbers), frame=self.spec.frame, width=width)

    def noisy(
        self, numbers: Mapping[str, NDArray[Any]], rng: np.random.Generator, noise: Noise
    ) -> dict[str, NDArray[np.float64]]:
        """Numbers with noise, as `features.noisy`."""
        spread = {name: statistics.std for name, statistics in self.raw.items()}
        return noisy(self.layout, numbers, rng, noise=noise, spread=spread)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`: layout and statistics (the spec is the policy's)."""
        return {
            "layout": self.layout.to_json(),
            "seen": self.seen.to_json(),
            "learnt": self.learnt.to_json(),
            "raw": {name: statistics.to_json() for name, statistics in self.raw.items()},
        }


def _present(numbers: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: values[..., -1, :] for name, values in numbers.items()}


class Codec:
    """The codecs of all robots of a policy. A class, because it pads them to one width."""

    def __init__(self, spec: CodecSpec, bodies: tuple[BodyCodec, ...]) -> None:
        self.spec, self.bodies = spec, bodies
        self.feature_widths = tuple(len(body.seen.mean) for body in bodies)
        self.target_widths = tuple(body.learnt.mean.shape[-1] for body in bodies)

    def encode(self, batch: Batch, *, rng: np.random.Generator | None = None, noise: Noise | None = None) -> Encoded:
        """A batch for the network; with `noise`, features and targets both start from noisy numbers."""
        window = self.spec.window
        size, steps, past = len(batch.samples), window.chunk_steps, window.past
        features = np.full((size, past, max(self.feature_widths)), np.nan)
        targets = np.full((size, steps, max(self.target_widths)), np.nan)
        body_of = np.zeros(size, np.int64)
        for part in batch.parts:
            codec = self.bodies[part.body]
            body_of[part.places] = part.body
            numbers: Mapping[str, NDArray[Any]] = part.numbers
            if rng is not None and noise is not None:
                numbers = codec.noisy(numbers, rng, noise)
            if numbers:
                features[part.places, :, : self.feature_widths[part.body]] = codec.features(numbers)
            learnt = codec.targets(part.actions, numbers)
            if not self.spec.learns_to_hold:
                learnt[~part.is_action] = np.nan
            targets[part.places, :, : self.target_widths[part.body]] = learnt
        is_feature, is_target = ~np.isnan(features), ~np.isnan(targets)
        return Encoded(
            body_of,
            np.nan_to_num(features).astype(np.float32),
            is_feature,
            np.nan_to_num(targets).astype(np.float32),
            is_target,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        bodies = [body.to_json() for body in self.bodies]
        return {"version": VERSION, "spec": self.spec.to_json(), "bodies": bodies}


def fitted(feed: Feed, spec: CodecSpec) -> Codec:
    """The codec whose statistics are those of this feed's samples."""
    bodies = []
    for number, layout in enumerate(feed.bodies):
        samples = np.flatnonzero(feed.body_of == number)
        blocks = [samples[start : start + _ROWS] for start in range(0, len(samples), _ROWS)]
        bare = _unfitted(spec, layout)
        seen, learnt = [], []
        raw: dict[str, list[NDArray[Any]]] = {}
        for block in blocks:
            part = feed.numbers(number, block)
            values = encoded(bare.plan, part.actions, _present(part.numbers), frame=spec.frame)
            if not spec.learns_to_hold:
                values[~part.is_action] = np.nan
            learnt.append(values)
            if part.numbers:
                seen.append(features_of(bare.blocks, part.numbers).reshape(-1, len(bare.seen.mean)))
            for name, table in part.numbers.items():
                raw.setdefault(name, []).append(table[:, -1])
        bodies.append(
            BodyCodec(
                spec,
                layout,
                statistics_of(seen) if seen else bare.seen,
                statistics_of(learnt),
                {name: statistics_of(tables) for name, tables in raw.items()},
            )
        )
    return Codec(spec, tuple(bodies))


def _unfitted(spec: CodecSpec, layout: BodyLayout) -> BodyCodec:
    def empty(*shape: int) -> Statistics:
        zeros = np.zeros(shape)
        return Statistics(np.zeros(shape, np.int64), zeros, zeros, zeros, zeros)

    bare = BodyCodec(spec, layout, empty(0), empty(0, 0))
    features = sum(len(block.kinds) for block in bare.blocks)
    targets = sum(len(learnt.kinds) for learnt in bare.plan)
    return BodyCodec(spec, layout, empty(features), empty(spec.window.chunk_steps, targets))


def codec_from(data: Any, spec: CodecSpec, *, where: str) -> Codec:
    """A codec from what `to_json` gave.

    Raises:
        DamagedData: layouts or statistics are not what they should be.
    """
    version = data.get("version") if isinstance(data, Mapping) else None
    if version != VERSION:
        raise DamagedData(
            where,
            f"the policy was trained with version {version} of the features, and this is version {VERSION}.",
            next_move="Train it again.",
        )
    try:
        kept = list(data["bodies"])
        if not kept:
            raise KeyError("bodies")
        bodies = []
        for each in kept:
            layout = layout_from(each["layout"], where=where)
            if spec.window.action not in layout.channels:
                raise DamagedData(where, f"the robot {layout.embodiment} has no {spec.window.action!r}.")
            bare = _unfitted(spec, layout)
            raw = {
                str(name): statistics_from(value, where=where, shape=(layout.width(name),))
                for name, value in each["raw"].items()
            }
            seen = statistics_from(each["seen"], where=where, shape=bare.seen.mean.shape)
            learnt = statistics_from(each["learnt"], where=where, shape=bare.learnt.mean.shape)
            bodies.append(BodyCodec(spec, layout, seen, learnt, raw))
    except (TypeError, KeyError, AttributeError) as error:
        raise DamagedData(where, f"the codec lacks {error}.") from None
    return Codec(spec, tuple(bodies))
