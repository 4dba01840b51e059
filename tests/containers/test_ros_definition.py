"""Message definitions as rosbag2 and its sources write them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.writer import Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from robokata.containers.ros.definition import Field, message_from_text
from robokata.core.errors import Unsupported
from robokata.core.stream import Kind, Stream
from robokata.formats import mcap, rosbag2

LINE = "=" * 80
START_NS = 1_700_000_000_000_000_000
PART = """// generated from rosidl_adapter/resource/msg.idl.em
// with input from pkg/msg/Part.msg

module pkg {
  module msg {
    typedef double double__3[3];
    module Part_Constants {
      const uint8 MODE = 2;
      const string WORD = "struct { no; };";
    };
    @verbatim (language="comment", text=
      "A part: struct, enum {" "\\n"
      "of the whole }")
    struct Part {
      @default (value=1.5)
      @unit ("m")
      double reach;

      double__3 axis;
    };
  };
};
"""
WHOLE = """#include "pkg/msg/Part.idl"
#include "builtin_interfaces/msg/Time.idl"

module pkg {
  module msg {
    typedef double double__3[3];
    enum Mode { IDLE, RUN };
    struct Whole {
      @key
      builtin_interfaces::msg::Time stamp;
      pkg::msg::Part part;
      Part other;
      string<20> name;
      sequence<double, 4> few;
      sequence<short> many;
      double__3 force;
      boolean flag;
      octet bits;
      Mode mode;
    };
  };
};
"""
TIME = """module builtin_interfaces {
  module msg {
    struct Time {
      int32 sec;
      uint32 nanosec;
    };
  };
};
"""
MSG = """builtin_interfaces/Time stamp
pkg/Part part
pkg/Part other
string name
float64[<=4] few
int16[] many
float64[3] force
bool flag
byte bits
uint32 mode
"""
"""The same message in the other language: its serializer is the oracle."""


def idl(*parts: tuple[str, str]) -> str:
    return "".join(f"{LINE}\nIDL: {name}\n{text}\n" for name, text in parts)


FULL = idl(("pkg/msg/Whole", WHOLE), ("pkg/msg/Part", PART), ("builtin_interfaces/msg/Time", TIME))


def messages(count: int = 6) -> list[bytes]:
    store = get_typestore(Stores.ROS2_HUMBLE)
    store.register(get_types_from_msg("float64 reach\nfloat64[3] axis\n", "pkg/msg/Part"))
    store.register(get_types_from_msg(MSG, "pkg/msg/Whole"))
    types = store.types
    out = []
    for n in range(count):
        part = types["pkg/msg/Part"](reach=n / 2, axis=np.arange(3.0) + n)
        stamp = types["builtin_interfaces/msg/Time"](sec=1_700_000_000 + n, nanosec=n)
        fields = {"few": np.arange(4.0) * n, "many": np.arange(n, dtype=np.int16), "force": np.ones(3) * n}
        marks = {"flag": bool(n % 2), "bits": n, "mode": n % 2, "name": "x" * n}
        message = types["pkg/msg/Whole"](stamp=stamp, part=part, other=part, **fields, **marks)
        out.append(bytes(store.serialize_cdr(message, "pkg/msg/Whole")))
    return out


def write_mcap(path: Path, text: str, encoding: str) -> dict[str, Stream]:
    with path.open("wb") as out:
        writer = Writer(out)
        writer.start("ros2", "rosbag2")
        schema = writer.register_schema("pkg/msg/Whole", encoding, text.encode())
        channel = writer.register_channel("/w", "cdr", schema)
        for number, data in enumerate(messages()):
            writer.add_message(channel, START_NS + number, data, START_NS + number)
        writer.finish()
    return dict(mcap.read(path).episode(path.stem).streams)


def agree(streams: dict[str, Any]) -> None:
    np.testing.assert_array_equal(streams["/w.part.axis"].values[4], [4, 5, 6])
    np.testing.assert_array_equal(streams["/w.force"].values[5], [5, 5, 5])
    assert list(streams["/w.name"].values[:]) == ["x" * n for n in range(6)]
    assert [list(row) for row in streams["/w.many"].values[:]] == [list(range(n)) for n in range(6)]
    assert streams["/w.mode"].values[:].ravel().tolist() == [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_idl_with_the_headers_and_includes_of_rosbag2_gives_the_numbers(tmp_path: Path, newline: str) -> None:
    agree(write_mcap(tmp_path / "a.mcap", FULL.replace("\n", newline), "ros2idl"))


def test_definitions_may_stand_in_any_order(tmp_path: Path) -> None:
    text = idl(("builtin_interfaces/msg/Time", TIME), ("pkg/msg/Whole", WHOLE), ("pkg/msg/Part", PART))
    agree(write_mcap(tmp_path / "a.mcap", text, "ros2idl"))


@pytest.mark.parametrize("has_header", [True, False])
def test_msg_text_is_read_with_and_without_a_header_before_its_own_part(tmp_path: Path, has_header: bool) -> None:
    head = f"{LINE}\nMSG: pkg/msg/Whole\n" if has_header else ""
    text = f"{head}{MSG}\n{LINE}\nMSG: pkg/Part\nfloat64 reach 1.5\nfloat64[3] axis\n"
    agree(write_mcap(tmp_path / "a.mcap", text, "ros2msg"))


@pytest.mark.parametrize("version", [3, 4])
def test_definitions_inside_of_an_sqlite_bag_are_used(tmp_path: Path, version: int) -> None:
    with sqlite3.connect(tmp_path / "bag_0.db3") as base:
        base.execute("CREATE TABLE schema(schema_version INTEGER PRIMARY KEY, ros_distro TEXT NOT NULL)")
        base.execute("INSERT INTO schema VALUES (?, 'jazzy')", (version,))
        base.execute("CREATE TABLE metadata(id INTEGER PRIMARY KEY, metadata_version INTEGER, metadata TEXT)")
        columns = "id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT, offered_qos_profiles TEXT"
        base.execute(f"CREATE TABLE topics({columns}, type_description_hash TEXT)")
        base.execute("INSERT INTO topics VALUES (1, '/w', 'pkg/msg/Whole', 'cdr', '', 'RIHS01_0')")
        columns = "id INTEGER PRIMARY KEY, topic_type TEXT, encoding TEXT, encoded_message_definition TEXT"
        base.execute(f"CREATE TABLE message_definitions({columns}, type_description_hash TEXT)")
        base.execute("INSERT INTO message_definitions VALUES (1, 'pkg/msg/Whole', 'ros2idl', ?, 'RIHS01_0')", (FULL,))
        base.execute("CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB)")
        rows = [(1, START_NS + n, data) for n, data in enumerate(messages())]
        base.executemany("INSERT INTO messages(topic_id, timestamp, data) VALUES (?, ?, ?)", rows)
    base.close()
    source = rosbag2.read(tmp_path)
    agree(dict(source.episode(source.keys()[0]).streams))


def test_what_the_idl_parser_cannot_take_keeps_the_topic_as_bytes_and_is_named(tmp_path: Path) -> None:
    text = idl(
        ("pkg/msg/Whole", "module pkg { module msg { struct B { float x; }; struct Whole : B { float y; }; }; };")
    )
    stream = write_mcap(tmp_path / "a.mcap", text, "ros2idl")["/w"]
    assert stream.kind is Kind.MESSAGE
    assert stream.extra["kept_as_bytes"].startswith("the IDL definition of pkg/msg/Whole cannot be parsed")


def test_a_part_that_stands_nowhere_is_named() -> None:
    with pytest.raises(Unsupported) as caught:
        message_from_text("pkg/msg/Whole", idl(("pkg/msg/Whole", WHOLE)), encoding="ros2idl")
    assert str(caught.value) == "the definition of pkg/Part is missing (field 'part' of pkg/Whole)."


def test_bounds_and_constants_leave_the_fields_as_they_are() -> None:
    found = message_from_text("pkg/msg/Part", idl(("pkg/msg/Part", PART)), encoding="ros2idl")
    assert found.fields == (Field("reach", "float64"), Field("axis", "float64", 3, is_array=True))
