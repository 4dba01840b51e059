"""A program that drives, and a page's server that drips."""

from __future__ import annotations

import time

import pytest

from robokata.collection.client import Operator
from robokata.core.errors import CollectionRefused
from runtime.dripping import HTTP, Talk, server


@pytest.mark.parametrize("way", ["nothing", "headers", "100 Continue", "trailers", "body without length"])
def test_a_page_that_never_comes_to_an_end_is_refused_in_time(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robokata.collection.client._ANSWERS_S", 0.5)
    talk: Talk = HTTP[way]
    with server(talk) as port:
        began = time.monotonic()
        with pytest.raises(CollectionRefused, match=r"no answer within 0\.5 s"):
            Operator(f"http://127.0.0.1:{port}/?token=x")
        assert time.monotonic() - began < 3.5
