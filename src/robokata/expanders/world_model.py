"""Expansion by a world model: the same motion in another world, painted by an external generator over HTTP.

Numbers never leave this process and never come back: state, action and clocks of the new episode are the old ones, to
the bit. Only pictures are sent, and only pictures that still show the motion are kept.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from robokata.core.contracts import ExpansionJobs
from robokata.core.declared_rate import Rate, rates_in, reopen_paced
from robokata.core.episode import Episode
from robokata.core.errors import GeneratorFailed, RecipeRefused, RobokataError
from robokata.core.source import Source
from robokata.core.stream import Kind, Stream
from robokata.core.trace import traced
from robokata.expanders._world_model.check import refuse_unfaithful
from robokata.expanders._world_model.client import Server, ask
from robokata.expanders._world_model.message import CONTROLS, ENCODINGS, cameras_of, pictures_in, question_of
from robokata.media.images import EncodedImages
from robokata.runtime.jobs import Made

_TRIES = 2
"""Per episode: a second one, with another seed, for what the first did not give."""


@dataclass(frozen=True)
class WorldModelJob:
    """Variant `number`: source number modulo their count, with a seed of its own."""

    path: str
    format: str
    keys: tuple[str, ...]
    server: Server
    prompt: str = ""
    encoding: str = "jpeg"
    controls: tuple[str, ...] = ("depth", "segmentation")
    """Sent where the episode has them; `edges` are computed."""
    cameras: tuple[str, ...] = ()
    """Empty: all. Cameras that are not sent are left out of the new episode: they would show the old world."""
    seed: int = 0
    rates: tuple[Rate, ...] = ()

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise RecipeRefused(f"encoding is {self.encoding!r}. It is one of {', '.join(ENCODINGS)}.")
        unknown = [name for name in self.controls if name not in CONTROLS]
        if unknown:
            raise RecipeRefused(f"no control is called {unknown[0]!r}. Known: {', '.join(CONTROLS)}.")

    def __call__(self, number: int) -> Made:
        source = reopen_paced(self.path, self.format, self.rates).episode(self.keys[number % len(self.keys)])
        try:
            episode = self.shown(source, number)
        except RobokataError as error:
            kind = error.kind if isinstance(error, GeneratorFailed) else "damaged"
            return Made({"success": False, "reason": f"{kind}: {error}", "source": source.id})
        return Made({"success": True, "reason": "", "source": source.id, "duration_s": episode.duration_s}, episode)

    def shown(self, source: Episode, number: int) -> Episode:
        """The source as the world model shows it.

        Raises:
            GeneratorFailed: it gave nothing that may be kept.
            DamagedData: the source's pictures cannot be read.
        """
        seed = self.seed * 1_000_000 + number
        question = question_of(
            source,
            prompt=self.prompt,
            seed=seed,
            encoding=self.encoding,
            controls=self.controls,
            cameras=self.cameras,
        )
        answer = ask(self.server, question)
        films = pictures_in(answer, question)
        seen = cameras_of(source)
        new = {seen[camera].name: _stream(seen[camera], pictures) for camera, pictures in films.items()}
        streams = {name: new.get(name, stream) for name, stream in source.streams.items()}
        kept = {name: stream for name, stream in streams.items() if name in new or not stream.is_picture}
        parameters = {"prompt": self.prompt, "seed": seed, "controls": self.controls, "encoding": self.encoding}
        episode = traced(
            replace(source, streams=kept),
            of=source,
            step="world_model",
            parameters=parameters,
            id=f"{source.id}-shown-s{self.seed}-{number:06d}",
            said={"model": str(answer.get("model", "unknown"))[:200], "url": self.server.url},
        )
        refuse_unfaithful(source, episode, list(new))
        return episode

    def described(self) -> dict[str, Any]:
        """What makes two runs the same: everything but how many, and how patient the client is."""
        told = {name: value for name, value in asdict(self).items() if name not in ("path", "format", "server")}
        return {
            "by": "world_model",
            "source": self.path,
            "source_format": self.format,
            "url": self.server.url,
            **{name: list(value) if isinstance(value, tuple) else value for name, value in told.items()},
        }


def plan(
    source: Source,
    *,
    keys: Sequence[str],
    seed: int = 0,
    # http://HOST:PORT/PATH
    url: str,
    prompt: str = "",
    encoding: str = "jpeg",
    controls: tuple[str, ...] = ("depth", "segmentation"),
    cameras: tuple[str, ...] = (),
    timeout_s: float = 600.0,
    retries: int = 2,
) -> ExpansionJobs:
    """Jobs that ask a server for these episodes in another world; the reasons of the defaults are `Server`'s and
    `WorldModelJob`'s.

    Raises:
        RecipeRefused: an option cannot be obeyed.
    """
    job = WorldModelJob(
        str(source.path),
        source.format,
        tuple(keys),
        Server(url, timeout_s=timeout_s, retries=retries),
        prompt=prompt,
        encoding=encoding,
        controls=controls,
        cameras=cameras,
        seed=seed,
        rates=rates_in(source),
    )
    return ExpansionJobs(job, job.described(), tries_per_episode=_TRIES)


def _stream(stream: Stream, pictures: tuple[bytes, ...]) -> Stream:
    load: Callable[[int], bytes] = functools.partial(_picture, pictures)
    values = EncodedImages(len(pictures), load, where=stream.name)
    return replace(stream, values=values, kind=Kind.IMAGE, encoding="jpeg")


def _picture(pictures: tuple[bytes, ...], number: int) -> bytes:
    return pictures[number]
