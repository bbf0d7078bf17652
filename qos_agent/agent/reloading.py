"""Reasons to load the configuration again: a request, a signal, or the centre."""

from __future__ import annotations

import logging

from qos_agent.agent.build import Components
from qos_agent.agent.events import event
from qos_agent.config import calendar_file
from qos_agent.model import Phase, Reading
from qos_agent.schedule.control import take_reload

_STATE = "configuration"
_log = logging.getLogger(__name__)


class Reloading:
    """Decides if the agent must load its configuration again."""

    def __init__(self, components: Components) -> None:
        self._components = components
        self._folder = components.settings.runtime_folder()
        self._requested = False

    def request(self) -> None:
        """Note a request. Safe in a signal handler."""
        self._requested = True

    def check(self, phase: Phase) -> tuple[bool, list[Reading]]:
        """Return True for a reload that the phase allows, and the events to record.

        The thread of the checks knows the phase too: a content of the centre that it
        reports may be loaded in every phase.
        """
        by_centre, readings = self._of_centre(phase)
        now = take_reload(self._folder)
        if now is None and not self._requested:
            return by_centre, readings
        self._requested, now = False, bool(now)
        if calendar_file.may_reload(phase, now):
            return True, readings
        message = f"not reloaded in phase {phase.value}; to force it: --now"
        _log.warning("configuration: %s", message)
        return by_centre, [*readings, self._event("configuration", message)]

    def changed(self) -> list[Reading]:
        """Return an event if the configuration is not that of the last start."""
        journal, now = self._components.journal, self._components.loaded.hash
        before = journal.state(_STATE)
        if before == now:
            return []
        journal.set_state(_STATE, now)
        if before is None:
            return []
        change = {"before": before, "after": now}
        return [event("configuration", self._components.clock.boot_ns(), **change)]

    def _of_centre(self, phase: Phase) -> tuple[bool, list[Reading]]:
        watch = self._components.remote
        if watch is None:
            return False, []
        watch.phase = phase
        events, apply = watch.take()
        return apply, [self._event(kind, detail) for kind, detail in events]

    def _event(self, kind: str, detail: str) -> Reading:
        return event(kind, self._components.clock.boot_ns(), detail)
