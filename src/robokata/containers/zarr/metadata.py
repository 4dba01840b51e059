"""What the metadata of a Zarr array says, in version 2 and 3, vetted before a byte of data is touched."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from robokata.containers.zarr.codecs import MAX_CHUNK_BYTES, Pipeline, vet_codecs
from robokata.containers.zarr.store import Store
from robokata.core.errors import DamagedData, TooLarge, Unsupported, UntrustedContent

MAX_METADATA_BYTES = 1 << 22
"""A `.zarray` is 500 bytes; 4 MiB leaves room for attributes that somebody filled with tables."""
MAX_ROWS = 10**9
"""Three hundred days at 30 Hz in one array; more is a broken header."""
MAX_CHUNKS_PER_ROW = 4096
"""Chunks that one row may be cut into; more would be one file per few bytes, and hours per picture."""

_V2_DTYPE = re.compile(r"[<>|]([biufcUSmM])(\d{1,6})(\[\w{1,10}\])?")
_V3_TEXTS = {"fixed_length_utf32": ("<U", 4), "null_terminated_bytes": ("S", 1)}
"""Texts of fixed length as zarr-python writes them, with numpy's letter and the bytes of a character."""
_TEXT_CODEC = "vlen-utf8"
_V3_DTYPE = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64)|complex(64|128)")


class Shards(NamedTuple):
    """How chunks are packed into files (Zarr 3 `sharding_indexed`)."""

    shape: tuple[int, ...]
    table: Pipeline
    index_bytes: int
    index_is_last: bool


