"""Charts as markup that templates insert as it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup


def svg_markup(parts: Iterable[str]) -> Markup:
    """The parts of a chart as one string that is safe in HTML: its builder has escaped every name in them."""
    from markupsafe import Markup

    return Markup("".join(parts))
