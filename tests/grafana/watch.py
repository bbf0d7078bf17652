"""What rules say minute by minute, and when each of them fired and ended."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.grafana.evaluator import Rule, Turn
from tests.grafana.test_alerts import RULES
from tests.servers.database import Database, Row

# Grafana evaluates when it likes; the census of the minute is there by then.
EVALUATED_NS = 20 * 10**9
FOREVER = 10**6
Spell = tuple[int, int]


@dataclass
class Watch:
    """Rules by uid, and every turn that was told, with its minute."""

    rules: dict[str, Rule]
    turns: list[tuple[int, Turn]] = field(default_factory=list)

    def spells(self, alert: str, severity: str, **labels: str) -> list[Spell]:
        """From which minute to which it fired, of instances with these labels.

        What fires still ends `FOREVER`.
        """
        found: dict[Any, list[int]] = {}
        for minute, turn in self.turns:
            told, mine = RULES[turn.rule]["labels"], dict(turn.labels)
            if (told["alert"], told["severity"]) == (alert, severity) and all(
                mine.get(name) == value for name, value in labels.items()
            ):
                found.setdefault((turn.rule, turn.labels), []).append(minute)
        return sorted(
            (minutes[at], minutes[at + 1] if at + 1 < len(minutes) else FOREVER)
            for minutes in found.values()
            for at in range(0, len(minutes), 2)
        )

    def fired(self) -> set[tuple[str, str]]:
        """Alerts that fired at all, each with its place."""
        return {
            (RULES[turn.rule]["labels"]["alert"], place(turn))
            for _, turn in self.turns
            if turn.state == "firing"
        }


def place(turn: Turn) -> str:
    """A regency, else a province, else nothing; with the operator if there is one."""
    labels = dict(turn.labels)
    area = labels.get("regency") or labels.get("province") or ""
    return f"{area}/{labels['operator']}" if "operator" in labels else area


def rules_of(areas: Collection[str]) -> dict[str, Rule]:
    """The provisioned rules of some areas, none of them evaluated yet."""
    return {
        uid: Rule(rule)
        for uid, rule in RULES.items()
        if rule["labels"]["area"] in areas
    }


def evaluate(watch: Watch, minute: int, ends_ns: int, rollup: Database) -> None:
    """Evaluate every rule in the minute after the one that ended."""

    @cache
    def asked(query: str) -> tuple[Row, ...]:
        return tuple(rollup.query(query))

    for rule in watch.rules.values():
        turns = rule.evaluate(ends_ns + EVALUATED_NS, lambda query: list(asked(query)))
        watch.turns += [(minute, turn) for turn in turns]
