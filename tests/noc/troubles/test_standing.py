"""Troubles over minutes: they begin, stay over every boundary, and end once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.noc.troubles import causes as c
from qos_agent.noc.troubles.areas import Cell
from qos_agent.noc.troubles.causes import CAUSES, Cause
from qos_agent.noc.troubles.limits import limits
from qos_agent.noc.troubles.points import from_text, to_text
from qos_agent.noc.troubles.signals import Key, Signal, outage_signals, signals
from qos_agent.noc.troubles.standing import MINUTE_NS, Minute, Trouble, advance


@dataclass
class Watch:
    """Troubles minute by minute, with every message: begin, worse and end."""

    minute: int = 0
    standing: dict[Key, Trouble] = field(default_factory=dict)
    messages: list[tuple[int, str, Key]] = field(default_factory=list)

    def passes(
        self,
        minutes: int,
        found: Iterable[Signal] = (),
        *,
        known: bool = True,
        critical: bool = True,
    ) -> None:
        """Let minutes pass with the same signals."""
        by_key = {signal.key: signal for signal in found}
        for _ in range(minutes):
            before = self.standing
            self.standing, ended = advance(
                {key: from_text(to_text(t)) for key, t in before.items()},
                Minute(
                    self.minute * MINUTE_NS,
                    by_key,
                    is_known=lambda _: known,
                    may_be_critical=lambda _: critical,
                ),
            )
            for key, trouble in self.standing.items():
                earlier = before[key].reported if key in before else ""
                if trouble.reported != earlier:
                    self.messages.append((self.minute, trouble.reported, key))
            self.messages += [(self.minute, "ended", t.key) for t in ended]
            self.minute += 1

    def words(self) -> list[str]:
        """Return the kinds of message in order."""
        return [text for _, text, _ in self.messages]


def signal_of(
    cause: Cause,
    place: tuple[str, str] = ("regency", "3171"),
    operator: str = "all",
    severity: str = "critical",
) -> Signal:
    """Return a signal of ten affected stations of ten."""
    return Signal(Key(cause.name, *place, operator), severity, 100.0, 10, 10)


def dead(codes: dict[str, int], operators: tuple[str, ...]) -> list[Signal]:
    """Return all signals if all stations of some regencies are dead."""
    everyone = {code: Cell(n, n, n) for code, n in codes.items()}
    cells = dict.fromkeys(operators, everyone)
    return [*outage_signals(cells), *signals(c.SILENT, {"all": everyone})]


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_a_trouble_is_one_message_and_one_end(cause: Cause) -> None:
    """It is reported after its wait at each severity, and ends after five minutes."""
    watch = Watch()
    watch.passes(60, [signal_of(cause)])
    watch.passes(10)
    waits = {s: limits()[cause.name, s].wait_min for s in ("warning", "critical")}
    begun = [(minute, text) for minute, text, _ in watch.messages if text != "ended"]
    assert begun[-1] == (waits["critical"], "critical")
    assert begun[:-1] in ([], [(waits["warning"], "warning")])
    assert watch.messages[-1][:2] == (64, "ended")
    assert watch.words().count("ended") == 1


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
@pytest.mark.parametrize("boundary", ["phase", "skipped", "few", "between"])
def test_a_boundary_does_not_end_a_trouble(cause: Cause, boundary: str) -> None:
    """It goes on, or ends after the boundary, and neither is a false end."""
    watch = Watch()
    watch.passes(30, [signal_of(cause)])
    begun = len(watch.messages)
    match boundary:
        case "phase":
            watch.passes(90, [signal_of(cause)], critical=False)
        case "skipped":
            watch.passes(90, known=False)
        case "few" | "between":
            watch.passes(90, [signal_of(cause, severity="")])
    assert len(watch.messages) == begun
    watch.passes(5, [signal_of(cause)])
    assert len(watch.messages) == begun
    watch.passes(6)
    assert watch.words()[begun:] == ["ended"]


@given(pattern=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), max_size=8))
def test_a_flapping_trouble_is_one_trouble(pattern: list[tuple[int, int]]) -> None:
    """Gaps shorter than five minutes neither end it nor repeat its message."""
    watch = Watch()
    watch.passes(20, [signal_of(c.SILENT)])
    begun = len(watch.messages)
    for quiet, loud in pattern:
        watch.passes(quiet)
        watch.passes(loud, [signal_of(c.SILENT)])
    assert len(watch.messages) == begun


def test_a_short_trouble_is_not_announced_after_its_end() -> None:
    """Nothing is reported once its figure is low, however long it was high before."""
    watch = Watch()
    watch.passes(limits()["silent", "critical"].wait_min, [signal_of(c.SILENT)])
    watch.passes(60)
    assert watch.messages == []


def test_a_dead_province_of_small_regencies_is_one_message() -> None:
    """17 stations in small regencies die: one message names the province."""
    watch = Watch()
    watch.passes(30, dead({f"81{n:02}": 2 for n in range(1, 9)} | {"8171": 1}, ("xl",)))
    keys = {key for _, _, key in watch.messages}
    assert keys == {Key("silent", "province", "81", "all")}


def test_a_dead_site_of_two_operators_is_no_fault_of_one() -> None:
    """With two operators down the message names the place."""
    watch = Watch()
    watch.passes(30, dead({"3171": 40}, ("xl", "indosat")))
    assert {key for _, _, key in watch.messages} == {
        Key("outage-place", "regency", "3171", "all")
    }


@pytest.mark.parametrize("lower", CAUSES, ids=lambda cause: cause.name)
def test_an_outage_explains_all_later_causes(lower: Cause) -> None:
    """Neither during the outage nor after its end is there another message."""
    if lower is c.OUTAGE_PLACE or lower.name in c.INDEPENDENT:
        return
    operator = "xl" if lower.by_operator else "all"
    both = [signal_of(c.OUTAGE_PLACE), signal_of(lower, operator=operator)]
    watch = Watch()
    watch.passes(40, both)
    watch.passes(14, both[1:])
    watch.passes(30)
    assert {key.cause for _, _, key in watch.messages} == {"outage-place"}


def test_what_remains_after_an_outage_is_reported() -> None:
    """A trouble that lasts longer than the outage explains it is reported then."""
    watch = Watch()
    inner = signal_of(c.BAD_SHARE, operator="xl")
    watch.passes(20, [signal_of(c.OUTAGE_PLACE), inner])
    watch.passes(60, [inner])
    assert {key.cause for _, _, key in watch.messages} == {"outage-place", "bad-share"}


def test_outages_of_regencies_explain_a_share_of_their_province() -> None:
    """The province is not reported again for what its regencies have reported."""
    outage = Key("outage-operator", "regency", "3171", "xl")
    share = Key("degraded-share", "province", "31", "xl")
    found = [
        Signal(outage, "critical", 100.0, 8, 8),
        Signal(share, "critical", 80.0, 10, 12),
    ]
    watch = Watch()
    watch.passes(60, found)
    watch.passes(60)
    assert {key for _, _, key in watch.messages} == {outage}
