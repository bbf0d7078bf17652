"""A nation for drills: the facts of each minute, with planted troubles.

The facts are those that the census and the roll-ups would give. A seed chooses the
stations, so each seed is another place and time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from qos_agent.config.calendar_file import named
from qos_agent.model.line_protocol import decode
from qos_agent.noc.census.voting_window import VotingWindow
from qos_agent.noc.troubles.decide import decide
from qos_agent.noc.troubles.facts import Facts
from qos_agent.noc.troubles.signals import Key
from qos_agent.noc.troubles.standing import MINUTE_NS, Trouble
from tests.noc.troubles.test_coverage import spread

OPERATORS = ("telkomsel", "indosat", "xl")
# Shares of stations that are silent, bad or degraded on a normal day.
SILENT, BAD, DEGRADED = 0.005, 0.01, 0.03
USUAL_MS = 40.0


@dataclass(frozen=True)
class Planted:
    """A trouble from one minute to another, in some regencies.

    `kind` is `dead` (no report), `bad` (links), `slow` (latency, in `rtt_ms`) or
    `uncounted` (the census skips the province).
    """

    kind: str
    regencies: frozenset[str]
    begins: int
    ends: int
    operator: str | None = None
    rtt_ms: float = USUAL_MS

    def hits(self, minute: int, regency: str, operator: str) -> bool:
        """Return True if links of an operator in a regency are affected."""
        is_here = regency in self.regencies and self.operator in {None, operator}
        return is_here and self.begins <= minute < self.ends


@dataclass(frozen=True)
class Fleet:
    """Stations by regency and operator."""

    stations: Mapping[tuple[str, str], int]

    @classmethod
    def of(cls, size: int, seed: int) -> Fleet:
        """Spread stations like the population, and draw their operators."""
        rng = Random(seed)
        stations: dict[tuple[str, str], int] = {}
        for regency, n in spread(size).items():
            for operator in rng.choices(OPERATORS, (50, 30, 20), k=n):
                key = regency, operator
                stations[key] = stations.get(key, 0) + 1
        return cls(stations)

    def around(self, province: str) -> Fleet:
        """Return a province with some healthy ones, which is faster than a nation."""
        kept = {province, "33", "35", "51"}
        links = self.stations.items()
        return Fleet({key: n for key, n in links if key[0][:2] in kept})

    def of_province(self, province: str) -> frozenset[str]:
        """Return the regencies of a province that have stations."""
        return frozenset(code for code, _ in self.stations if code[:2] == province)

    def count(self, regencies: Iterable[str], operator: str | None = None) -> int:
        """Return the number of stations in some regencies."""
        wanted = set(regencies)
        return sum(
            n
            for (code, name), n in self.stations.items()
            if code in wanted and operator in {None, name}
        )


@dataclass
class Drill:
    """The centre's decisions minute by minute, and the messages that they cause.

    A message is (minute, `begin` or `end`, severity, key). A change of severity is the
    message of the new severity only.
    """

    fleet: Fleet
    start_ns: int
    seed: int
    planted: tuple[Planted, ...] = ()
    calendar: str = "2024-02-14"
    messages: list[tuple[int, str, str, Key]] = field(default_factory=list)
    _standing: Mapping[Key, Trouble] = field(default_factory=dict)
    _open: set[tuple[str, Key]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Read the calendar."""
        self.voting = VotingWindow(named(self.calendar))

    def run(self, minutes: int, step: int = 1) -> Drill:
        """Decide for each minute, or for every few minutes."""
        for minute in range(0, minutes, step):
            facts = self.facts(minute)
            decision = decide(facts, self._standing, self.voting)
            self._standing = decision.troubles
            for line in decision.lines:
                self._receive(minute, decode(line))
        return self

    def _receive(self, minute: int, record: Any) -> None:
        """Forward a point like the rules of Grafana."""
        if record.measurement != "trouble":
            return
        tags = record.tags
        key = Key(tags["cause"], tags["level"], tags["place"], tags["operator"])
        instance = (tags["severity"], key)
        state = record.fields["open"]
        fires = state > 0 and record.fields["notify"] > 0
        if fires and instance not in self._open:
            self._open.add(instance)
            self.messages.append((minute, "begin", instance[0], key))
        elif not fires and instance in self._open:
            self._open.remove(instance)
            if state == 0:
                self.messages.append((minute, "end", instance[0], key))

    def causes(self) -> set[tuple[str, str]]:
        """Return cause and province of all messages: one group of Grafana for each."""
        return {
            (key.cause, key.place[:2] if key.level == "regency" else key.place)
            for _, _, _, key in self.messages
        }

    def facts(self, minute: int) -> Facts:
        """Return the facts of a minute."""
        at_ns = self.start_ns + minute * MINUTE_NS
        census: dict[tuple[str, str], dict[str, Any]] = {}
        latency, baseline = {}, {}
        for key, n in self.fleet.stations.items():
            row = self._link(minute, key, n)
            census[key] = row
            place = census.setdefault((key[0], "all"), {"age_s": 30.0, "never": 0})
            for name in ("expected", "silent"):
                place[name] = place.get(name, 0) + row[name]
            alive = n - row["silent"]
            if alive:
                rtt_us = int(1000 * self._rtt_ms(minute, key)) * 60 * alive
                lost = 48 * row["links_bad"]
                latency[key] = {
                    "sent": 60 * alive,
                    "lost": lost,
                    "received": 60 * alive,
                    "rtt_sum_us": rtt_us,
                }
            baseline[key] = {"received": 1000, "rtt_sum_us": int(USUAL_MS * 1e6)}
        uncounted = self._uncounted(minute)
        counted = {code[:2]: at_ns for code, _ in census}
        counted |= dict.fromkeys(uncounted, at_ns - MINUTE_NS)
        kept = {key: row for key, row in census.items() if key[0][:2] not in uncounted}
        empty: dict[tuple[str, str], Any] = {}
        return Facts(
            at_ns, counted, kept, latency, latency, baseline, empty, empty, empty, empty
        )

    def _uncounted(self, minute: int) -> set[str]:
        return {
            code[:2]
            for planted in self.planted
            if planted.kind == "uncounted" and planted.begins <= minute < planted.ends
            for code in planted.regencies
        }

    def _active(self, minute: int, key: tuple[str, str]) -> Iterator[Planted]:
        return (planted for planted in self.planted if planted.hits(minute, *key))

    def _link(self, minute: int, key: tuple[str, str], n: int) -> dict[str, Any]:
        """Draw how many stations are silent, bad and degraded in ten minutes."""
        kinds = {planted.kind for planted in self._active(minute, key)}
        # Verdicts stay bad for ten minutes after an outage.
        after = {
            planted.kind
            for back in range(1, 10)
            for planted in self._active(minute - back, key)
        }
        rng = Random(f"{self.seed}/{key}/{minute // 10}")
        draws = [rng.random() for _ in range(n)]
        silent = n if "dead" in kinds else sum(d < SILENT for d in draws)
        alive = n - silent
        bad = sum(SILENT <= d < SILENT + BAD for d in draws)
        degraded = sum(SILENT + BAD <= d < SILENT + BAD + DEGRADED for d in draws)
        if "bad" in kinds or (after & {"dead", "bad"} and not kinds):
            bad, degraded = alive, 0
        bad, degraded = min(bad, alive), min(degraded, max(0, alive - bad))
        return {
            "expected": n,
            "silent": silent,
            "links_bad": bad,
            "links_degraded": degraded,
            "links_good": alive - bad - degraded,
            "kpi": "loss",
        }

    def _rtt_ms(self, minute: int, key: tuple[str, str]) -> float:
        rtts = (p.rtt_ms for p in self._active(minute, key) if p.kind == "slow")
        return max(rtts, default=USUAL_MS)
