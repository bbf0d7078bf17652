"""Runs a client of `child` against cases, and checks its reports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.hostile.child import TIMEOUT_S, Case
from tests.servers.hostile import closing, hostile

GROWTH_MAX_BYTES = 10_000_000
# As in the unit file of the service.
STACK_BYTES = 2 * 2**20
# The machine of a test may be busy.
SPARE_S = 2.0


class Client:
    """A child process with a client."""

    def __init__(self, name: str, errors: Path) -> None:
        self._errors = errors
        limit = ("prlimit", f"--stack={STACK_BYTES}")
        with errors.open("wb") as stream:
            self._process = subprocess.Popen(
                [*limit, sys.executable, "-m", "tests.hostile.child", name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
            )

    def run(self, case: Case) -> dict[str, Any]:
        """Return the report of a case."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(asdict(case)), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, self._errors.read_text()
        report: dict[str, Any] = json.loads(line)
        return report

    def log(self) -> str:
        """Return what the child has logged."""
        return self._errors.read_text()

    def close(self) -> None:
        """End the child."""
        self._process.communicate(timeout=20)


@contextmanager
def running(name: str, folder: Path) -> Iterator[Client]:
    """Run a client that has loaded its libraries."""
    client = Client(name, folder / "errors")
    try:
        with hostile(closing) as server:
            client.run(Case("warm", server.url()))
            client.run(Case("warm", server.url()))
        yield client
    finally:
        client.close()


def check(report: dict[str, Any], limit_s: float = TIMEOUT_S) -> list[str]:
    """Return what is wrong with a report, apart from its message."""
    wrong = []
    if report["growth_bytes"] >= GROWTH_MAX_BYTES:
        wrong.append(f"grew by {report['growth_bytes']} bytes")
    if report["took_s"] > limit_s + SPARE_S:
        wrong.append(f"took {report['took_s']} s")
    if report.get("kept", 3) != 3:
        wrong.append(f"kept {report['kept']} of 3 points")
    if not report.get("alive", True):
        wrong.append("the thread ended")
    return wrong
