"""Everything that a format imports: `from robokata.authoring.formats import Episode, EpisodeRow, Facts`.

Every format defines `LOOKS_FOR: str`, what makes a path this format, in words. A format that is read defines

- `sniff(path) -> float`: confidence 0..1 from names and first bytes; it never raises;
- `read(path) -> Source`: opens indexes only; the source has `format`, `path`, `keys()`, `episode(key)`, `facts()`.

A format that is written defines

- `LOSES: Sequence[str]`: what it cannot hold, a phrase each;
- `layout(episode, *, ...) -> Layout`: where each stream goes and what that costs;
- `write(path, episodes, *, ...)`: options are keyword-only, the same as those of `layout`;
- `IS_ONE_TABLE`, `IS_REPRODUCIBLE`, `COPIES_MESSAGES`, where the default is not right;
- `compare(path, episodes)`, if it is written only and its own library can read it back.

Readers of containers (HDF5, Zarr, MCAP, Parquet, TFRecord, ROS bags) bound what they allocate and never run code.
Entry point group: `robokata.formats`. Tests: `robokata.testing.SOURCE_CLAUSES` and `WRITER_CLAUSES`.
"""

from robokata.containers.arrow_stream import ArrowStreamRows
from robokata.containers.hdf5.file import Container
from robokata.containers.hdf5.open_files import file_bytes, has_signature, hdf5_files
from robokata.containers.hdf5.values import Table
from robokata.containers.logs.bag_file import BagFile
from robokata.containers.logs.bag_folder import BagFolder
from robokata.containers.logs.log import Log
from robokata.containers.mcap.file import McapFile
from robokata.containers.parquet import ParquetRows, guarded
from robokata.containers.safetensors import read_safetensors
from robokata.containers.tfrecord import read_record, starts_like_tfrecord
from robokata.containers.zarr.array import ChunkCache, Rows, ZarrArray
from robokata.containers.zarr.metadata import arrays_below, attributes
from robokata.containers.zarr.store import Store, open_store, peek_zip
from robokata.core.clock import (
    NS_PER_S,
    STEP,
    Clock,
    ClockQuality,
    grid_clock,
    measured_clock,
    paced_clock,
    rate_fraction,
    step_clock,
)
from robokata.core.contracts import (
    ComparableFormatLeaf,
    FormatLeaf,
    ReadableFormatLeaf,
    WritableFormatLeaf,
    WrittenEpisode,
)
from robokata.core.episode import Embodiment, Episode, EpisodeRef, Instruction, Origin, Outcome
from robokata.core.errors import (
    DamagedData,
    MediaMissing,
    MissingPart,
    NotADataset,
    RobokataError,
    TooLarge,
    UnknownName,
    Unsupported,
    UntrustedContent,
    WriteRefused,
)
from robokata.core.extent import Extent
from robokata.core.layout import Layout, Place, Way
from robokata.core.require import require
from robokata.core.source import Declaration, EpisodeRow, Facts, Size, Source
from robokata.core.stream import UNKNOWN_MEANING, Fact, Kind, Meaning, Role, Stream
from robokata.core.values import ArrayValues, LazyValues, Values
from robokata.formats._roles import column_role, is_flag, is_language
from robokata.formats._row_table import distinct, legal_name, restored
from robokata.geometry.runs import Run
from robokata.media.images import RawImages
from robokata.media.packet_index import packet_index
from robokata.media.video import VideoFrames
from robokata.packing.carry import native_names, unpack
from robokata.runtime.atomic import appearing
from robokata.runtime.file_name import file_name
from robokata.runtime.ordered_map import each, scratch_folder

__all__ = [
    "NS_PER_S",
    "STEP",
    "UNKNOWN_MEANING",
    "ArrayValues",
    "ArrowStreamRows",
    "BagFile",
    "BagFolder",
    "ChunkCache",
    "Clock",
    "ClockQuality",
    "ComparableFormatLeaf",
    "Container",
    "DamagedData",
    "Declaration",
    "Embodiment",
    "Episode",
    "EpisodeRef",
    "EpisodeRow",
    "Extent",
    "Fact",
    "Facts",
    "FormatLeaf",
    "Instruction",
    "Kind",
    "Layout",
    "LazyValues",
    "Log",
    "McapFile",
    "Meaning",
    "MediaMissing",
    "MissingPart",
    "NotADataset",
    "Origin",
    "Outcome",
    "ParquetRows",
    "Place",
    "RawImages",
    "ReadableFormatLeaf",
    "RobokataError",
    "Role",
    "Rows",
    "Run",
    "Size",
    "Source",
    "Store",
    "Stream",
    "Table",
    "TooLarge",
    "UnknownName",
    "Unsupported",
    "UntrustedContent",
    "Values",
    "VideoFrames",
    "Way",
    "WritableFormatLeaf",
    "WriteRefused",
    "WrittenEpisode",
    "ZarrArray",
    "appearing",
    "arrays_below",
    "attributes",
    "column_role",
    "distinct",
    "each",
    "file_bytes",
    "file_name",
    "grid_clock",
    "guarded",
    "has_signature",
    "hdf5_files",
    "is_flag",
    "is_language",
    "legal_name",
    "measured_clock",
    "native_names",
    "open_store",
    "paced_clock",
    "packet_index",
    "peek_zip",
    "rate_fraction",
    "read_record",
    "read_safetensors",
    "require",
    "restored",
    "scratch_folder",
    "starts_like_tfrecord",
    "step_clock",
    "unpack",
]
