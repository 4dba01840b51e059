"""One RLDS episode's record: its features, how many steps they tell, and those that are no streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from robokata.containers.tf_example import (
    Feature,
    Items,
    WireError,
    count_of,
    floats_of,
    ints_of,
    items_of,
    parse_example,
)
from robokata.core.errors import DamagedData, Unsupported
from robokata.formats._rlds.tfds_features import Spec

STEPS = "steps/"
FLAGS = ("is_first", "is_last", "is_terminal")
INTEGERS = frozenset(["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])


class Record:
    """One episode's `tf.train.Example`, parsed as far as its features' places.

    A class, because it keeps what it has counted. `where` names the episode in errors.
    """

    def __init__(self, data: bytes, specs: Mapping[str, Spec] | None, *, file: str, offset: int, where: str) -> None:
        self.specs, self.file, self.offset, self.where = specs, file, offset, where
        self.size = len(data)
        self._items: dict[str, Items] = {}
        self.features: dict[str, Feature] = self.decode("the record", lambda: parse_example(data))

    def decode(self, what: str, decoding: Callable[[], Any]) -> Any:
        """What `decoding` gives; what it cannot take apart becomes DamagedData with the place.

        Raises:
            DamagedData: the bytes are not what the schema promises.
        """
        try:
            return decoding()
        except WireError as error:
            raise self.damaged(f"{what} cannot be decoded: {error}.") from None

    def damaged(self, reason: str) -> DamagedData:
        """The error for this record."""
        return DamagedData(self.file, f"{self.where}: {reason}", offset=self.offset)

    def items(self, name: str) -> Items:
        """Byte strings of one feature; their places are found once."""
        if name not in self._items:
            feature = self.features[name]
            self._items[name] = self.decode(name, lambda: items_of(feature))
        return self._items[name]

    def count(self, name: str) -> int:
        """Values in one feature."""
        feature = self.features[name]
        if feature.kind == "bytes":
            return len(self.items(name).starts)
        return int(self.decode(name, lambda: count_of(feature)))

    def spec(self, name: str) -> Spec | None:
        """What features.json says about one feature, None where it says nothing."""
        return self.specs.get(name) if self.specs is not None else None

    @cached_property
    def steps(self) -> int:
        """Steps of the episode: the flags say it, else a feature of one value per step.

        Raises:
            Unsupported: the record has no steps at all.
            DamagedData: it has steps, and nothing tells how many.
        """
        counts = {name: self.count(name) for name in self.features if name.startswith(STEPS)}
        if not counts:
            shown = ", ".join(sorted(self.features)[:8]) or "nothing"
            raise Unsupported(
                f"{self.file}: {self.where}: a TFDS example without steps (it holds {shown}), no episode."
            )
        for scalar in (*FLAGS, "reward", "discount"):
            if counts.get(STEPS + scalar):
                return counts[STEPS + scalar]
        for name, count in counts.items():
            spec = self.spec(name)
            size = 1 if self.features[name].kind == "bytes" else spec.size if spec is not None else None
            if spec is not None and spec.form != "opaque" and count and size and count % size == 0:
                return count // size
        if any(counts.values()):
            raise self.damaged("no feature tells the number of steps (neither is_first nor is_last is there).")
        return 0


def step_features(record: Record) -> Iterator[str]:
    """Names of step features in the order of features.json, then the others by name; a record has no order."""
    names = {name for name in record.features if name.startswith(STEPS)}
    declared = [name for name in record.specs or () if name in names]
    yield from declared
    yield from sorted(names.difference(declared))


def texts_of(record: Record, key: str) -> list[str]:
    """Distinct texts of one feature in the order of the steps; empty where it holds none, or bytes that are no text."""
    spec, feature = record.spec(key), record.features[key]
    if feature.kind == "bytes":
        items = record.items(key)
        found = dict.fromkeys(items.copy(i) for i in range(len(items.starts)))
        texts = [text_of(data) for data in found]
        return [text for text in texts if text is not None] if None not in texts else []
    if feature.kind == "int64" and spec is not None and spec.form == "tensor" and spec.size and spec.size > 8:
        # language_table keeps its instruction as unicode code points, padded with zeros.
        codes = record.decode(key, lambda: ints_of(feature, np.dtype(np.int64)))
        rows = codes[: len(codes) // spec.size * spec.size].reshape(-1, spec.size)
        if rows.size and rows.min() >= 0 and rows.max() < 0xD800:
            return list(dict.fromkeys("".join(map(chr, row[row > 0])) for row in rows))
    return []


def whole(record: Record, key: str) -> Any:
    """All values of a feature that is no stream: one number or text, else an array or a list of them."""
    feature, spec = record.features[key], record.spec(key)
    if feature.kind == "bytes":
        items = record.items(key)
        blobs = [items.copy(i) for i in range(len(items.starts))]
        values: Any = [blob if text_of(blob) is None else text_of(blob) for blob in blobs]
    elif feature.kind == "float":
        values = record.decode(key, lambda: floats_of(feature))
    else:
        values = record.decode(key, lambda: ints_of(feature, int_dtype(key, spec)))
    if len(values) != 1 or (spec is not None and spec.shape):
        return values
    return values[0].item() if isinstance(values, np.ndarray) else values[0]


def text_of(data: bytes) -> str | None:
    """The text that bytes hold, None where they are no UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def int_dtype(key: str, spec: Spec | None) -> np.dtype[Any]:
    """Type of a list of integers: as declared, else bool for the flags of RLDS."""
    if spec is None:
        return np.dtype(np.bool_ if key.rpartition("/")[2] in FLAGS else np.int64)
    return np.dtype(spec.dtype if spec.dtype in INTEGERS else "int64")
