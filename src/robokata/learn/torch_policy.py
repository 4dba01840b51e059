"""A checkpoint of ours as a policy."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.contracts import Chunk, PolicyRef, PolicySpec, Sensed, StreamNeed, TrainableLeaf
from robokata.core.errors import DamagedData, PolicyFailed, UnknownName
from robokata.core.require import require
from robokata.learn.batches import one_input
from robokata.learn.bounded_build import build_bounded
from robokata.learn.checkpoint import Card, read_card, read_weights
from robokata.learn.device import device_meant, why_not_here
from robokata.learn.net import Net
from robokata.learn.temporal_ensemble import Blend
from robokata.loading.actions import Frame
from robokata.loading.codec import Codec, CodecSpec, codec_from
from robokata.loading.pictures import resized
from robokata.loading.window_spec import WindowSpec, window_spec_from

if TYPE_CHECKING:
    import torch
else:
    torch = require("torch", extra="learn")

_OPTIONS = {
    "fades_s": "a time of at least 0 s",
    "threads": "a number of at least 1",
    "rate_hz": "a number above 0",
}


def open_trained(order: PolicyRef, leaf: TrainableLeaf) -> TorchPolicy:
    """The policy in a checkpoint folder.

    Raises:
        NotADataset: there is no checkpoint.
        DamagedData: card and weights do not fit each other, or the leaf.
        UnknownName: an option that it does not know.
        PolicyFailed: a value that is no number of at least 0, a device that is not here, or no rate for a policy that
            learnt steps.
    """
    told = _options(order.options)
    # One thread: a policy shares its machine with the world it acts in.
    torch.set_num_threads(int(told.get("threads", 1)))
    card = read_card(Path(order.where))
    if (why := why_not_here(order.device)) is not None:
        raise PolicyFailed("refused", f"{order.where}: {why}")
    device = device_meant(order.device)
    codec = codec_in(card)
    window = _window_at(codec.spec.window, told.get("rate_hz"), where=order.where)
    known = leaf.HABITS.options
    options = {**known, **{n: v for n, v in card.field("options", dict).items() if n in known}}
    weights = read_weights(card)
    net = build_bounded(leaf, codec, options, weights, where=card.place)
    try:
        absent, foreign = net.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise DamagedData(card.place, f"the weights do not fit: {error}") from None
    frozen = {name for name, parameter in net.named_parameters() if not parameter.requires_grad}
    lacking = [name for name in absent if name not in frozen]
    if lacking or foreign:
        raise DamagedData(card.place, f"the weights do not fit: {(*lacking, *foreign)[0]!r} has no counterpart.")
    fades_s = told.get("fades_s", TorchPolicy.FADES_S)
    policy = TorchPolicy(card, codec, net.to(device).eval(), window=window, device=device, fades_s=fades_s)
    try:
        policy.hello()
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DamagedData(card.place, f"what it says of the policy is damaged: {error}.") from None
    return policy


def _window_at(window: WindowSpec, rate_hz: float | None, *, where: str) -> WindowSpec:
    """The window in seconds: its own, or that of a policy that learnt steps at the rate of who opens it."""
    if window.is_in_steps and rate_hz is None:
        raise PolicyFailed(
            "refused",
            f"{where}: this policy learnt steps, from data without times, and acts in seconds. Say how fast its "
            "actions follow each other: --option rate_hz=10.",
        )
    if not window.is_in_steps and rate_hz is not None:
        raise PolicyFailed(
            "refused", f"{where}: this policy learnt actions at {window.rate_hz:g} Hz. Leave rate_hz={rate_hz:g} out."
        )
    return window if rate_hz is None else window.at_rate(rate_hz)


def codec_in(card: Card) -> Codec:
    """The codec of a checkpoint.

    Raises:
        DamagedData: the card does not hold one.
    """
    told = card.field("codec", dict)
    try:
        spec = told["spec"]
        window = window_spec_from(spec["window"], where=card.place)
        made = CodecSpec(window, Frame(spec["frame"]), tuple(map(str, spec["seen_from_tip"])), bool(spec["is_change"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedData(card.place, f"the codec's spec is damaged: {error}.") from None
    return codec_from(told, made, where=card.place)


class TorchPolicy:
    """A network that acts. A class, because it remembers the attempt: robot, generator, earlier chunks.

    Options: `fades_s`, time in which an earlier chunk's say fades (0 takes every chunk alone), `threads`, and
    `rate_hz`, how fast the actions of a policy that learnt steps follow each other.
    """

    FADES_S = 0.2
    """Half of the time between two looks (8 steps at 20 Hz): an old chunk has an eighth of the say of the new."""

    def __init__(self, card: Card, codec: Codec, net: Net, *, window: WindowSpec, device: str, fades_s: float) -> None:
        self.card, self.codec, self.net, self.device = card, codec, net, device
        self._window = window
        self._names = [body.layout.embodiment for body in codec.bodies]
        self._fades_s = fades_s
        self._generator = torch.Generator().manual_seed(0)
        self._select(0)

    def hello(self, embodiment: str | None = None) -> PolicySpec:
        body = self.codec.bodies[self._number(embodiment)]
        window, layout = self._window, body.layout
        needs = [
            StreamNeed(name, (layout.width(name),), layout.channels[name], window.history_s)
            for name in window.inputs
            if layout.width(name)
        ]
        with_camera = self.card.data.get("cameras_of", {}).get(layout.embodiment, window.cameras)
        px = window.picture_px
        needs += [StreamNeed(name, (px, px, 3), is_optional=name not in with_camera) for name in window.cameras]
        return PolicySpec(
            name=self.card.policy,
            needs=tuple(needs),
            channels=layout.channels[window.action],
            chunk_steps=window.chunk_steps,
            rate_hz=window.timed_rate_hz,
            action_stream=window.action,
            execute_steps=int(self.card.data.get("execute_steps", 0)),
            embodiments=tuple(self._names),
        )

    def reset(self, episode_id: str, *, seed: int, embodiment: str | None = None) -> None:
        self._select(self._number(embodiment))
        self._generator = torch.Generator().manual_seed(seed)

    def act(self, observation: Sensed) -> Chunk:
        """What to do next.

        Raises:
            PolicyFailed: the observation lacks something, or the answer is not finite.
        """
        body = self.codec.bodies[self._body]
        numbers = {name: self._numbers(name, observation) for name in self._spec_inputs}
        pictures = self._pictures(observation)
        features = body.features(numbers) if numbers else np.empty((self._window.past, 0))
        seen = one_input(
            features,
            pictures,
            self._window.cameras,
            body=self._body,
            text=str(observation.get("instruction") or ""),
            width=max(self.codec.feature_widths),
        )
        with torch.inference_mode():
            learnt = self.net.predict(seen.to(self.device), self._generator)[0].float().cpu().numpy()
        actions = body.actions(learnt[:, : self.codec.target_widths[self._body]], numbers)
        if not np.isfinite(actions).all():
            raise PolicyFailed("not_finite", f"{self.card.folder}: the policy answers numbers that are not finite.")
        time_s = observation.get("time_s")
        blended = self._blend(actions, None if time_s is None else float(time_s))
        return Chunk(blended, body.layout.channels[self._window.action], self._window.timed_rate_hz)

    def session(self) -> TorchPolicy:
        """The same network for one more attempt at the same time, which remembers its own."""
        other = copy.copy(self)
        other.reset("", seed=0, embodiment=self._names[0])
        return other

    def close(self) -> None:
        """Nothing to give back."""

    def _select(self, body: int) -> None:
        self._body = body
        layout = self.codec.bodies[body].layout
        self._spec_inputs = [name for name in self._window.inputs if layout.width(name)]
        self._blend = Blend(
            layout.channels[self._window.action], rate_hz=self._window.timed_rate_hz, fades_s=self._fades_s
        )

    def _number(self, embodiment: str | None) -> int:
        if embodiment is None or (len(self._names) == 1 and self._names[0] == "robot"):
            return 0
        if embodiment not in self._names:
            raise UnknownName("embodiment of this policy", embodiment, self._names)
        return self._names.index(embodiment)

    def _numbers(self, name: str, observation: Sensed) -> NDArray[np.float64]:
        """One stream's numbers, (n, D)."""
        width, past = self.codec.bodies[self._body].layout.width(name), self._window.past
        if name not in observation:
            raise PolicyFailed("refused", f"the observation lacks the stream {name!r} ({width} numbers).")
        values = np.asarray(observation[name], np.float64)
        if values.shape == (width,):
            # Only now is known: the past is taken to have been the same.
            return np.repeat(values[None], past, axis=0)
        if values.shape != (past, width):
            raise PolicyFailed("refused", f"stream {name!r} has shape {values.shape}; expected ({width},).")
        return values

    def _pictures(self, observation: Sensed) -> dict[str, NDArray[np.uint8]]:
        found = {}
        for need in (n for n in self.hello(self._names[self._body]).needs if n.name in self._window.cameras):
            picture: Any = observation.get(need.name)
            if picture is None:
                if need.is_optional:
                    continue
                raise PolicyFailed("refused", f"the observation lacks the pictures {need.name!r}.")
            picture = np.asarray(picture)
            if picture.ndim == 4 and len(picture) == 1:
                picture = picture[0]
            if picture.ndim != 3 or picture.shape[-1] not in (1, 3, 4) or picture.dtype != np.uint8:
                told = f"{picture.dtype} {picture.shape}"
                raise PolicyFailed("refused", f"pictures {need.name!r} are {told}; expected uint8 (H, W, 3).")
            found[need.name] = resized(picture[None], picture_px=self._window.picture_px)[0]
        return found


def _options(given: Mapping[str, str]) -> dict[str, float]:
    """What a policy of ours may be told when it is opened, as numbers."""
    out = {}
    for name, value in given.items():
        if name not in _OPTIONS:
            raise UnknownName("option of a trained policy", name, _OPTIONS)
        try:
            out[name] = float(value)
        except ValueError:
            out[name] = -1.0
        if not 0 <= out[name] < 1e3 or (name == "threads" and out[name] < 1) or (name == "rate_hz" and not out[name]):
            raise PolicyFailed("refused", f"option {name} is {value!r}, and {_OPTIONS[name]} is needed.")
    return out
