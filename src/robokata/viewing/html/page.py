"""The frame of every HTML report: one self-contained page from a template that escapes every value."""

from __future__ import annotations

import functools
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robokata.runtime.atomic import replace_text
from robokata.runtime.safe_text import visible

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


def write_page(path: Path, template: str, **values: Any) -> None:
    """Write the page of a template as one file that needs nothing else.

    Raises:
        WriteRefused: it cannot be written, or the disk is full; an earlier page stays.
    """
    replace_text(path, visible(render(template, **values)))


def render(template: str, **values: Any) -> Markup:
    """A template of this folder (`NAME.html.jinja`) with these values, safe to use inside another one."""
    from markupsafe import Markup

    return Markup(_templates().get_template(f"{template}.html.jinja").render(**values))


@functools.cache
def _templates() -> Environment:
    import jinja2

    folder = files("robokata.viewing.html")
    loader = jinja2.FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8"))
    return jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
