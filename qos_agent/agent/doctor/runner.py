"""Runs all checks at the same time, for a limited time, and sorts the results."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from qos_agent.agent.doctor.check import Check, Health, Row, bad
from qos_agent.system.supervision import Supervisor

LIMIT_S = 20.0
_Result = TypeVar("_Result")
_ORDER = (Health.BAD, Health.WARN, Health.OK)


def run(rows: Sequence[Row], limit_s: float = LIMIT_S) -> list[Check]:
    """Return a result for each row, problems first.

    A check that has no result in time is bad. Its thread is abandoned, because a thread
    that waits for a driver cannot be ended.
    """
    found = dict(results({row.name: partial(checked, row) for row in rows}, limit_s))
    checks = [found.get(row.name) or _late(row.name, limit_s) for row in rows]
    return ordered(_explained(rows, checks))


def results(
    actions: Mapping[str, Callable[[], _Result]], limit_s: float
) -> Iterator[tuple[str, _Result]]:
    """Yield the name and the result of each action that ends in time.

    The actions run at the same time, and must not raise.
    """
    ended: queue.SimpleQueue[tuple[str, _Result]] = queue.SimpleQueue()

    def put(name: str, action: Callable[[], _Result]) -> None:
        ended.put((name, action()))

    for name, action in actions.items():
        arguments = (name, action)
        threading.Thread(target=put, args=arguments, name=name, daemon=True).start()
    end_s = time.monotonic() + limit_s
    for _ in actions:
        try:
            yield ended.get(timeout=max(0.0, end_s - time.monotonic()))
        except queue.Empty:
            return


def checked(row: Row) -> Check:
    """Run one check. An unexpected exception is its result."""
    found: list[Check] = []
    error = Supervisor().call(row.name, lambda: found.append(row.run()))
    if error is None:
        return found[0]
    text = "internal error (bug): {error}"
    advice = "sudo qos-agent doctor --support qos-support.tar.gz"
    return bad(row.name, text, advice, error=f"{type(error).__name__}: {error}")


def _late(name: str, limit_s: float) -> Check:
    text = "no result within {limit_s} s: a program, the card or a modem hangs"
    return bad(name, text, "sudo systemctl reboot", limit_s=f"{limit_s:.0f}")


def _explained(rows: Sequence[Row], checks: Sequence[Check]) -> Iterator[Check]:
    """Name in each failed check the failed check that explains it."""
    failed = {check.name for check in checks if check.health is Health.BAD}
    needs: Mapping[str, tuple[str, ...]] = {row.name: row.needs for row in rows}
    for check in checks:
        cause = next((name for name in needs[check.name] if name in failed), None)
        if cause is None or check.health is not Health.BAD:
            yield check
        else:
            yield replace(check, cause=cause)


def ordered(checks: Iterable[Check]) -> list[Check]:
    """Return the checks by health; a problem comes before its consequences."""
    return sorted(
        checks, key=lambda check: (_ORDER.index(check.health), check.cause is not None)
    )
