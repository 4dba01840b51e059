"""A network that a card describes, built only as far as the weights that lie beside the card go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from robokata.core.contracts import TrainableLeaf
from robokata.core.errors import DamagedData, RobokataError
from robokata.core.require import require
from robokata.learn.net import Net
from robokata.loading.codec import Codec

if TYPE_CHECKING:
    import torch
else:
    torch = require("torch", extra="learn")

_is_counted: ContextVar[bool] = ContextVar("is_counted", default=True)


def build_bounded(
    leaf: TrainableLeaf, codec: Codec, options: Mapping[str, Any], weights: Mapping[str, Any], *, where: str
) -> Net:
    """The network of a card, refused as soon as it has more weights than the file of weights.

    Raises:
        DamagedData: the card's options are not those of a network, or of one that is larger than its weights.
    """
    tensors = [value for value in weights.values() if isinstance(value, torch.Tensor)]
    most = sum(value.numel() for value in tensors)
    _refuse_unlike(options, leaf.HABITS.options, most, where)
    try:
        with _counting(len(tensors), most, where):
            net: Net = leaf.build(codec, options)
            return net
    except RobokataError:
        raise
    # torch and the network's own code raise whatever a number that makes no sense leads them to: RuntimeError for a
    # tensor that is too large, AssertionError for heads that do not divide the width.
    except Exception as error:  # noqa: BLE001
        first = str(error).splitlines()[0][:200] if str(error) else ""
        raise DamagedData(where, f"its options build no network: {type(error).__name__}: {first}") from None


@contextmanager
def uncounted() -> Iterator[None]:
    """While a part is built whose weights lie elsewhere: pretrained, in a folder of its own."""
    token = _is_counted.set(False)
    try:
        yield
    finally:
        _is_counted.reset(token)


@contextmanager
def _counting(tensors: int, numbers: int, where: str) -> Iterator[None]:
    """Refuse the first parameter beyond a number of tensors, or of numbers in them: the rest is never built."""
    left = [tensors, numbers]

    def count(module: Any, name: str, parameter: Any) -> None:
        if parameter is None or not _is_counted.get():
            return
        left[0] -= 1
        left[1] -= parameter.numel()
        if min(left) < 0:
            raise DamagedData(
                where,
                f"the weights do not fit: its options ask for a larger network than {tensors} tensors of {numbers:,} "
                "numbers.",
                next_move="Restore the card from the original.",
            )

    # A hook for every module: the classes are others' (torch's linear maps), and there is no other place to count.
    handle = torch.nn.modules.module.register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def _refuse_unlike(options: Mapping[str, Any], known: Mapping[str, Any], most: int, where: str) -> None:
    for name, usual in known.items():
        value = options[name]
        is_number = isinstance(usual, (int, float)) and not isinstance(usual, bool)
        right = (int, float) if isinstance(usual, float) else type(usual)
        if not isinstance(value, right) or isinstance(value, bool) is not isinstance(usual, bool):
            raise DamagedData(where, f"option {name} is {value!r:.80}, not {type(usual).__name__}.")
        if is_number and not (0 if isinstance(usual, float) else 1) <= value <= max(1, most):
            raise DamagedData(where, f"option {name} is {value!r:.80}, and the weights have {most:,} numbers.")
