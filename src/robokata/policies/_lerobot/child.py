"""The program that runs inside lerobot's environment: asks, trains or serves, with lerobot's own code.

It is run by path with that environment's Python (3.10 or newer) and imports nothing of Robokata but
`_openpi/limits.py`. Its parent holds its
standard input open: when that ends, for whatever reason, so does this program.

    _lerobot_child.py ask ARGUMENTS...      what is here, and whether lerobot takes these arguments; JSON
    _lerobot_child.py train ARGUMENTS...    lerobot-train
    _lerobot_child.py serve                 openpi's websocket protocol; the order is one line of JSON on standard input
"""

from __future__ import annotations

import contextlib
import dataclasses
import hmac
import importlib
import importlib.metadata
import io
import json
import math
import os
import re
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_openpi"))
    import limits  # type: ignore[import-not-found, unused-ignore]

    # That folder was needed for one import: its names must not hide modules of lerobot's environment.
    del sys.path[0]
else:
    from robokata.policies._openpi import limits

NEEDED = ("torch", "lerobot", "msgpack", "websockets")
_NUMBER = re.compile(r"[<>|=]?[fiub][0-9]{1,2}|[?]", re.ASCII)


def main() -> None:
    """Do what the first word says."""
    # The folder of this file is another package's: its names must not stand in for what lerobot imports.
    sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != Path(__file__).resolve().parent]
    verb, arguments = sys.argv[1], sys.argv[2:]
    order = json.loads(sys.stdin.readline()) if verb == "serve" else {}
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if verb == "ask":
        _say(asked(arguments))
    elif verb == "train":
        _meet_torchvision()
        sys.argv = ["lerobot-train", *arguments]
        importlib.import_module("lerobot.scripts.lerobot_train").main()
    elif verb == "serve":
        serve(order)


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    # The group, because workers that load data are processes of their own; the parent made one for us.
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


_kept: list[Any] = []
"""Libraries of torch that must outlive the import that asks for them."""


def _meet_torchvision() -> None:
    """Import torchvision; PyPI's build for CUDA meets a CPU torch once two schemas, which nobody calls, are there."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = importlib.import_module("torch").library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(library)
        importlib.import_module("torchvision")


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def asked(arguments: list[str]) -> dict[str, Any]:
    """Versions, what is missing, the options of lerobot's policy, and lerobot's objection to the arguments, if any."""
    versions, missing = {"python": sys.version.split()[0]}, []
    for name in NEEDED:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    found: dict[str, Any] = {"versions": versions, "missing": missing, "broken": None, "objection": None}
    found |= {"options": {}, "cuda": False}
    if missing or not arguments:
        return found
    try:
        _meet_torchvision()
        found["cuda"] = bool(importlib.import_module("torch").cuda.is_available())
        found["options"] = _options_of(arguments[0])
        found["objection"] = _objection(arguments[1:]) or _absent_weights(arguments)
    except ImportError as error:
        found["missing"] = [f"lerobot[training] ({error})"]
    except (RuntimeError, OSError) as error:
        found["broken"] = f"{error}".splitlines()[0]
    return found


def _options_of(policy: str) -> dict[str, str]:
    """Option -> default, of one of lerobot's policies."""
    importlib.import_module("lerobot.policies.factory")
    # The whole of what training needs is imported now: an environment that lacks a part of it says so before the data
    # is written.
    importlib.import_module("lerobot.scripts.lerobot_train")
    importlib.import_module(f"lerobot.policies.{policy}.modeling_{policy}")
    config = importlib.import_module("lerobot.configs.policies").PreTrainedConfig.get_choice_class(policy)
    return {
        each.name: "" if each.default is dataclasses.MISSING else str(each.default)
        for each in dataclasses.fields(config)
    }


def _objection(arguments: list[str]) -> str | None:
    """What lerobot's own parser says against the arguments; its checks of a policy's options are in there."""
    config = importlib.import_module("lerobot.configs.train").TrainPipelineConfig
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            importlib.import_module("draccus").parse(config, args=arguments)
    except SystemExit:
        return (said.getvalue().strip() or "it gives no reason").splitlines()[-1].rpartition("error: ")[2]
    except Exception as error:  # noqa: BLE001  # the boundary: whatever a config's own check raises is its objection
        root: BaseException = error
        # The parser wraps what a policy's own check says, and the check is the reason.
        while (behind := root.__cause__ or root.__context__) is not None:
            root = behind
        return f"{root}".strip() or type(root).__name__
    return None


