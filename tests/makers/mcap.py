"""MCAP as ROS 2 records it, written by the `mcap` library: zstd chunks, checksums, summary."""

from __future__ import annotations

from pathlib import Path

from mcap.writer import CompressionType, Writer
from rosbags.typesys import Stores, get_typestore

from makers._robot_log import TOPICS, speak

FILES = "*.mcap"


def make(root: Path, *, episodes: int, steps: int, seed: int = 0) -> Path:
    """Files `take_<n>.mcap`, one episode each."""
    folder = root / "takes"
    folder.mkdir(parents=True)
    for number in range(episodes):
        write_log(folder / f"take_{number:03d}.mcap", number, steps=steps, seed=seed)
    return folder


def write_log(
    path: Path,
    number: int,
    *,
    steps: int,
    seed: int = 0,
    compression: CompressionType = CompressionType.ZSTD,
    chunk_bytes: int = 32_000,
    use_chunking: bool = True,
    use_summary: bool = True,
) -> None:
    """One recording, with an attachment and a metadata record."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    with path.open("wb") as file:
        writer = Writer(
            file,
            chunk_size=chunk_bytes,
            compression=compression,
            use_chunking=use_chunking,
            use_statistics=use_summary,
            use_summary_offsets=use_summary,
            repeat_channels=use_summary,
            repeat_schemas=use_summary,
        )
        writer.start(profile="ros2", library="robokata tests")
        channels = {}
        for topic, kind in TOPICS:
            text, _ = store.generate_msgdef(kind, ros_version=2)
            schema = writer.register_schema(kind, "ros2msg", text.encode())
            channels[topic] = writer.register_channel(topic, "cdr", schema)
        writer.add_attachment(0, 0, "calibration.yaml", "text/yaml", b"fx: 600")
        for said in speak(store, number, steps=steps, seed=seed):
            data = bytes(store.serialize_cdr(said.message, said.type))
            writer.add_message(channels[said.topic], said.receive_ns, data, said.header_ns + 1000)
        writer.add_metadata("session", {"operator": "a", "site": "b"})
        writer.finish()
