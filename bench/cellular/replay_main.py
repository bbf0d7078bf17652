"""Prints the tables of the replays."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence

from bench.cellular import replay
from bench.cellular.traces import Trace

_TESTS = 400
_PHASES = 400


def run(traces: Sequence[Trace], *, tuning: bool) -> None:
    """Replay one half of each trace and print coverage, widths, errors and bytes."""
    half = "first half (tuning)" if tuning else "second half (kept from tuning)"
    print(f"replay of the {half} of each trace: {_TESTS} tests, {_PHASES} phases")
    print(
        "trace                      dir   data %  span s |"
        " minute: history, coverage %, half width %, oracle's |"
        " phase: tests, error %, ten s, ratio, oracle's, coverage %, half width %"
    )
    rows = [_row(trace, tuning, number) for number, trace in enumerate(traces)]
    for history in replay.HISTORIES:
        for direction in ("down", "up"):
            _print_total(history, direction, rows)


Row = tuple[Trace, list[replay.Spans], replay.Phases]


def _row(trace: Trace, tuning: bool, seed: int) -> Row:
    middle = trace.bins // 2
    offset = 0 if tuning else middle
    part = trace.part(offset, offset + middle)
    source = random.Random(seed)
    moments = range(offset, offset + middle)
    tests = replay.pool(trace, moments, source, _TESTS)
    spans = replay.spans(trace, tests, seed)
    phases = replay.phases(part, tests, seed, _PHASES)
    ten_bytes = trace.mean_bps / 8 * 10
    data = statistics.fmean(t.past.data_bytes for t in tests) / ten_bytes
    span_s = statistics.median(t.past.span_s for t in tests)
    minutes = ", ".join(
        f"{s.history}: {s.covered / s.tests * 100:.0f} ±{s.width * 100:.0f}"
        for s in spans
    )
    print(
        f"{trace.name[:26]:26} {trace.direction:4} {data * 100:7.1f} {span_s:7.2f} |"
        f" {minutes} ({spans[0].oracle_width * 100:.0f}) |"
        f" {phases.tests:3} {phases.error * 100:5.1f} {phases.ten_error * 100:5.1f}"
        f" {phases.error / phases.ten_error:5.2f} {phases.oracle_error * 100:5.1f}"
        f" {phases.covered * 100:5.1f} ±{phases.width * 100:.0f}",
        flush=True,
    )
    return trace, spans, phases


def _print_total(history: int, direction: str, rows: Sequence[Row]) -> None:
    chosen = [
        s
        for trace, spans, _ in rows
        for s in spans
        if s.history == history and trace.direction == direction
    ]
    tests = sum(s.tests for s in chosen)
    covered = sum(s.covered for s in chosen)
    worst = min(s.covered / s.tests for s in chosen)
    widths = statistics.median(s.width for s in chosen)
    print(
        f"history {history:2}, {direction}: minute covered"
        f" {covered}/{tests} = {covered / tests * 100:.1f} %,"
        f" worst trace {worst * 100:.0f} %, median half width {widths * 100:.0f} %"
    )