def _absent_weights(arguments: list[str]) -> str | None:
    """Where pretrained weights have to lie, if they do not: nothing is ever fetched."""
    flag = "--policy.pretrained_backbone_weights="
    name = next((word[len(flag) :] for word in arguments if word.startswith(flag)), "null")
    if name == "null":
        return None
    torch, models = importlib.import_module("torch"), importlib.import_module("torchvision.models")
    try:
        url = str(models.get_weight(name).url)
    except (ValueError, KeyError, AttributeError):
        return f"torchvision knows no weights called {name!r}"
    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    return None if file.is_file() else f"the weights {name} are not on this machine. Put them at {file}"


def serve(order: dict[str, Any]) -> None:
    """Serve one checkpoint on a free port of this machine, to whoever knows the key."""
    server = importlib.import_module("websockets.sync.server")
    acting = Acting(order)
    lock = threading.Lock()

    def first(connection: Any, request: Any) -> Any:
        told = request.headers.get("Authorization") or ""
        if not hmac.compare_digest(told.encode(), f"Api-Key {order['key']}".encode()):
            return connection.respond(401, "this server wants its Api-Key\n")
        return None

    def talk(connection: Any) -> None:
        try:
            with lock:
                connection.send(packed(acting.metadata()))
                for message in connection:
                    connection.send(acting.answer(unpacked(message)))
        except Exception as error:  # noqa: BLE001  # the boundary to the client: it is told what happened
            if type(error).__module__.startswith("websockets"):
                return
            with contextlib.suppress(Exception):
                connection.send(traceback.format_exc())
                connection.close(code=1011, reason="the policy failed; the last frame says why")

    with server.serve(
        talk, "127.0.0.1", 0, compression=None, max_size=limits.MOST_BYTES, process_request=first
    ) as running:
        _say({"port": running.socket.getsockname()[1], "options": acting.options})
        running.serve_forever()


class Acting:
    """A checkpoint that acts, through lerobot's classes and processors. A class, because it holds the network."""

    def __init__(self, order: dict[str, Any]) -> None:
        _meet_torchvision()
        self.torch, self.numpy = importlib.import_module("torch"), importlib.import_module("numpy")
        self.torch.set_num_threads(int(order["threads"]))
        factory = importlib.import_module("lerobot.policies.factory")
        kinds = importlib.import_module("lerobot.configs.policies")
        folder, device = order["folder"], order["device"]
        if device == "auto":
            device = "cuda" if self.torch.cuda.is_available() else "cpu"
        _refuse_imports(Path(folder))
        self.config = kinds.PreTrainedConfig.from_pretrained(folder, local_files_only=True)
        if self.config.type != order["policy"]:
            raise ValueError(f"{folder} holds {self.config.type!r}, not {order['policy']!r}")
        self.config.device = device
        # The checkpoint holds every weight: those that training began with are not asked for again.
        self.config.pretrained_backbone_weights = None
        for name, value in order["options"].items():
            setattr(self.config, name, value)
        made = factory.get_policy_class(self.config.type)
        # Strict: else a weight that the file lacks would stay random, without a word.
        opened = made.from_pretrained(folder, config=self.config, local_files_only=True, strict=True)
        self.policy = opened.to(device).eval()
        on_device = {"device_processor": {"device": device}}
        self.before, self.after = factory.make_pre_post_processors(
            self.config, pretrained_path=folder, preprocessor_overrides=on_device
        )
        self.options = {"n_obs_steps": self.config.n_obs_steps}
        self.previous_ms: float | None = None

    def metadata(self) -> dict[str, Any]:
        """What is said first."""
        needs = [{"name": name, "shape": list(each.shape)} for name, each in self.config.input_features.items()]
        width = self.config.output_features["action"].shape[0]
        return {"robokata": {"needs": needs, "channels": [str(column) for column in range(width)]}}

    def answer(self, seen: dict[str, Any]) -> bytes:
        """The answer to one message."""
        began = time.perf_counter()
        if "robokata/reset" in seen:
            self.policy.reset()
            self.torch.manual_seed(int(seen["robokata/reset"].get("seed", 0)))
            return packed({"robokata/reset": True})
        with self.torch.inference_mode():
            learnt = self.chunk(seen)
        timing = {"infer_ms": (time.perf_counter() - began) * 1000}
        if self.previous_ms is not None:
            timing["prev_total_ms"] = self.previous_ms
        self.previous_ms = (time.perf_counter() - began) * 1000
        return packed({"actions": learnt, "server_timing": timing})

    def chunk(self, seen: dict[str, Any]) -> Any:
        """Actions (H, E) from one moment, or from the last `n_obs_steps` moments (leading axis, oldest first).

        Raises:
            ValueError: an input is absent, or has another shape.
        """
        names = list(self.config.input_features)
        missing = [name for name in names if name not in seen]
        if missing:
            raise ValueError(f"the observation lacks {', '.join(missing)}")
        count = self.config.n_obs_steps
        moments = [self.before({n: self._tensor(n, seen[n], at, count) for n in names}) for at in range(count)]
        if self.config.type == "diffusion":
            actions = self.policy.diffusion.generate_actions(self._stacked(moments))
        else:
            actions = self.policy.predict_action_chunk(moments[-1])
        return self.after(actions[0]).to("cpu", self.torch.float32).numpy()

    def _tensor(self, name: str, value: Any, at: int, count: int) -> Any:
        """One moment of one input: numbers (D,), or a picture (C, H, W) in 0..1 as lerobot's datasets give it."""
        array = self.numpy.asarray(value)
        array = array[at] if count > 1 else array
        shape = tuple(self.config.input_features[name].shape)
        if len(shape) == 3:
            array = self.numpy.ascontiguousarray(self.numpy.moveaxis(array, -1, 0))
        if array.shape != shape:
            raise ValueError(f"{name} has the shape {array.shape}; expected {shape}")
        tensor = self.torch.from_numpy(array)
        return tensor.float() / 255 if array.dtype == self.numpy.uint8 else tensor.float()

    def _stacked(self, moments: list[dict[str, Any]]) -> dict[str, Any]:
        """The batch that lerobot's own queues would give: (1, n, ...) per input, all cameras in one."""
        images = list(self.config.image_features)
        others = [name for name in self.config.input_features if name not in images]
        batch = {name: self.torch.stack([moment[name] for moment in moments], dim=1) for name in others}
        if images:
            of_each = [self.torch.stack([moment[name] for name in images], dim=-4) for moment in moments]
            batch["observation.images"] = self.torch.stack(of_each, dim=1)
        return batch


