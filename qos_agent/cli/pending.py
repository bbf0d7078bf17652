"""The notice about points that wait for a trusted clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qos_agent.journal.reader import Reader
    from qos_agent.system.clock import SystemClock
    from qos_agent.system.language import Translator


def pending_notice(count: int, clock: SystemClock, translate: Translator) -> str | None:
    """Return how many points wait and why, or None if none do."""
    if not count:
        return None
    text = (
        "Points without a timestamp, which are not exported: {count}. Reason: "
        "{reason}. They are stored, and get their timestamp once the agent runs with "
        "a trusted clock."
    )
    doubt = clock.doubt() or "the agent stopped before the clock was trusted"
    return translate(text, count=count, reason=translate(doubt))


def notice_of(journal: Reader) -> str | None:
    """Return the notice for the points of a journal, or None if none wait."""
    from qos_agent.system.clock import system_clock
    from qos_agent.system.language import translator_for_locale

    clock = system_clock()
    clock.not_behind(journal.last_time_ns())
    return pending_notice(journal.pending(), clock, translator_for_locale())
