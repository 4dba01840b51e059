"""What made a checkpoint: data, seed, settings, versions. Enough to make it again, and to see that it is another."""

from __future__ import annotations

import hashlib
import json
import platform
from typing import Any

import numpy as np

from robokata.core.require import require
from robokata.core.version import __version__
from robokata.learn.net import Net
from robokata.training.curve import Curve
from robokata.training.job import Job

_ONLY_TIME = ("steps", "minutes", "threads", "device")
"""Settings that a resumed run takes from what it resumes."""


def identity_of(job: Job) -> dict[str, Any]:
    """What must be the same for a run to continue another."""
    settings = job.settings.to_json()
    return {
        "policy": job.policy,
        "data": job.prepared.feed.digest,
        "validation": None if job.prepared.validation is None else job.prepared.validation.digest,
        "shares": hashlib.sha256(np.ascontiguousarray(job.prepared.weights).tobytes()).hexdigest(),
        "options": json.dumps(dict(job.options), sort_keys=True),
        **{name: value for name, value in settings.items() if name not in _ONLY_TIME},
    }


def card_of(job: Job, net: Net, curve: Curve) -> dict[str, Any]:
    """Everything that a checkpoint says of itself but its weights' hash."""
    feed = job.prepared.feed
    cameras: dict[str, set[str]] = {body.embodiment: set() for body in feed.bodies}
    for episode in feed.episodes:
        cameras[episode.layout.embodiment] |= set(episode.frames)
    return {
        "policy": job.policy,
        "codec": job.prepared.codec.to_json(),
        "cameras_of": {body: sorted(found) for body, found in cameras.items()},
        "options": dict(job.options),
        "execute_steps": job.habits.execute_steps,
        "parameters": sum(p.numel() for p in net.parameters()),
        "origin_of_weights": dict(net.provenance()),
        "receipt": receipt_of(job, curve),
    }


def receipt_of(job: Job, curve: Curve) -> dict[str, Any]:
    """How the checkpoint came about."""
    feed = job.prepared.feed
    return {
        "data": feed.digest,
        "sources": job.spec.to_json()["sources"],
        "episodes": len(feed.episodes),
        "samples": len(feed),
        "left_out": [each._asdict() for each in job.prepared.left_out],
        "notes": list(job.prepared.notes),
        "settings": job.settings.to_json(),
        "versions": versions(),
        "so_far": dict(curve.summary()),
    }


def versions() -> dict[str, str]:
    """Versions of everything whose change could change the weights."""
    torch = require("torch", extra="learn")
    return {
        "robokata": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
