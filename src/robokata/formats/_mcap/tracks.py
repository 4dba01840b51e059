"""Which channel of an MCAP file each stream of an episode becomes: a ROS 2 type where ROS has one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.containers.logs.decode import Schema
from robokata.containers.logs.log import Topic
from robokata.containers.ros import encode as ros
from robokata.core.clock import NS_PER_S
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, Unsupported
from robokata.core.layout import Place, Way, way_of_pixels
from robokata.core.require import require
from robokata.core.stream import UNDECODABLE, Kind, Role, Stream
from robokata.core.values import Pictures
from robokata.formats._logs.message_index import Said, said_of
from robokata.formats._mcap.video import packet_times, packets_in_words, packets_not_shown
from robokata.media.bare import PacketRun, packet_run
from robokata.media.images import RawImages, decode
from robokata.packing.cells import is_unicode

INSTRUCTION_TOPIC = "/instruction"
_NUMBERS_AT_ONCE = 4096
"""Rows of a stream of numbers that are encoded at once: enough for numpy, little enough to hold."""
_PICTURES_AT_ONCE = 8
"""Raw pictures read at once: 50 MB of six-megapixel colour."""
_MESSAGES_AT_ONCE = 64
_QOS = ("offered_qos_profiles",)
"""What rosbag2 notes of a topic: replaying needs it, and in MCAP it is metadata of the channel."""
_JOINT_WORD = re.compile(
    r"joint|shoulder|elbow|wrist|finger|thumb|gripper|claw|hip|knee|ankle|waist|torso|neck|head|arm|hand|motor|servo"
    r"|wheel|leg|pan|tilt|(^|_)j\d",
    re.IGNORECASE,
)
"""Words in the names of joints. Only where every channel has one do the numbers go out as JointState: `x, y, z` are
none, and a tool would draw them as joints."""
_VELOCITY, _EFFORT = re.compile(r"vel", re.IGNORECASE), re.compile(r"effort|torque|current", re.IGNORECASE)
_FORMATS = {"hevc": "h265"}
"""FFmpeg's codec names as foxglove's CompressedVideo calls them, where they differ."""


@dataclass(frozen=True)
class Track:
    """One channel of the file."""

    topic: str
    schema: Schema
    encoding: str
    log_ns: NDArray[np.int64]
    """Receive time of each message, in the order in which the messages are to lie; it must not fall."""
    publish_ns: NDArray[np.int64]
    messages: Callable[[], Iterator[bytes]]
    places: tuple[Place, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    sample: Mapping[str, Any] = field(default_factory=dict)
    """What the messages do not say: shape and dtype of one sample before it became a ROS type; `not_shown`, the
    numbers of packets that are only decoded."""
    counts: tuple[int, ...] | None = None
    """Samples that the reader will find at each of `places`, None where every message is one."""


class Planner:
    """The channels of one episode. A class, because names must not meet."""

    def __init__(self, episode: Episode) -> None:
        self.episode = episode
        self.tracks: list[Track] = []
        self.carried: list[Place] = []
        self.logs: list[Said] = []
        """One stream of each log that messages are copied from."""
        self._topics: set[str] = set()
        self._targets: set[str] = set()

    def plan(self) -> None:
        copied = self._copied_topics()
        self._topics |= {said.log.log.topics[said.number].name for _, said in copied.values()}
        done: set[tuple[int, int]] = set()
        for stream in self.episode.streams.values():
            said = said_of(stream.values)
            key = (id(said.log), said.number) if said is not None else None
            if key is None or key not in copied:
                self._add(stream)
            elif key not in done:
                done.add(key)
                self._copy(*copied[key])
        self._add_instructions()

    def _copied_topics(self) -> dict[tuple[int, int], tuple[list[Stream], Said]]:
        """Topics of a log that the episode holds whole and untouched: their messages are copied byte for byte."""
        groups: dict[tuple[int, int], list[tuple[Stream, Said]]] = {}
        for stream in self.episode.streams.values():
            said = said_of(stream.values)
            if said is not None:
                groups.setdefault((id(said.log), said.number), []).append((stream, said))
        return {
            key: ([stream for stream, _ in group], group[0][1])
            for key, group in groups.items()
            if len(group) == group[0][1].log.streams_made[key[1]]
            and all(s.clock is said.main or np.array_equal(s.clock.times_ns, said.main.times_ns) for s, said in group)
        }

    def _copy(self, streams: Sequence[Stream], said: Said) -> None:
        log, number = said.log, said.number
        topic = log.log.topics[number]
        self.logs.append(said)
        log_ns = said.receive.times_ns if len(said.receive) else np.empty(0, np.int64)
        publish_ns = said.publish.times_ns if said.publish is not None and len(log_ns) else log_ns

        def messages() -> Iterator[bytes]:
            places = log.index(number).places
            for start in range(0, len(places), _MESSAGES_AT_ONCE):
                some = places[start : start + _MESSAGES_AT_ONCE]
                yield from (m.data for m in log.log.read(np.full(len(some), number, np.int64), some))

        named = topic.extra.get("metadata", {n: topic.extra[n] for n in _QOS if n in topic.extra})
        places, counts = [], tuple(len(stream) for stream in streams)
        for stream in streams:
            own = said_of(stream.values)
            assert own is not None
            places.append(Place(stream.name, self._target(own.name), Way.COPIED, "messages copied byte for byte"))
        metadata = {str(k): str(v) for k, v in named.items()} if isinstance(named, Mapping) else {}
        times, facts = (log_ns, publish_ns), (tuple(places), metadata)
        track = Track(topic.name, _told(topic), topic.encoding, *times, messages, *facts, counts=counts)
        self.tracks.append(track)

    def _add(self, stream: Stream) -> None:
        if len(stream) != len(stream.clock) and not stream.is_picture:
            note = f"{len(stream)} samples on a clock of {len(stream.clock)}"
            self.carried.append(Place(stream.name, None, Way.CARRIED, note, is_native=False))
        elif not len(stream):
            way = Way.DROPPED if stream.is_picture else Way.CARRIED
            self.carried.append(Place(stream.name, None, way, "it has no samples", is_native=False))
        elif stream.is_picture:
            self._add_pictures(stream)
        elif _is_of_ros(stream):
            self._add_numbers(stream)
        elif stream.kind is Kind.TEXT and not stream.shape and is_unicode(stream.values[:]):
            self._add_cells(
                stream, ros.STRING, "cdr", Way.COPIED, "std_msgs/String", lambda cell: ros.string(str(cell))
            )
        elif stream.kind is Kind.MESSAGE and not stream.shape:
            note = "messages without a definition: no tool reads them"
            self._add_cells(stream, Schema("", "", b""), "", Way.CARRIED, note, bytes)
        else:
            note = f"{stream.kind.value} of {stream.values.dtype}: ROS has no type for it"
            self.carried.append(Place(stream.name, None, Way.CARRIED, note, is_native=False))

    # -- names and times ---------------------------------------------------------------------------------------

    def _topic(self, name: str) -> str:
        """A legal ROS 2 topic: `observation.state` becomes `/observation/state`."""
        parts = [re.sub(r"\W", "_", part, flags=re.ASCII) for part in re.split(r"[./]+", name) if part]
        legal = "".join(f"/{'_' if part[0].isdigit() else ''}{part}" for part in parts) or "/stream"
        topic, again = legal, 2
        while topic in self._topics:
            topic, again = f"{legal}_{again}", again + 1
        self._topics.add(topic)
        return topic

    def _target(self, name: str) -> str:
        """The name that the reader will give: it tells streams of one name apart in the order of the file."""
        target, again = name, 2
        while target in self._targets:
            target, again = f"{name}#{again}", again + 1
        self._targets.add(target)
        return target

    def _times(self, stream: Stream) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        log_ns = stream.other_clocks.get("receive", stream.clock).times_ns
        return log_ns, stream.other_clocks["publish"].times_ns if "publish" in stream.other_clocks else log_ns

    def _frame(self, stream: Stream) -> str:
        return str(stream.meaning.frame) if stream.meaning.frame is not None else ""

    # -- numbers -----------------------------------------------------------------------------------------------

    def _add_numbers(self, stream: Stream) -> None:
        dtype, topic = stream.values.dtype, self._topic(stream.name)
        field_name = joint_field(stream)
        if field_name is not None:
            schema, target = ros.JOINT_STATE, self._target(f"{topic}.{field_name}")
            template = ros.joint_state(stream.channels or (), field_name, frame=self._frame(stream))
        elif stream.shape == ():
            schema, code = ros.scalar_schema(dtype)
            template, target = ros.scalar(code), self._target(topic)
        else:
            schema, code = ros.array_schema(dtype)
            label = ",".join(stream.channels) if stream.channels else ""
            template, target = ros.multi_array(stream.shape, code, label=label), self._target(topic)
        times_ns = stream.clock.times_ns

        def messages() -> Iterator[bytes]:
            for start in range(0, len(stream), _NUMBERS_AT_ONCE):
                end = min(start + _NUMBERS_AT_ONCE, len(stream))
                block = np.asarray(stream.values[start:end])
                yield from ros.filled(template, times_ns[start:end], block)

        note = schema.name.replace("/msg/", "/")
        if np.dtype(template.dtype) != dtype:
            note += f" (from {dtype}, exactly)"
        self.tracks.append(
            Track(
                topic,
                schema,
                "cdr",
                *self._times(stream),
                messages,
                (Place(stream.name, target, Way.COPIED, note),),
                sample={"shape": list(stream.shape), "dtype": dtype.str},
            )
        )

    def _add_cells(
        self, stream: Stream, schema: Schema, encoding: str, way: Way, note: str, encode: Callable[[Any], bytes]
    ) -> None:
        topic = self._topic(stream.name)

        def messages() -> Iterator[bytes]:
            for start in range(0, len(stream), _MESSAGES_AT_ONCE):
                yield from (encode(cell) for cell in stream.values[start : start + _MESSAGES_AT_ONCE])

        place = Place(stream.name, self._target(topic), way, note)
        self.tracks.append(Track(topic, schema, encoding, *self._times(stream), messages, (place,)))

    def _add_instructions(self) -> None:
        """What was asked for, where no stream says it already: one message per instruction, when it begins."""
        said = sorted(self.episode.instructions, key=lambda one: one.start_s or 0.0)
        has_own = any(s.role is Role.LANGUAGE and s.kind is Kind.TEXT for s in self.episode.streams.values())
        if not said or has_own:
            return
        begins = [self.episode.start_ns + round((one.start_s or 0.0) * NS_PER_S) for one in said]
        log_ns = np.asarray(begins, np.int64)
        topic = self._topic(INSTRUCTION_TOPIC)
        self.tracks.append(
            Track(topic, ros.STRING, "cdr", log_ns, log_ns, lambda: (ros.string(one.text) for one in said))
        )

    # -- pictures ----------------------------------------------------------------------------------------------

    def _add_pictures(self, stream: Stream) -> None:
        # By what holds the pictures, not by their kind: an original's images may have come back from a video.
        run = packet_run(stream.values)
        if run is not None:
            self._add_video(stream, run)
        elif _is_plain(stream.pictures):
            self._add_encoded(stream)
        else:
            self._add_raw(stream)

    def _add_encoded(self, stream: Stream) -> None:
        topic, pictures = self._topic(stream.name), stream.pictures
        times_ns, frame = stream.clock.times_ns, self._frame(stream)

        def messages() -> Iterator[bytes]:
            for index in range(len(stream)):
                picture = pictures.encoded(index)
                if picture is None:
                    raise DamagedData(f"stream {stream.name}", f"picture {index} has no bytes of its own.")
                time_ns = int(times_ns[index])
                yield ros.compressed_image(time_ns, picture.data, codec=picture.codec, frame=frame)

        place = Place(stream.name, self._target(topic), Way.COPIED, "sensor_msgs/CompressedImage, the same bytes")
        self.tracks.append(Track(topic, ros.COMPRESSED_IMAGE, "cdr", *self._times(stream), messages, (place,)))

    def _add_raw(self, stream: Stream) -> None:
        topic, values = self._topic(stream.name), stream.pictures
        times_ns, frame = stream.clock.times_ns, self._frame(stream)
        shape, dtype = _as_image(stream.shape, values.dtype)
        encoding = ros.image_encoding(shape, dtype)
        if encoding is None or len(shape) not in (2, 3):
            note = f"ROS has no image of {list(stream.shape)} {values.dtype}"
            self.carried.append(Place(stream.name, None, Way.DROPPED, note, is_native=False))
            return

        def messages() -> Iterator[bytes]:
            for start in range(0, len(stream), _PICTURES_AT_ONCE):
                block = np.asarray(values[start : start + _PICTURES_AT_ONCE])
                for offset, picture in enumerate(block):
                    pixels = picture.reshape(shape).astype(dtype, copy=False)
                    yield ros.image(int(times_ns[start + offset]), pixels, encoding=encoding, frame=frame)

        target = self._target(topic)
        is_raw, media = isinstance(values, RawImages), stream.pictures.media()
        way, note = (
            (Way.COPIED, "the same pixels") if is_raw else way_of_pixels(media, f"{media.codec or 'encoded'} decoded")
        )
        sample = {"shape": list(stream.shape), "dtype": values.dtype.str, "scale": getattr(values, "scale", 1.0)}
        place = Place(stream.name, target, way, f"sensor_msgs/Image {encoding}, {note}")
        self.tracks.append(Track(topic, ros.IMAGE, "cdr", *self._times(stream), messages, (place,), sample=sample))

    def _add_video(self, stream: Stream, run: PacketRun) -> None:
        topic, frame, codec = self._topic(stream.name), self._frame(stream), _FORMATS.get(run.codec, run.codec)
        shown_ns, log_ns, publish_ns = packet_times(run, stream.clock.times_ns, *self._times(stream))

        def messages() -> Iterator[bytes]:
            for rank, data in zip(run.ranks.tolist(), run.read(), strict=True):
                yield ros.compressed_video(int(shown_ns[rank]), data, codec=codec, frame=frame)

        is_whole = len(run.ranks) == len(stream) and bool(np.array_equal(run.picked, np.arange(len(stream))))
        note = f"foxglove_msgs/CompressedVideo {codec}, {packets_in_words(run)}"
        # Foxglove's schema has no word for MPEG-4 part 2: only Robokata's reader shows it.
        way = Way.CARRIED if run.codec == "mpeg4" else Way.COPIED
        if UNDECODABLE in stream.oddities:
            way, note = Way.THINNED, f"{note}; {stream.oddities[UNDECODABLE]}"
        place = Place(stream.name, self._target(topic), way, note, appears_at=None if is_whole else run.picked)
        hidden = packets_not_shown(run)
        sample = {"not_shown": hidden} if hidden else {}
        track = Track(topic, ros.COMPRESSED_VIDEO, "cdr", log_ns, publish_ns, messages, (place,), sample=sample)
        self.tracks.append(track)


def _told(topic: Topic) -> Schema:
    """The topic's definition; where a log carries none (Humble and older `.db3`), that of the common packages."""
    schema = topic.schema
    if schema.data or topic.encoding != "cdr" or not schema.name or "metadata" in topic.extra:
        return schema
    typesys = require("rosbags.typesys", extra="ros")
    unknown = require("rosbags.typesys.base", extra="ros").TypesysError
    try:
        text, _ = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE).generate_msgdef(schema.name, ros_version=2)
    except unknown:
        return schema
    return Schema(schema.name, "ros2msg", text.encode())


