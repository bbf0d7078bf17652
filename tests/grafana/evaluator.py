"""Alert rules evaluated as Grafana 9.3 does it: the least that all versions share.

A rule is read from the provisioned file. Queries go to a real InfluxDB; reduce, math
and threshold are made here, after `pkg/expr` and `pkg/services/ngalert` of 9.3:

- math joins by labels: equal, or one side's are among the other's; one single pair
  that does not match is joined all the same and loses its labels;
- an instance is pending from the first evaluation that is true, firing when it has
  been so for `for`, normal at the first that is false;
- a series that is missing in the second evaluation in turn is resolved;
- a rule without any data has one instance, in the state that `noDataState` says.

Not made here: duplicates of labels, errors of queries, `keepFiringFor`.
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
Ask = Callable[[str], list[Row]]


class NoDataError(Exception):
    """A query or a join had nothing in it."""


@dataclass(frozen=True, slots=True)
class Number:
    """One reduced value of one series."""

    labels: Labels
    value: float


Numbers = list[Number]


@dataclass(slots=True)
class Instance:
    """One label set of one rule, over time."""

    state: State = "normal"
    since_ns: int = 0
    seen_ns: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """A change of state of an instance: what a NOC would be told, and why."""

    at_ns: int
    rule: str
    labels: Labels
    state: State
    reason: str = ""


@dataclass(slots=True)
class Rule:
    """A rule of a provisioned file, and its instances so far."""

    json: Mapping[str, Any]
    instances: dict[Labels, Instance] = field(default_factory=dict)

    @property
    def uid(self) -> str:
        """Its name."""
        return str(self.json["uid"])

    def evaluate(self, at_ns: int, ask: Ask) -> list[Turn]:
        """Evaluate at a moment; what changed."""
        try:
            found = {n.labels: n.value != 0 for n in self.numbers(at_ns, ask)}
        except NoDataError:
            found = {NO_DATA: self.json["noDataState"] == "Alerting"}
        turns = [self._turn(labels, true, at_ns) for labels, true in found.items()]
        gone = [
            self._gone(labels, at_ns) for labels in set(self.instances) - set(found)
        ]
        return [turn for turn in (*turns, *gone) if turn is not None]

    def firing(self) -> set[Labels]:
        """The instances that fire."""
        return {k for k, v in self.instances.items() if v.state == "firing"}

    def numbers(self, at_ns: int, ask: Ask, name: str | None = None) -> Numbers:
        """The values of the condition, or of another node, at a moment."""
        results: dict[str, Numbers | list[Row] | None] = {}
        for node in self.json["data"]:
            results[node["refId"]] = _node(node, results, at_ns, ask)
        found = results[name or self.json["condition"]]
        if not found:
            raise NoDataError
        return [each for each in found if isinstance(each, Number)]

    def _turn(self, labels: Labels, true: bool, at_ns: int) -> Turn | None:
        mine = self.instances.setdefault(labels, Instance())
        mine.seen_ns = at_ns
        before = mine.state
        if not true:
            mine.state = "normal"
        elif before == "normal":
            mine.state, mine.since_ns = "pending", at_ns
        if true and at_ns - mine.since_ns >= duration_s(self.json["for"]) * 10**9:
            mine.state = "firing"
        changed = mine.state != before and "firing" in {mine.state, before}
        return Turn(at_ns, self.uid, labels, mine.state) if changed else None

    def _gone(self, labels: Labels, at_ns: int) -> Turn | None:
        if at_ns - self.instances[labels].seen_ns < 2 * MINUTE_NS:
            return None
        was = self.instances.pop(labels).state
        if was != "firing":
            return None
        return Turn(at_ns, self.uid, labels, "normal", "MissingSeries")


def _node(
    node: Mapping[str, Any],
    results: Mapping[str, Numbers | list[Row] | None],
    at_ns: int,
    ask: Ask,
) -> Numbers | list[Row] | None:
    """One query or expression; None where there are no data."""
    model = node["model"]
    match model.get("type"):
        case None:
            return ask(bound(model["query"], node["relativeTimeRange"], at_ns)) or None
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
            return None if numbers is None else [
                Number(n.labels, float(n.value > over["params"][0]))
                for n in numbers if isinstance(n, Number)
            ]  # fmt: skip
        case other:
            raise ValueError(other)


def bound(query: str, window: Mapping[str, int], at_ns: int) -> str:
    """A query with its time put in, as Grafana does for `$timeFilter`."""
    at_ms = at_ns // 10**6
    from_ms, to_ms = (at_ms - 1000 * window[name] for name in ("from", "to"))
    made = query.replace("$timeFilter", f"time >= {from_ms}ms and time <= {to_ms}ms")
    assert "$" not in made.replace("$/", "")
    return made


def _reduce(rows: Iterable[Any], reducer: str) -> Numbers:
    series: dict[Labels, list[tuple[int, float]]] = {}
    for row in rows:
        labels = tuple(sorted(
            (name, value) for name, value in row.items()
            if name not in {"measurement", "time", "value"}
        ))  # fmt: skip
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
            return _joined(_walk(node.left, results), _walk(node.right, results),
                           node.op)  # fmt: skip
        case ast.Compare(ops=[one]):
            return _joined(_walk(node.left, results),
                           _walk(node.comparators[0], results), one)  # fmt: skip
        case ast.BoolOp():
            found = _walk(node.values[0], results)
            for other in node.values[1:]:
                found = _joined(found, _walk(other, results), node.op)
            return found
        case _:
            raise ValueError(ast.dump(node))


def _joined(left: Numbers, right: Numbers, operation: ast.AST) -> Numbers:
    apply = _OPERATIONS[type(operation)]
    found = [
        Number(max(one.labels, other.labels, key=len), apply(one.value, other.value))
        for one in left
        for other in right
        if _belong(one, other)
    ]
    if not found and len(left) == len(right) == 1:
        return [Number((), apply(left[0].value, right[0].value))]
    return found


def _belong(one: Number, other: Number) -> bool:
    if len(one.labels) == len(other.labels):
        return one.labels == other.labels
    short, long = sorted((set(one.labels), set(other.labels)), key=len)
    return short <= long


def duration_s(text: str) -> int:
    """Grafana's duration of one unit."""
    match = re.fullmatch(r"(\d+)(s|m|h)", text)
    assert match is not None, text
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
