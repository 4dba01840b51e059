"""What each field of a topic's messages is: a number, a list of numbers or a text, and which messages hold it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.containers.ros.decode import Columns
from robokata.core.stream import Kind


class Form(NamedTuple):
    """What one field is."""

    kind: Kind
    """`tensor` (numbers of one shape), `ragged`, or `text`."""
    dtype: np.dtype[Any]
    shape: tuple[int, ...] = ()
    """Of one sample."""
    rows: NDArray[np.int64] | None = None
    """Messages that hold it, (n,) rising; None for all."""

    @property
    def is_number(self) -> bool:
        """True for one number per message."""
        return self.kind is Kind.TENSOR and not self.shape

    def shares_rows(self, other: Form) -> bool:
        """True where the same messages hold both."""
        if self.rows is None or other.rows is None:
            return self.rows is other.rows
        return bool(np.array_equal(self.rows, other.rows))


def forms_of(
    columns: Columns, rows: Mapping[str, NDArray[np.int64]], is_steady: Callable[[str], bool]
) -> dict[str, Form]:
    """The form of each column; `is_steady` says of which lists the length is the robot's, not the moment's."""
    return {name: _form(column, rows.get(name), is_steady(name)) for name, column in columns.items()}


def _form(column: NDArray[Any], rows: NDArray[np.int64] | None, is_steady: bool) -> Form:
    nothing = np.dtype(object)
    if column.dtype != object:
        if column.ndim == 1:
            return Form(Kind.TENSOR, column.dtype, (), rows)
        if is_steady and 0 not in column.shape[1:]:
            return Form(Kind.TENSOR, column.dtype, column.shape[1:], rows)
        return Form(Kind.RAGGED, nothing, (), rows)
    if not len(column) or not isinstance(column[0], np.ndarray):
        return Form(Kind.TEXT, nothing, (), rows)
    shapes = {sample.shape for sample in column if sample.size}
    if not is_steady or len(shapes) != 1:
        return Form(Kind.RAGGED, nothing, (), rows)
    # An empty list says nothing: the samples are the messages that say something.
    filled = np.flatnonzero([sample.size > 0 for sample in column]).astype(np.int64)
    held = filled if rows is None else rows[filled]
    return Form(Kind.TENSOR, np.result_type(*{s.dtype for s in column}), shapes.pop(), held)
