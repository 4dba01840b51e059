"""A world model to test against: a real HTTP server that recolours pictures, and misbehaves when its path says so.

Run as a process: `python stand_in_world_model.py` prints its port, and serves until it is killed.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import simplejpeg

ASKED: dict[str, int] = {}


def recoloured(picture: np.ndarray) -> np.ndarray:
    """Red and blue change places, and everything is darker: another world in which the same thing moves."""
    return (picture[..., ::-1] * 0.8).astype(np.uint8)


def pictures_of(message: dict[str, Any]) -> list[np.ndarray]:
    data = [base64.b64decode(each) for each in message["data"]]
    if message["encoding"] == "jpeg":
        return [simplejpeg.decode_jpeg(each) for each in data]
    import io

    import av

    with av.open(io.BytesIO(data[0])) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def jpegs(pictures: list[np.ndarray]) -> dict[str, Any]:
    data = [simplejpeg.encode_jpeg(np.ascontiguousarray(p), quality=92, colorsubsampling="444") for p in pictures]
    return {"encoding": "jpeg", "data": [base64.b64encode(each).decode() for each in data]}


def mp4(pictures: list[np.ndarray]) -> dict[str, Any]:
    import io

    import av

    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=20, options={"crf": "15"})
        stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode(None))
    return {"encoding": "mp4", "data": [base64.b64encode(out.getvalue()).decode()]}


Painter = Callable[[list[np.ndarray]], list[np.ndarray]]
PAINTERS: dict[str, Painter] = {
    "good": lambda films: [recoloured(p) for p in films],
    "unchanged": lambda films: films,
    "one_too_few": lambda films: [recoloured(p) for p in films[:-1]],
    "one_too_many": lambda films: [recoloured(p) for p in [*films, films[-1]]],
    "small": lambda films: [recoloured(p)[::2, ::2] for p in films],
    "blank": lambda films: [*[recoloured(p) for p in films[:-3]], *[np.full_like(films[0], 90)] * 3],
    "frozen": lambda films: [recoloured(films[0])] * len(films),
    "half_frozen": lambda films: [recoloured(films[min(n, len(films) // 2)]) for n in range(len(films))],
    "late": lambda films: [recoloured(films[max(0, n - 4)]) for n in range(len(films))],
    "noise": lambda films: [
        np.random.default_rng(n).integers(0, 255, p.shape).astype(np.uint8) for n, p in enumerate(films)
    ],
}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        way = self.path.strip("/").partition("?")[0]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        ASKED[way] = ASKED.get(way, 0) + 1
        if way == "dies":
            os._exit(3)
        if way == "hangs_up":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if way == "slow":
            time.sleep(30)
        if way == "busy_once" and ASKED[way] == 1:
            self.answer(503, b"warming up")
            return
        if way == "busy":
            self.answer(503, b"warming up")
            return
        if way == "refuses":
            self.answer(422, b"no such prompt")
            return
        if way == "breaks":
            self.answer(500, b"out of memory")
            return
        if way == "token":
            if self.headers.get("Authorization") != "Bearer secret":
                self.answer(401, b"no token")
                return
            way = "good"
        if way == "garbage":
            self.answer(200, b"\x00\x01 no JSON")
            return
        if way == "list":
            self.answer(200, b"[1, 2]")
            return
        if way == "drips":
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # whoever asked has had enough
                for _ in range(300):
                    self.wfile.write(b"{")
                    self.wfile.flush()
                    time.sleep(0.1)
            return
        if way == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b'{"protocol": ')
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if way == "floods":
            self.answer(200, b" " * 3_000_000)
            return
        self.answer(200, json.dumps(self.painted(way, json.loads(body))).encode())

    def painted(self, way: str, question: dict[str, Any]) -> dict[str, Any]:
        painter = PAINTERS.get(way, PAINTERS["good"])
        pack = mp4 if way == "mp4" else jpegs
        cameras = {
            name: {"pictures": pack(painter(pictures_of(asked["pictures"])))}
            for name, asked in question["cameras"].items()
        }
        answer = {"protocol": question["protocol"], "id": question["id"], "model": "stand-in 1.0", "cameras": cameras}
        first = next(iter(cameras.values()))["pictures"]
        if way == "one_camera":
            cameras.pop(next(iter(cameras)))
        elif way == "other_id":
            answer["id"] = "of somebody else"
        elif way == "no_base64":
            first["data"][0] = "%%%"
        elif way == "no_picture":
            first["data"][0] = base64.b64encode(b"GIF89a").decode()
        elif way == "bomb":
            head = base64.b64decode(first["data"][0])
            at = head.index(b"\xff\xc0")
            first["data"][0] = base64.b64encode(head[: at + 5] + b"\xff\xff\xff\xff" + head[at + 9 :]).decode()
        elif way == "half_a_picture":
            first["data"][1] = base64.b64encode(base64.b64decode(first["data"][1])[:600]).decode()
        return answer

    def answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()