def joint_field(stream: Stream) -> str | None:
    """The field of a JointState that a stream's numbers belong to, None where they are no joints."""
    names, dtype = stream.channels, stream.values.dtype
    is_table = len(stream.shape) == 1 and names is not None and len(names) == stream.shape[0]
    if not is_table or dtype.kind != "f" or stream.role not in (Role.STATE, Role.ACTION) or names is None:
        return None
    if len(set(names)) != len(names) or not all(_JOINT_WORD.search(name) for name in names):
        return None
    if not _widens_exactly(stream, np.float64):
        return None
    if dtype.itemsize > 8:
        return None
    if _VELOCITY.search(stream.name) or str(stream.meaning.unit) == "rad/s":
        return "velocity"
    return "effort" if _EFFORT.search(stream.name) else "position"


def _is_of_ros(stream: Stream) -> bool:
    """True for numbers that a ROS type holds exactly."""
    is_held = stream.is_numeric and 0 not in stream.shape and ros.holds(stream.values.dtype)
    return is_held and (stream.values.dtype.itemsize != 2 or _widens_exactly(stream, np.float32))


def _widens_exactly(stream: Stream, wide: type[np.floating[Any]]) -> bool:
    """True where wider floats give the same bits back: a NaN that signals does not come through a cast unchanged."""
    if stream.values.dtype.kind != "f" or stream.values.dtype.itemsize >= np.dtype(wide).itemsize:
        return True
    narrow = stream.table
    with np.errstate(invalid="ignore"):
        return narrow.astype(wide).astype(narrow.dtype).tobytes() == narrow.tobytes()


def _is_plain(pictures: Pictures) -> bool:
    """True where the bytes of the pictures are what anybody decodes: some formats swap colours on reading."""
    first = pictures.encoded(0)
    if first is None or first.codec not in ("jpeg", "png"):
        return False
    try:
        return bool(np.array_equal(decode(first.data, where="picture 0"), pictures[0]))
    except (DamagedData, Unsupported):
        # Broken bytes are copied as they are: what they are is not ours to decide.
        return True


def _as_image(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and type in which ROS holds pixels: no truth values."""
    return shape, np.dtype(np.uint8) if dtype.kind == "b" else dtype
