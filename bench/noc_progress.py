"""What a long bench has done so far, a line a step, so that a stop loses one step."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Seen = dict[str, Any]


class TimeUpError(Exception):
    """The time given to this run is over; the next run goes on from here."""


@dataclass(slots=True)
class Progress:
    """Steps done, by stage and name, kept in a file."""

    path: Path
    ends_mono: float
    _done: dict[str, dict[str, Seen]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                step = json.loads(line)
                self._done.setdefault(step["stage"], {})[step["name"]] = step["seen"]

    def of(self, stage: str) -> dict[str, Seen]:
        """What was seen in each step of a stage."""
        return dict(self._done.get(stage, {}))

    def forget(self, stages: Iterable[str]) -> None:
        """Do these stages again."""
        for stage in stages:
            self._done.pop(stage, None)
        self.path.write_text("", encoding="utf-8")
        for stage, steps in self._done.items():
            for name, seen in steps.items():
                self._append(stage, name, seen)

    def is_done(self, stage: str, name: str) -> bool:
        """Whether a step was done."""
        return name in self._done.get(stage, {})

    def do(self, stage: str, name: str, work: Callable[[], Seen]) -> None:
        """Do a step that is not done yet. Raises TimeUpError where the time is over."""
        if self.is_done(stage, name):
            return
        self.check()
        began = time.monotonic()
        seen = work()
        self.note(stage, name, seen | {"took_s": time.monotonic() - began})

    def note(self, stage: str, name: str, seen: Seen) -> None:
        """Keep what was seen, and say so."""
        self._done.setdefault(stage, {})[name] = seen
        self._append(stage, name, seen)
        short = {k: v for k, v in seen.items() if not isinstance(v, list)}
        said = ", ".join(f"{key} {value}" for key, value in short.items())
        print(f"  {stage} {name}: {said}", file=sys.stderr, flush=True)

    def check(self) -> None:
        """Raise TimeUpError where the time is over."""
        if time.monotonic() >= self.ends_mono:
            raise TimeUpError

    def total_s(self, stage: str) -> float:
        """How long a stage's steps took together."""
        return sum(float(seen["took_s"]) for seen in self.of(stage).values())

    def _append(self, stage: str, name: str, seen: Seen) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"stage": stage, "name": name, "seen": seen}) + "\n")
