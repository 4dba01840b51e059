"""ROS 2 bags, written by `rosbags`: SQLite and MCAP storage in turn."""

from __future__ import annotations

from pathlib import Path

from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from makers._robot_log import TOPICS, speak

FILES = "*/*.*"


def make(root: Path, *, episodes: int, steps: int, seed: int = 0) -> Path:
    """Folders `take_<n>`, one episode each."""
    folder = root / "recordings"
    folder.mkdir(parents=True)
    storages = [StoragePlugin.SQLITE3, StoragePlugin.MCAP]
    for number in range(episodes):
        write_folder(folder / f"take_{number:03d}", number, steps=steps, seed=seed, storage=storages[number % 2])
    return folder


def write_folder(
    path: Path, number: int, *, steps: int, seed: int = 0, storage: StoragePlugin = StoragePlugin.SQLITE3
) -> None:
    """One recording."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connections = {topic: writer.add_connection(topic, kind, typestore=store) for topic, kind in TOPICS}
        for said in speak(store, number, steps=steps, seed=seed):
            data = store.serialize_cdr(said.message, said.type)
            writer.write(connections[said.topic], said.receive_ns, data)
