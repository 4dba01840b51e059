"""What a TFDS dataset's features.json says about each feature."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from robokata.core.errors import DamagedData, TooLarge

MAX_JSON_BYTES = 64 << 20
"""A features.json of a humanoid with 200 documented features has 100 kB; a dataset_info.json with statistics, 10 MB."""
_DEEPEST = 50
_FORMS = {
    "tensor": "tensor",
    "image": "image",
    "text": "text",
    "classLabel": "label",
    "audio": "tensor",
}


class Spec(NamedTuple):
    """One feature as features.json declares it; its name is flattened: `steps/observation/image`."""

    form: str
    """`tensor`, `image`, `text`, `label`, or `opaque` for what Robokata does not take apart."""
    shape: tuple[int | None, ...]
    """Shape of one sample, None where a side has no fixed length."""
    dtype: str
    encoding: str
    """`none`, `bytes`, `zlib` for tensors; `jpeg`, `png` for images."""
    description: str

    @property
    def size(self) -> int | None:
        """Numbers in one sample, None where that is not fixed."""
        sides = [side for side in self.shape if side is not None]
        return math.prod(sides) if len(sides) == len(self.shape) else None


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file, None where there is no such file.

    Raises:
        TooLarge: more bytes than such a file can have.
        DamagedData: it cannot be read, or holds no JSON object.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_JSON_BYTES + 1)
        if len(text) > MAX_JSON_BYTES:
            raise TooLarge(path, f"more than {MAX_JSON_BYTES >> 20} MiB of JSON.")
        found = json.loads(text)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        why = f"{error}" if isinstance(error, (OSError, ValueError)) else "nested too deep"
        raise _damaged(path, f"cannot be read as JSON: {why}.") from None
    if not isinstance(found, dict):
        raise _damaged(path, f"holds a {type(found).__name__} where a JSON object belongs.")
    return found


def read_features(path: Path) -> dict[str, Spec] | None:
    """Features that features.json declares, flattened, in its order; None where there is no such file.

    Raises:
        DamagedData: the file is not what TFDS writes.
    """
    tree = read_json(path)
    return None if tree is None else dict(_flattened(tree, "", (), path, 0))


def _flattened(
    node: Any, name: str, outer: tuple[int | None, ...], path: Path, depth: int
) -> Iterator[tuple[str, Spec]]:
    if not isinstance(node, dict) or depth > _DEEPEST:
        raise _damaged(path, f"the feature {name or 'at the top'!r} is no description of a feature.")
    children = _part(node, "featuresDict")
    if children is not None:
        features = children.get("features") or {}
        if not isinstance(features, dict):
            raise _damaged(path, f"the features of {name or 'the top'!r} are no JSON object.")
        for child, below in features.items():
            yield from _flattened(below, f"{name}/{child}" if name else child, outer, path, depth + 1)
        return
    sequence = _part(node, "sequence") or _part(node, "dataset")
    if sequence is not None:
        # The steps of an episode are the time axis, which is no part of a sample's shape.
        inner = outer if name == "steps" else (*outer, _side(sequence.get("length", -1), name, path))
        yield from _flattened(sequence.get("feature"), name, inner, path, depth + 1)
        return
    yield name, _leaf(node, name, outer, path)


def _leaf(node: Mapping[str, Any], name: str, outer: tuple[int | None, ...], path: Path) -> Spec:
    description = str(node.get("description") or "")
    for key, form in _FORMS.items():
        part = _part(node, key)
        if part is None:
            continue
        shape = part.get("shape") or {}
        sides = shape.get("dimensions", ()) if isinstance(shape, dict) else shape
        if not isinstance(sides, (list, tuple)):
            raise _damaged(path, f"the shape of {name!r} is no list.")
        own = tuple(_side(side, name, path) for side in sides)
        dtype = {"text": "string", "label": "int64", "image": "uint8"}.get(form, "")
        encoding = part.get("encoding") or part.get("encodingFormat") or part.get("encoding_format") or ""
        # A list of pictures per step has no fixed layout that a stream could name; its bytes are kept as they are.
        is_nested_blob = bool(outer) and (form == "image" or encoding in ("bytes", "zlib"))
        form = "opaque" if is_nested_blob else form
        return Spec(form, (*outer, *own), str(part.get("dtype") or dtype), str(encoding), description)
    return Spec("opaque", outer, "", "", description)


def _part(node: Mapping[str, Any], camel: str) -> Mapping[str, Any] | None:
    """A member by its camelCase name or by the snake_case that protobuf's other JSON style gives."""
    snake = "".join("_" + c.lower() if c.isupper() else c for c in camel)
    part = node.get(camel, node.get(snake))
    return part if isinstance(part, dict) else None


def _side(side: Any, name: str, path: Path) -> int | None:
    try:
        length = int(side)
    except (TypeError, ValueError, OverflowError):
        raise _damaged(path, f"the shape of {name!r} holds {str(side)[:40]!r}, which is no length.") from None
    return length if length >= 0 else None


def _damaged(path: Path, reason: str) -> DamagedData:
    return DamagedData(path, reason, next_move="Fetch it again, or move it away to read the records without it.")
