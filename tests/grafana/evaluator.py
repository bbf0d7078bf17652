"""Evaluates alert rules like Grafana 9.3, whose behaviour all later versions share.

A rule is read from the provisioned file. Queries run on a real InfluxDB. Reduce, math
and threshold are implemented here after `pkg/expr` and `pkg/services/ngalert` of 9.3:

- math joins values with equal labels, or if one side's labels are a subset of the
  other's; a single pair that does not match is joined too and loses its labels;
- an instance is pending from the first true evaluation, firing after the time `for`,
  and normal at the first false evaluation;
- a series that is missing in two evaluations in a row is resolved;
- a rule without any data has one instance with the state of `noDataState`.

Not implemented: duplicates of labels, errors of queries, `keepFiringFor`.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.servers.database import Row

Labels = tuple[tuple[str, str], ...]
State = Literal["normal", "pending", "firing"]
MINUTE_NS = 60 * 10**9
NO_DATA: Labels = (("datasource_uid", "qos-rollup"), ("ref_id", "alert"))
RunQuery = Callable[[str], list[Row]]


class NoDataError(Exception):
    """A query or a join has no result."""


@dataclass(frozen=True, slots=True)
class Number:
    """The reduced value of one series."""

    labels: Labels
    value: float


Numbers = list[Number]


@dataclass(slots=True)
class Instance:
    """The state of one label set of a rule."""

    state: State = "normal"
    since_ns: int = 0
    seen_ns: int = 0


@dataclass(frozen=True, slots=True)
class StateChange:
    """A change of an instance's state, which would cause a notification."""

    at_ns: int
    rule: str
    labels: Labels
    state: State
    reason: str = ""


@dataclass(slots=True)
class Rule:
    """A rule of a provisioned file and its instances."""

    json: Mapping[str, Any]
    instances: dict[Labels, Instance] = field(default_factory=dict)

    @property
    def uid(self) -> str:
        """Return the UID of the rule."""
        return str(self.json["uid"])

    def evaluate(self, at_ns: int, run: RunQuery) -> list[StateChange]:
        """Evaluate the rule at a time and return the state changes."""
        try:
            results = {n.labels: n.value != 0 for n in self.numbers(at_ns, run)}
        except NoDataError:
            results = {NO_DATA: self.json["noDataState"] == "Alerting"}
        changes = [
            self._update(labels, true, at_ns) for labels, true in results.items()
        ]
        gone = [
            self._gone(labels, at_ns) for labels in set(self.instances) - set(results)
        ]
        return [change for change in (*changes, *gone) if change is not None]

    def firing(self) -> set[Labels]:
        """Return the instances that fire."""
        return {k for k, v in self.instances.items() if v.state == "firing"}

    def numbers(self, at_ns: int, run: RunQuery, name: str | None = None) -> Numbers:
        """Return the values of the condition, or of another node."""
        results: dict[str, Numbers | list[Row] | None] = {}
        for node in self.json["data"]:
            results[node["refId"]] = _node(node, results, at_ns, run)
        values = results[name or self.json["condition"]]
        if not values:
            raise NoDataError
        return [value for value in values if isinstance(value, Number)]

    def _update(self, labels: Labels, true: bool, at_ns: int) -> StateChange | None:
        instance = self.instances.setdefault(labels, Instance())
        instance.seen_ns = at_ns
        before = instance.state
        if not true:
            instance.state = "normal"
        elif before == "normal":
            instance.state, instance.since_ns = "pending", at_ns
        if true and at_ns - instance.since_ns >= duration_s(self.json["for"]) * 10**9:
            instance.state = "firing"
        changed = instance.state != before and "firing" in {instance.state, before}
        return StateChange(at_ns, self.uid, labels, instance.state) if changed else None

    def _gone(self, labels: Labels, at_ns: int) -> StateChange | None:
        if at_ns - self.instances[labels].seen_ns < 2 * MINUTE_NS:
            return None
        was = self.instances.pop(labels).state
        if was != "firing":
            return None
        return StateChange(at_ns, self.uid, labels, "normal", "MissingSeries")


