"""Evaluates rules minute by minute and records when they fire and end."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.grafana.evaluator import Rule, StateChange
from tests.grafana.test_alerts import RULES
from tests.servers.database import Database, Row

# Grafana evaluates at any second. The census of the minute is written by then.
EVALUATED_NS = 20 * 10**9
FOREVER = 10**6
FiringPeriod = tuple[int, int]


@dataclass
class EvaluationLog:
    """Rules by UID, and all their state changes with the minute."""

    rules: dict[str, Rule]
    changes: list[tuple[int, StateChange]] = field(default_factory=list)

    def firing_periods(
        self, alert: str, severity: str, **labels: str
    ) -> list[FiringPeriod]:
        """Return first and last minute of each firing period with these labels.

        A period that has not ended ends at `FOREVER`.
        """
        changes: dict[Any, list[int]] = {}
        for minute, change in self.changes:
            all_labels = RULES[change.rule]["labels"] | dict(change.labels)
            wanted = {"alert": alert, "severity": severity, **labels}
            if all(all_labels.get(name) == text for name, text in wanted.items()):
                changes.setdefault((change.rule, change.labels), []).append(minute)
        return sorted(
            (minutes[at], minutes[at + 1] if at + 1 < len(minutes) else FOREVER)
            for minutes in changes.values()
            for at in range(0, len(minutes), 2)
        )

    def fired(self) -> set[tuple[str, str]]:
        """Return all alerts that fired, with their place."""
        return {
            (RULES[change.rule]["labels"]["alert"], place(change))
            for _, change in self.changes
            if change.state == "firing"
        }


def place(change: StateChange) -> str:
    """Return the code of a state change's place, with the operator if it names one."""
    labels = dict(change.labels)
    area, operator = labels.get("place", ""), labels.get("operator", "all")
    return area if operator == "all" else f"{area}/{operator}"


def all_rules() -> dict[str, Rule]:
    """Return the provisioned rules, not yet evaluated."""
    return {uid: Rule(rule) for uid, rule in RULES.items()}


def evaluate(log: EvaluationLog, minute: int, ends_ns: int, rollup: Database) -> None:
    """Evaluate every rule just after a minute has ended."""

    @cache
    def run(query: str) -> tuple[Row, ...]:
        return tuple(rollup.query(query))

    for rule in log.rules.values():
        changes = rule.evaluate(ends_ns + EVALUATED_NS, lambda query: list(run(query)))
        log.changes += [(minute, change) for change in changes]
