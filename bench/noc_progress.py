"""The steps that a long bench has done, one per line, so that a stop loses only one."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Result = dict[str, Any]


class TimeUpError(Exception):
    """The time limit of this run is over; the next run continues from here."""


@dataclass(slots=True)
class Progress:
    """Finished steps by stage and name, stored in a file."""

    path: Path
    ends_mono: float
    _done: dict[str, dict[str, Result]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                step = json.loads(line)
                self._done.setdefault(step["stage"], {})[step["name"]] = step["seen"]

    def of(self, stage: str) -> dict[str, Result]:
        """Return the results of a stage's steps by name."""
        return dict(self._done.get(stage, {}))

    def forget(self, stages: Iterable[str]) -> None:
        """Forget these stages, so that they run again."""
        for stage in stages:
            self._done.pop(stage, None)
        self.path.write_text("", encoding="utf-8")
        for stage, steps in self._done.items():
            for name, result in steps.items():
                self._append(stage, name, result)

    def is_done(self, stage: str, name: str) -> bool:
        """Return True if a step is finished."""
        return name in self._done.get(stage, {})

    def do(self, stage: str, name: str, work: Callable[[], Result]) -> None:
        """Run a step unless it is finished. Raises TimeUpError after the time limit."""
        if self.is_done(stage, name):
            return
        self.check()
        began_mono = time.monotonic()
        result = work()
        took_s = time.monotonic() - began_mono
        self.note(stage, name, result | {"took_s": took_s})

    def note(self, stage: str, name: str, result: Result) -> None:
        """Store and print the result of a step."""
        self._done.setdefault(stage, {})[name] = result
        self._append(stage, name, result)
        short = {k: v for k, v in result.items() if not isinstance(v, list)}
        text = ", ".join(f"{key} {value}" for key, value in short.items())
        print(f"  {stage} {name}: {text}", file=sys.stderr, flush=True)

    def check(self) -> None:
        """Raise TimeUpError after the time limit."""
        if time.monotonic() >= self.ends_mono:
            raise TimeUpError

    def total_s(self, stage: str) -> float:
        """Return the total time of a stage's steps."""
        return sum(float(result["took_s"]) for result in self.of(stage).values())

    def _append(self, stage: str, name: str, result: Result) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(
                json.dumps({"stage": stage, "name": name, "seen": result}) + "\n"
            )
