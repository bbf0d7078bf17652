"""Events of the journal until the agent records them, one for each cause and period.

A collector that rejects points may reject the events too. If each of them caused
another event, the journal would fill itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from qos_agent.journal.types import JournalEvent
from qos_agent.model.line_protocol import without_values

_PERIOD_NS = 3600 * 10**9
# Kinds that one cause may repeat for every point.
_REPEATED = ("quarantine", "damage")
# A server with a new message for each point fills no memory with them.
_CAUSES_MAX = 50
_Key = tuple[str, str]


class EventLog:
    """Collects events. For use under the lock of the session."""

    def __init__(self) -> None:
        self._single: list[JournalEvent] = []
        self._merged: dict[_Key, JournalEvent] = {}
        self._taken_boot_ns: dict[_Key, int] = {}

    def add(self, events: Iterable[JournalEvent]) -> None:
        """Add events; points of the same cause are merged into one event."""
        for event in events:
            if event.kind in _REPEATED and event.first_seq is not None:
                key = self._key(event)
                before = self._merged.get(key)
                self._merged[key] = event if before is None else _sum(before, event)
            else:
                self._single.append(event)

    def take(self, now_boot_ns: int) -> tuple[JournalEvent, ...]:
        """Return the events that are due; merged ones at most once in an hour."""
        due = [key for key in self._merged if self._is_due(key, now_boot_ns)]
        self._taken_boot_ns = {
            key: taken_ns
            for key, taken_ns in self._taken_boot_ns.items()
            if now_boot_ns - taken_ns < _PERIOD_NS
        } | dict.fromkeys(due, now_boot_ns)
        taken = [*self._single, *(self._merged.pop(key) for key in due)]
        self._single.clear()
        return tuple(taken)

    def _key(self, event: JournalEvent) -> _Key:
        """Return the kind and the cause; many causes of one kind count as one."""
        key = (event.kind, without_values(event.detail))
        known = self._merged.keys() | self._taken_boot_ns.keys()
        return key if key in known or len(known) < _CAUSES_MAX else (event.kind, "")

    def _is_due(self, key: _Key, now_boot_ns: int) -> bool:
        taken_ns = self._taken_boot_ns.get(key)
        return taken_ns is None or now_boot_ns - taken_ns >= _PERIOD_NS


def _sum(before: JournalEvent, event: JournalEvent) -> JournalEvent:
    """Return the event for the points of both."""
    seqs = (before.first_seq, before.last_seq, event.first_seq, event.last_seq)
    present = [seq for seq in seqs if seq is not None]
    amount = (before.amount or 0) + (event.amount or 0)
    return replace(event, amount=amount, first_seq=min(present), last_seq=max(present))


def is_about_rejection(line: bytes) -> bool:
    """Return True for the event that a rejected point causes."""
    series = line.partition(b" ")[0].split(b",")
    return series[0] == b"event" and b"kind=quarantine" in series