def _node(
    node: Mapping[str, Any],
    results: Mapping[str, Numbers | list[Row] | None],
    at_ns: int,
    run: RunQuery,
) -> Numbers | list[Row] | None:
    """Evaluate one query or expression; None if it has no data."""
    model = node["model"]
    match model.get("type"):
        case None:
            return run(bound(model["query"], node["relativeTimeRange"], at_ns)) or None
        case "reduce":
            rows = results[model["expression"]]
            return None if rows is None else _reduce(rows, model["reducer"])
        case "math":
            return _math(model["expression"], results)
        case "threshold":
            numbers = results[model["expression"]]
            (condition,) = model["conditions"]
            over = condition["evaluator"]
            assert over["type"] == "gt"
            return (
                None
                if numbers is None
                else [
                    Number(n.labels, float(n.value > over["params"][0]))
                    for n in numbers
                    if isinstance(n, Number)
                ]
            )
        case other:
            raise ValueError(other)


def bound(query: str, window: Mapping[str, int], at_ns: int) -> str:
    """Replace `$timeFilter` in a query by its time range, as Grafana does."""
    at_ms = at_ns // 10**6
    from_ms, to_ms = (at_ms - 1000 * window[name] for name in ("from", "to"))
    text = query.replace("$timeFilter", f"time >= {from_ms}ms and time <= {to_ms}ms")
    assert "$" not in text.replace("$/", "")
    return text


def _reduce(rows: Iterable[Any], reducer: str) -> Numbers:
    series: dict[Labels, list[tuple[int, float]]] = {}
    for row in rows:
        labels = tuple(
            sorted(
                (name, value)
                for name, value in row.items()
                if name not in {"measurement", "time", "value"}
            )
        )
        if row["value"] is not None:
            series.setdefault(labels, []).append((row["time"], float(row["value"])))
    assert reducer == "last"
    return [Number(labels, max(points)[1]) for labels, points in series.items()]


_OPERATIONS: dict[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda a, b: a / b if b else float("inf") if a else float("nan"),
    ast.Gt: lambda a, b: float(a > b),
    ast.GtE: lambda a, b: float(a >= b),
    ast.Lt: lambda a, b: float(a < b),
    ast.LtE: lambda a, b: float(a <= b),
    ast.Eq: lambda a, b: float(a == b),
    ast.And: lambda a, b: float(bool(a) and bool(b)),
    ast.Or: lambda a, b: float(bool(a) or bool(b)),
}


def _math(expression: str, results: Mapping[str, Any]) -> Numbers | None:
    python = re.sub(r"\$(\w+)", r"\1", expression)
    python = python.replace("&&", " and ").replace("||", " or ")
    try:
        return _walk(ast.parse(python, mode="eval").body, results)
    except NoDataError:
        return None


def _walk(node: ast.expr, results: Mapping[str, Any]) -> Numbers:
    match node:
        case ast.Name():
            if results[node.id] is None:
                raise NoDataError
            return list(results[node.id])
        case ast.Constant():
            assert isinstance(node.value, int | float)
            return [Number((), float(node.value))]
        case ast.BinOp():
            return _joined(
                _walk(node.left, results), _walk(node.right, results), node.op
            )
        case ast.Compare(ops=[one]):
            return _joined(
                _walk(node.left, results), _walk(node.comparators[0], results), one
            )
        case ast.BoolOp():
            joined = _walk(node.values[0], results)
            for other in node.values[1:]:
                joined = _joined(joined, _walk(other, results), node.op)
            return joined
        case _:
            raise ValueError(ast.dump(node))


def _joined(left: Numbers, right: Numbers, operation: ast.AST) -> Numbers:
    apply = _OPERATIONS[type(operation)]
    pairs = [
        Number(max(one.labels, other.labels, key=len), apply(one.value, other.value))
        for one in left
        for other in right
        if _belong(one, other)
    ]
    if not pairs and len(left) == len(right) == 1:
        return [Number((), apply(left[0].value, right[0].value))]
    return pairs


def _belong(one: Number, other: Number) -> bool:
    if len(one.labels) == len(other.labels):
        return one.labels == other.labels
    short, long = sorted((set(one.labels), set(other.labels)), key=len)
    return short <= long


def duration_s(text: str) -> int:
    """Return the seconds of a Grafana duration with one unit."""
    match = re.fullmatch(r"(\d+)(s|m|h)", text)
    assert match is not None, text
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