@dataclass(frozen=True)
class Layout:
    """What the metadata of one array says, vetted."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    pipeline: Pipeline
    fill: Any
    """Value of chunks that were never written, None where the array declares none."""
    prefix: str
    separator: str
    shards: Shards | None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def file_shape(self) -> tuple[int, ...]:
        """Rows, columns, ... that one chunk file holds."""
        return self.shards.shape if self.shards else self.chunks


def read_json(store: Store, key: str) -> Mapping[str, Any] | None:
    """A JSON object of the store, None where the file is not there.

    Raises:
        DamagedData: not a JSON object, or larger than any metadata.
    """
    data = store.read(key, limit_bytes=MAX_METADATA_BYTES)
    if data is None:
        return None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedData(store.place(key), f"not JSON: {str(error)[:100]}.") from None
    if not isinstance(value, Mapping):
        raise DamagedData(store.place(key), "not a JSON object.")
    return value


def attributes(store: Store, folder: str) -> Mapping[str, Any]:
    """Attributes of a group or an array, empty where it has none.

    Raises:
        DamagedData: they are not JSON.
    """
    at = f"{folder}/" if folder else ""
    new = read_json(store, f"{at}zarr.json")
    if new is not None:
        found = new.get("attributes")
        return found if isinstance(found, Mapping) else {}
    return read_json(store, f"{at}.zattrs") or {}


def arrays_below(store: Store, folder: str, *, depth: int = 4) -> Iterator[str]:
    """Names of the arrays in a group and its groups, sorted. Folders of chunks are not listed.

    Raises:
        DamagedData: a `zarr.json` is not JSON.
    """
    for name in store.children(folder):
        inside = f"{folder}/{name}"
        if name.startswith("."):
            continue
        entries = store.children(inside)
        if ".zarray" in entries:
            yield inside
        elif "zarr.json" in entries:
            # A broken file counts as an array, so that opening it says what is wrong.
            try:
                is_group = (read_json(store, f"{inside}/zarr.json") or {}).get("node_type") == "group"
            except DamagedData:
                is_group = False
            if not is_group:
                yield inside
            elif depth > 1:
                yield from arrays_below(store, inside, depth=depth - 1)
        elif ".zgroup" in entries and depth > 1:
            yield from arrays_below(store, inside, depth=depth - 1)


def read_layout(store: Store, name: str) -> Layout:
    """The metadata of one array, vetted.

    Raises:
        DamagedData: broken (UntrustedContent: it asks for Python objects; TooLarge: sizes that no recording has).
        Unsupported: a data type or a grid that we do not read.
    """
    new = read_json(store, f"{name}/zarr.json")
    old = None if new is not None else read_json(store, f"{name}/.zarray")
    where = store.place(f"{name}/{'zarr.json' if new is not None else '.zarray'}")
    if new is None and old is None:
        raise DamagedData(where, "the array's metadata is not there.")
    try:
        layout = _layout_v3(new, where) if new is not None else _layout_v2(old or {}, where)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise DamagedData(where, f"no valid array metadata: {type(error).__name__}: {str(error)[:100]}.") from None
    _refuse_absurd(layout, where)
    return layout if new is not None else replace(layout, attributes=attributes(store, name))


def _layout_v2(meta: Mapping[str, Any], where: str) -> Layout:
    configs = [*(meta.get("filters") or []), *([meta["compressor"]] if meta.get("compressor") else [])]
    # An array of objects is text where a codec lays each of them as UTF-8; any other codec rebuilds objects by code.
    is_text = meta["dtype"] == "|O" and bool(configs) and configs[0] == {"id": _TEXT_CODEC}
    dtype = np.dtype(object) if is_text else _dtype_v2(meta["dtype"], where)
    configs = configs[is_text:]
    shape, chunks = _sizes(meta["shape"], 0), _sizes(meta["chunks"], 1)
    axes = tuple(range(len(shape)))
    pipeline = Pipeline(vet_codecs(configs, where=where), axes[::-1] if meta.get("order") == "F" else axes, dtype)
    if meta.get("order", "C") not in ("C", "F"):
        raise ValueError(f"order {meta['order']!r}")
    separator = meta.get("dimension_separator", ".")
    if separator not in (".", "/"):
        raise ValueError(f"dimension_separator {separator!r}")
    return Layout(shape, chunks, pipeline, _fill(meta.get("fill_value"), dtype), "", separator, None)


def _layout_v3(meta: Mapping[str, Any], where: str) -> Layout:
    dtype = _dtype_v3(meta["data_type"], where)
    grid, keys = meta["chunk_grid"], meta.get("chunk_key_encoding") or {"name": "default"}
    if grid["name"] != "regular" or keys["name"] not in ("default", "v2"):
        raise Unsupported(f"{where}: the chunk grid {grid['name']!r} with keys {keys['name']!r} is not regular.")
    is_default = keys["name"] == "default"
    separator = (keys.get("configuration") or {}).get("separator", "/" if is_default else ".")
    if separator not in (".", "/"):
        raise ValueError(f"separator {separator!r}")
    shape, outer = _sizes(meta["shape"], 0), _sizes(grid["configuration"]["chunk_shape"], 1)
    codecs, chunks, shards = list(meta["codecs"]), outer, None
    if codecs and codecs[0]["name"] == "sharding_indexed":
        if len(codecs) > 1:
            raise Unsupported(f"{where}: shards that are themselves encoded by {codecs[1]['name']!r}.")
        inner = codecs[0]["configuration"]
        chunks, codecs = _sizes(inner["chunk_shape"], 1), list(inner["codecs"])
        shards = _shards(inner, outer, chunks, where)
    pipeline = _pipeline_v3(codecs, dtype, len(shape), where)
    fill = _fill(meta.get("fill_value"), pipeline.dtype)
    prefix = "c" if is_default else ""
    return Layout(shape, chunks, pipeline, fill, prefix, separator, shards, meta.get("attributes") or {})


def _shards(inner: Mapping[str, Any], outer: tuple[int, ...], chunks: tuple[int, ...], where: str) -> Shards:
    if any(o % c for o, c in zip(outer, chunks, strict=True)):
        raise ValueError(f"shards {outer} are no multiple of their chunks {chunks}")
    axes = len(chunks) + 1
    index = _pipeline_v3(list(inner["index_codecs"]), np.dtype("<u8"), axes, where)
    count = int(np.prod([o // c for o, c in zip(outer, chunks, strict=True)], dtype=np.float64))
    if count > 2**20:
        raise TooLarge(where, f"one shard claims {count} chunks.")
    # The index has a fixed size by the specification, so a checksum is the only codec that may follow.
    checksums = [config for config in index.codecs if config["id"] == "crc32c"]
    if len(checksums) != len(index.codecs):
        raise Unsupported(f"{where}: a shard index that is compressed.")
    return Shards(outer, index, 16 * count + 4 * len(checksums), inner.get("index_location", "end") == "end")


def _pipeline_v3(codecs: list[Any], dtype: np.dtype[Any], axes: int, where: str) -> Pipeline:
    order, configs, is_text = tuple(range(axes)), list[Any](), False
    for codec in codecs:
        name, settings = codec["name"], dict(codec.get("configuration") or {})
        if name == "sharding_indexed":
            raise Unsupported(f"{where}: shards inside of shards, or behind another codec.")
        if name == "transpose":
            order = tuple(order[int(axis)] for axis in settings["order"])
        elif name == "bytes":
            dtype = dtype.newbyteorder(">" if settings.get("endian") == "big" else "<")
        elif name == _TEXT_CODEC and dtype.kind == "O" and not configs:
            is_text = True
        else:
            configs.append({**settings, "id": str(name).removeprefix("numcodecs.")})
    if is_text != (dtype.kind == "O"):
        raise Unsupported(f"{where}: text that does not lie as {_TEXT_CODEC}.")
    if sorted(order) != list(range(axes)):
        raise ValueError(f"transpose to {order}")
    return Pipeline(vet_codecs(configs, where=where), order, dtype)


def _dtype_v2(name: Any, where: str) -> np.dtype[Any]:
    if isinstance(name, str) and name.lstrip("<>|=") == "O":
        raise UntrustedContent(
            where,
            "holds Python objects, which only code from the file can rebuild.",
            next_move="If you trust the file, write the array again as numbers or fixed-width text.",
        )
    match = _V2_DTYPE.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        raise Unsupported(f"{where}: the data type {str(name)[:60]!r} is no number and no fixed-width text.")
    # Times keep their count; the unit stays in the metadata.
    return np.dtype(f"{name[0]}i8") if match[1] in "mM" else np.dtype(name)


def _dtype_v3(name: Any, where: str) -> np.dtype[Any]:
    if isinstance(name, str) and _V3_DTYPE.fullmatch(name):
        return np.dtype(name)
    if name == "string":
        return np.dtype(object)
    kind = name.get("name") if isinstance(name, Mapping) else name
    if kind in _V3_TEXTS and isinstance(name, Mapping):
        code, width = _V3_TEXTS[str(kind)]
        (size,) = _sizes([name["configuration"]["length_bytes"]], 0)
        return np.dtype(f"{code}{size // width}")
    raise Unsupported(f"{where}: the data type {str(kind)[:60]!r} is no number and no text of Zarr 3 that is read.")


def _sizes(values: Any, least: int) -> tuple[int, ...]:
    sizes = tuple(values)
    if not all(isinstance(n, int) and not isinstance(n, bool) and least <= n < 2**62 for n in sizes):
        raise ValueError(f"sizes {sizes}")
    return sizes


def _fill(value: Any, dtype: np.dtype[Any]) -> Any:
    if value is None or dtype.kind in "USO":
        return None if value is None else "" if dtype.kind == "O" else np.zeros((), dtype)[()]
    if isinstance(value, (list, tuple)):
        value = complex(float(value[0]), float(value[1]))
    elif isinstance(value, str):
        # "NaN" and "Infinity" by the specification; bit patterns ("0x7fc00000") are rare, and not guessed.
        value = float(value) if value.lstrip("+-").lower() in ("nan", "infinity") else None
    return None if value is None else np.asarray(value).astype(dtype.newbyteorder("="))[()]


def _refuse_absurd(layout: Layout, where: str) -> None:
    if not layout.shape:
        raise Unsupported(f"{where}: a single value, not rows.")
    if not len(layout.shape) == len(layout.file_shape) == len(layout.chunks):
        raise DamagedData(where, f"shape {layout.shape} and chunks {layout.file_shape} do not belong together.")
    item = layout.pipeline.item_bytes
    # Python's integers: numpy's would wrap around on the very numbers that this is about.
    chunk_bytes, row_bytes = item, item
    for size in layout.chunks:
        chunk_bytes *= size
    for size in layout.shape[1:]:
        row_bytes *= size
    pieces = 1
    for size in cut(layout.shape, layout.chunks)[1:]:
        pieces *= size
    if chunk_bytes > MAX_CHUNK_BYTES or row_bytes > MAX_CHUNK_BYTES:
        raise TooLarge(where, f"one chunk would be {chunk_bytes} bytes and one row {row_bytes}.")
    if layout.shape[0] > MAX_ROWS or pieces > MAX_CHUNKS_PER_ROW:
        raise TooLarge(where, f"the array claims {layout.shape[0]} rows of {pieces} chunks each.")


def cut(shape: tuple[int, ...], chunks: tuple[int, ...]) -> tuple[int, ...]:
    """Chunks along each axis that a shape calls for."""
    return tuple(-(-n // c) for n, c in zip(shape, chunks, strict=True))
