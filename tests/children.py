"""Whether something left a child process behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


@contextmanager
def no_child_left() -> Iterator[None]:
    """The block leaves no process that was not there before it."""
    before = _children()
    yield
    assert _children() <= before
