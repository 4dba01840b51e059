"""Any dataset as PyTorch datasets, for a training loop of your own.

`ChunkDataset` gives samples as policies learn them: what is seen at a moment, and the chunk of actions from there.
`EpisodeDataset` gives whole episodes, every stream on its own clock. Both are map-style: a `DataLoader` shuffles them,
and with `ChunkSampler` the shuffled order can be resumed, whatever the number of workers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence, Sized
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from robokata.core.clock import NS_PER_S
from robokata.core.declared_rate import open_with_rates
from robokata.core.errors import TrainingRefused
from robokata.core.require import require
from robokata.core.source import Source
from robokata.core.stream import Role
from robokata.dataset import Dataset as Episodes
from robokata.learn.training_spec import TrainingSpec
from robokata.loading.order import Order
from robokata.loading.window_spec import WindowSpec
from robokata.runtime.episode_filter import choose_episodes
from robokata.training.data import Weighted, prepared, window_for

if TYPE_CHECKING:
    from torch.utils.data import Dataset, Sampler
else:
    _data = require("torch.utils.data", extra="learn")
    Dataset, Sampler = _data.Dataset, _data.Sampler


class ChunkDataset(Dataset[dict[str, Any]]):
    """Samples of action chunks, each a dictionary; all numbers in the data's own units, nothing normalised.

    - each stream of `inputs`: float32 (len(history_s), D), oldest first, NaN where the robot has no value
    - each of `cameras`: uint8 (3, picture_px, picture_px), or float32 from 0 to 1 with `has_float_pictures`; and
      `CAMERA.is_there`: False where there is no picture
    - the action stream: float32 (chunk_steps, A); `action_is_pad`: True past the end of the episode
    - `instruction`: text; `episode`: number of the episode; `index`: number of the sample

    Numbers are read once; pictures are decoded once and lie in the cache as memory maps.
    """

    def __init__(
        self,
        dataset: str | os.PathLike[str] | Source,
        *,
        inputs: Sequence[str] | None = None,
        cameras: Sequence[str] | None = None,
        action: str | None = None,
        chunk_steps: int = 16,
        rate_hz: float | None = 20.0,
        history_s: Sequence[float] = (0.0,),
        every_s: float = 0.05,
        picture_px: int = 128,
        has_float_pictures: bool = False,
        where: str | None = None,
        split: str | None = None,
        workers: int = 1,
    ) -> None:
        """Read the windows of a dataset. `rate_hz` of actions; None counts steps, for data without times.

        `inputs` default to the measured state, `cameras` to all, `action` to the only stream of actions. `split`
        defaults to `train` where the dataset has splits. `workers` decode pictures at once.

        Raises:
            NotADataset: nothing that is recognised lies at the path.
            TrainingRefused: a stream is not there, the window does not fit the clocks, or the robots differ.
        """
        from robokata.learn.trainable import Habits

        source = open_with_rates(dataset)
        choice = choose_episodes(source, where=where, split=split, is_for_training=True)
        each = Weighted(source, choice.keys, None, choice)
        spec = TrainingSpec(
            inputs=None if inputs is None else tuple(inputs),
            cameras=None if cameras is None else tuple(cameras),
            action=_only_action(source, choice.keys[0]) if action is None else action,
            in_steps=rate_hz is None,
        )
        window = replace(
            window_for(
                spec, Habits(inputs=("observation.state",), sees_pictures=_has_pictures(source, choice.keys[0])), [each]
            ),
            chunk_steps=chunk_steps,
            rate_hz=rate_hz,
            history_s=tuple(history_s),
            every_s=every_s,
            picture_px=picture_px,
        )
        habits = Habits(inputs=window.inputs, sees_pictures=bool(window.cameras))
        ready = prepared([each], window, habits, workers=workers)
        if len(ready.feed.bodies) > 1:
            robots = ", ".join(body.embodiment for body in ready.feed.bodies)
            raise TrainingRefused(
                f"the episodes are of several robots ({robots}). Choose one with where=\"robot = '...'\"."
            )
        self.window: WindowSpec = window
        self.has_float_pictures = has_float_pictures
        self.left_out = ready.left_out
        """Episodes that give no sample, each with its reason."""
        self.channels = dict(ready.feed.bodies[0].channels)
        """Stream -> names of its numbers, in the order of the last axis."""
        self._feed = ready.feed

    def __len__(self) -> int:
        return len(self._feed)

    def __getitem__(self, index: int) -> dict[str, Any]:
        import torch

        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        number = index % len(self)
        batch = self._feed.batch(np.asarray([number]))
        (part,) = batch.parts
        sample: dict[str, Any] = {name: torch.from_numpy(table[0]) for name, table in part.numbers.items()}
        for camera, pictures in batch.pictures.items():
            picture = torch.from_numpy(np.ascontiguousarray(pictures[0].transpose(2, 0, 1)))
            sample[camera] = picture.float() / 255 if self.has_float_pictures else picture
            sample[f"{camera}.is_there"] = bool(batch.has_picture[camera][0])
        sample[self.window.action] = torch.from_numpy(part.actions[0])
        sample["action_is_pad"] = torch.from_numpy(~part.is_action[0])
        sample["instruction"] = batch.instructions[0]
        return {**sample, "episode": int(self._feed.episode_of[number]), "index": number}


class ChunkSampler(Sampler[int]):
    """The order of samples for a `DataLoader`: each epoch every sample once, shuffled by `seed` and the epoch's number.

    The order depends on nothing else, so that a training that stopped goes on with the same batches, with any number
    of workers: `ChunkSampler(data, seed=3, epoch=2, start=640)` begins where 640 samples of epoch 2 were consumed.
    Each iteration is one epoch, and the next one follows. Of several processes that train together, each takes its
    own share: give its `rank` of `ranks`; shares are of equal length, so up to `ranks` - 1 samples are left out.
    """

    def __init__(
        self, data: Sized, *, seed: int = 0, epoch: int = 0, start: int = 0, rank: int = 0, ranks: int = 1
    ) -> None:
        if not 0 <= start <= len(data):
            raise ValueError(f"start must be between 0 and the {len(data)} samples of an epoch, got {start}")
        if not 0 <= rank < ranks:
            raise ValueError(f"rank must be between 0 and ranks - 1, got {rank} of {ranks}")
        self.seed, self.epoch, self.start = seed, epoch, start
        self._samples, self._rank, self._ranks = len(data), rank, ranks

    def __len__(self) -> int:
        return (self._samples - self.start) // self._ranks

    def __iter__(self) -> Iterator[int]:
        order = Order(np.ones(self._samples), seed=self.seed)
        order.epoch, order.position = self.epoch, self.start
        mine = order.take(self._samples - self.start)[: len(self) * self._ranks][self._rank :: self._ranks]
        self.epoch, self.start = self.epoch + 1, 0
        return iter(mine.tolist())


class EpisodeDataset(Dataset[dict[str, Any]]):
    """Whole episodes, each a dictionary: every stream of numbers as float32 (T, D) on its own clock.

    `STREAM.time_s` is float64 (T,), seconds from the start of the episode, absent where the stream has no times; each
    of `cameras` is uint8 (T, 3, H, W); `id` and `instruction` are texts. Episodes differ in length: use `batch_size=1`,
    or a `collate_fn` of your own.
    """

    def __init__(
        self,
        dataset: str | os.PathLike[str] | Source,
        *,
        streams: Sequence[str] | None = None,
        cameras: Sequence[str] = (),
        where: str | None = None,
        split: str | None = None,
    ) -> None:
        """Open a dataset; an episode is read when it is asked for. `streams` default to all streams of numbers.

        Raises:
            NotADataset: nothing that is recognised lies at the path.
            QueryRefused: no episode is left.
        """
        source = open_with_rates(dataset)
        # A `robokata.Dataset` reaches the workers of a `DataLoader` as a reference, and is opened again there.
        self._episodes = Episodes(source, choose_episodes(source, where=where, split=split).keys)
        self._streams, self._cameras = streams, tuple(cameras)

    def __len__(self) -> int:
        return len(self._episodes)

    def __getitem__(self, index: int) -> dict[str, Any]:
        import torch

        episode = self._episodes[index]
        names = [stream.name for stream in episode.numeric()] if self._streams is None else self._streams
        sample: dict[str, Any] = {"id": episode.id}
        for name in names:
            stream = episode[name]
            sample[name] = torch.from_numpy(stream.table.astype(np.float32))
            if stream.clock.has_times:
                times_s = (stream.clock.times_ns - episode.start_ns) / NS_PER_S
                sample[f"{name}.time_s"] = torch.from_numpy(times_s)
        for camera in self._cameras:
            pictures = np.asarray(episode[camera].frames[:])
            sample[camera] = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
        sample["instruction"] = next((each.text for each in episode.instructions), "")
        return sample


def _only_action(source: Source, key: str) -> str:
    names = [stream.name for stream in source.episode(key).numeric(Role.ACTION)]
    if len(names) == 1 or "action" in names:
        return "action" if "action" in names else names[0]
    raise TrainingRefused(
        f"{source.path}: has {len(names)} streams of actions: {', '.join(names)}. Name one with action=."
    )


def _has_pictures(source: Source, key: str) -> bool:
    return next(source.episode(key).pictures(), None) is not None