def _refuse_imports(folder: Path) -> None:
    """Processors may name a class by its import path, which lerobot would import: only its own registry is used."""
    for file in folder.glob("*processor*.json"):
        steps = json.loads(file.read_text(encoding="utf-8")).get("steps", [])
        if any("registry_name" not in step for step in steps):
            raise ValueError(f"{file} names a step by its import path; only steps of lerobot's registry are run")


def packed(message: dict[str, Any]) -> bytes:
    """A message as openpi's bytes: arrays are maps of bytes keys."""
    data: bytes = importlib.import_module("msgpack").packb(message, default=_told)
    return data


def unpacked(data: Any) -> dict[str, Any]:
    """A message from openpi's bytes; nothing of it is ever run.

    Raises:
        ValueError: it is no map, or an array's shape, kind and bytes do not agree.
    """
    limits.vet(data)
    found = importlib.import_module("msgpack").unpackb(data, object_hook=_heard, strict_map_key=True)
    if not isinstance(found, dict):
        raise ValueError("the message is no map")
    return found


def _told(value: Any) -> dict[bytes, Any]:
    numpy = importlib.import_module("numpy")
    if isinstance(value, numpy.ndarray) and value.dtype.kind in "fiub":
        data = numpy.ascontiguousarray(value).tobytes()
        return {b"__ndarray__": True, b"data": data, b"dtype": value.dtype.str, b"shape": list(value.shape)}
    if isinstance(value, numpy.generic) and value.dtype.kind in "fiub":
        return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}
    raise TypeError(f"{type(value).__name__} does not travel")


def _heard(found: dict[Any, Any]) -> Any:
    if b"__ndarray__" not in found and b"__npgeneric__" not in found:
        return found
    numpy = importlib.import_module("numpy")
    kind, data, shape = found.get(b"dtype"), found.get(b"data"), found.get(b"shape")
    kind = kind.decode("ascii", "replace") if isinstance(kind, bytes) else kind
    if not isinstance(kind, str) or not _NUMBER.fullmatch(kind):
        raise ValueError(f"arrays of {kind!r} are not read")
    if b"__npgeneric__" in found:
        return numpy.dtype(kind).type(data)
    if not isinstance(data, bytes) or not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("an array lacks its bytes or its shape")
    if math.prod(shape) * numpy.dtype(kind).itemsize != len(data):
        raise ValueError(f"an array of shape {shape} and {kind} has {len(data)} bytes")
    return numpy.frombuffer(data, kind).reshape(shape).copy()


if __name__ == "__main__":
    main()
