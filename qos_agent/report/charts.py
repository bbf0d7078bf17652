"""The charts of a report: figures with intervals, phases, hours and completeness."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from qos_agent.report import drawing as d
from qos_agent.report.drawing import canvas, plain_axes
from qos_agent.report.language import Words
from qos_agent.report.readings import Hour, Slots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW_IN = 0.21
_HOURS = 24
_STEP_MIN = 5
_LABEL_GAP_IN = 0.14
# Heights of the charts of phases and of a day, and what titles and ticks need of them.
_PHASES_IN, _DAY_IN, _MARGINS_IN = 2.1, 4.6, 0.45


@dataclass(frozen=True, slots=True)
class Dot:
    """A figure with its interval; `value` is None for insufficient data."""

    label: str
    value: float | None
    low: float | None
    high: float | None


def dots(
    name: str,
    rows: Sequence[Dot],
    shown: Callable[[float], str],
    limit: float | None,
    words: Words,
) -> bytes:
    """Draw figures with their intervals, one below the other, with their values."""
    with canvas(name, 0.45 + _ROW_IN * len(rows)) as (figure, svg):
        axes = figure.subplots()
        plain_axes(axes)
        for y, row in enumerate(rows):
            if row.value is None:
                axes.text(
                    0.01,
                    y,
                    words("insufficient data"),
                    transform=axes.get_yaxis_transform(),
                    va="center",
                    color=d.GREY,
                    style="normal",
                )
                continue
            if row.low is not None and row.high is not None:
                axes.plot([row.low, row.high], [y, y], color=d.SKY, linewidth=3)
            axes.plot(row.value, y, "o", color=d.BLUE, markersize=4)
            axes.annotate(
                shown(row.value),
                (1.01, y),
                xycoords=axes.get_yaxis_transform(),
                va="center",
            )
        if limit is not None:
            axes.axvline(limit, color=d.RED, linestyle="--", linewidth=1)
            axes.annotate(
                words("threshold"),
                (limit, 1.0),
                xycoords=axes.get_xaxis_transform(),
                ha="center",
                va="bottom",
                color=d.RED,
            )
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        _few_ticks(axes, shown)
    return svg[0]


def _few_ticks(axes: Axes, shown: Callable[[float], str]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.margins(x=0.08)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value)))


def phases(
    name: str,
    rows: Sequence[tuple[str, Sequence[float | None]]],
    titles: Sequence[str],
    shown: Callable[[float], str],
) -> bytes:
    """Draw a line for each operator through its figures of the phases."""
    with canvas(name, _PHASES_IN) as (figure, svg):
        axes = figure.subplots()
        axes.grid(visible=True, axis="y")
        ends: list[tuple[float, str, str]] = []
        for (label, values), (color, dash, marker, sign) in zip(
            rows, _cycled(len(rows)), strict=True
        ):
            known = [(x, v) for x, v in enumerate(values) if v is not None]
            if not known:
                continue
            axes.plot(
                [x for x, _ in known],
                [v for _, v in known],
                color=color,
                linestyle=dash,
                marker=marker,
                markersize=4,
                linewidth=1.3,
            )
            ends.append((known[-1][1], f"{sign} {label}  {shown(known[-1][1])}", color))
        axes.set_xticks(range(len(titles)), titles)
        axes.set_xlim(-0.15, len(titles) - 0.85)
        _end_labels(axes, ends, _PHASES_IN - _MARGINS_IN)
        _y_ticks(axes, shown)
    return svg[0]


def _cycled(count: int) -> list[tuple[str, object, str, str]]:
    return [d.STYLES[n % len(d.STYLES)] for n in range(count)]


def _y_ticks(axes: Axes, shown: Callable[[float], str]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value)))
    axes.tick_params(length=0)


def _end_labels(
    axes: Axes, ends: Sequence[tuple[float, str, str]], height_in: float
) -> None:
    """Write the labels at the right end of the lines, without an overlap."""
    gap = _LABEL_GAP_IN / height_in
    low, high = axes.get_ylim()
    span = (high - low) or 1.0
    ordered = sorted(ends)
    places = [(value - low) / span for value, _, _ in ordered]
    for index in range(1, len(places)):
        places[index] = max(places[index], places[index - 1] + gap)
    excess = max(0.0, places[-1] - 1.0) if places else 0.0
    for (_, text, color), place in zip(ordered, places, strict=True):
        axes.annotate(
            text,
            (1.01, place - excess),
            xycoords="axes fraction",
            va="center",
            color=color,
        )


def timeline(
    name: str,
    hours: Sequence[Hour],
    slots: Sequence[Slots],
    spans: Sequence[tuple[float, float, str]],
    words: Words,
) -> bytes:
    """Draw availability, loss and completeness of a day by local hour.

    `spans` are the phases: start and end in hours, and the title.
    """
    with canvas(name, _DAY_IN) as (figure, svg):
        top, middle, bottom = figure.subplots(3, 1, sharex=True)
        for axes, title in (
            (top, words("Availability")),
            (middle, words("Packet loss")),
            (bottom, words("Due slots of latency")),
        ):
            axes.set_title(title, loc="left", fontsize=8, fontweight="bold", pad=12)
            axes.grid(visible=True, axis="y")
            for start, end, _ in spans:
                axes.axvspan(start, end, color="#F2F2F2", zorder=0)
                axes.axvline(start, color=d.GREY, linewidth=0.5)
        for start, end, title in spans:
            first, last = max(start, 0), min(end, _HOURS)
            if last - first > 1:
                top.annotate(
                    title,
                    (first + 0.1, 1.03),
                    xycoords=top.get_xaxis_transform(),
                    fontsize=7,
                    color=d.GREY,
                )
        _lines(top, _by_operator(hours, "available", "seconds"), words)
        _lines(middle, _by_operator(hours, "lost", "sent"), words)
        _stack(bottom, slots, words)
        bottom.set_xlim(0, _HOURS)
        ticks = range(0, _HOURS + 1, 3)
        separator = ":" if words.code == "en" else "."
        bottom.set_xticks(ticks, [f"{hour:02}{separator}00" for hour in ticks])
    return svg[0]


def _by_operator(
    hours: Sequence[Hour], top: str, bottom: str
) -> Mapping[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for row in hours:
        if getattr(row, bottom):
            found[row.operator][row.hour] = getattr(row, top) / getattr(row, bottom)
    return found


def _lines(axes: Axes, lines: Mapping[str, Mapping[int, float]], words: Words) -> None:
    """Draw a line for each operator, which has a gap in an hour without a value."""
    ends: list[tuple[float, str, str]] = []
    for (label, values), (color, dash, marker, sign) in zip(
        sorted(lines.items()), _cycled(len(lines)), strict=True
    ):
        hours = [hour for hour in range(_HOURS) if hour in values]
        if not hours:
            continue
        xs, ys = [hours[0] + 0.5], [values[hours[0]]]
        for before, hour in pairwise(hours):
            if hour != before + 1:
                xs.append(before + 1.0)
                ys.append(float("nan"))
            xs.append(hour + 0.5)
            ys.append(values[hour])
        axes.plot(
            xs, ys, color=color, linestyle=dash, marker=marker, markersize=2.5, lw=1.1
        )
        ends.append((values[hours[-1]], f"{sign} {label}", color))
    _y_ticks(axes, lambda value: words.figure(value, "ratio"))
    _end_labels(axes, ends, _DAY_IN / 3 - _MARGINS_IN)


def _stack(axes: Axes, slots: Sequence[Slots], words: Words) -> None:
    """Draw the outcomes of the due slots of each hour, with a label for each."""
    xs = [row.hour + 0.5 for row in slots]
    below = [0] * len(slots)
    for outcome, title, color, hatch in (
        ("ok", words("measured"), d.BLUE, ""),
        ("failed", words("failed"), d.RED, "///"),
        ("skipped", words("skipped"), d.LIGHT, "..."),
    ):
        counts = [getattr(row, outcome) for row in slots]
        if any(counts):
            axes.bar(
                xs,
                counts,
                bottom=below,
                color=color,
                hatch=hatch,
                edgecolor="white",
                width=0.9,
                label=f"{title}: {words.number(sum(counts))}",
            )
        below = [a + b for a, b in zip(below, counts, strict=True)]
    _y_ticks(axes, words.number)
    if slots:
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            frameon=False,
            handlelength=1.2,
            borderaxespad=0.2,
        )


def shares(
    name: str,
    rows: Sequence[tuple[str, Sequence[int]]],
    titles: Sequence[str],
    words: Words,
) -> bytes:
    """Draw measured, failed and skipped slots of each row as shares of 100 %."""
    styles = ((d.BLUE, ""), (d.RED, "///"), (d.LIGHT, "..."))
    with canvas(name, 0.7 + _ROW_IN * 1.3 * len(rows)) as (figure, svg):
        axes = figure.subplots()
        plain_axes(axes)
        left = [0.0] * len(rows)
        for column, (title, (color, hatch)) in enumerate(
            zip(titles, styles, strict=True)
        ):
            widths = [counts[column] / (sum(counts) or 1) for _, counts in rows]
            axes.barh(
                range(len(rows)),
                widths,
                left=left,
                color=color,
                hatch=hatch,
                edgecolor="white",
                height=0.7,
                label=title,
            )
            left = [a + b for a, b in zip(left, widths, strict=True)]
        for y, (_, counts) in enumerate(rows):
            axes.annotate(
                f"n = {words.number(sum(counts))}",
                (1.01, y),
                xycoords=axes.get_yaxis_transform(),
                va="center",
            )
        axes.set_yticks(range(len(rows)), [label for label, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, 1)
        ticks = (0, 0.25, 0.5, 0.75, 1)
        axes.set_xticks(ticks, [f"{words.number(100 * t)}\u00a0%" for t in ticks])
        figure.legend(loc="outside upper left", ncols=3, frameon=False)
    return svg[0]


def around(
    name: str,
    loss: Sequence[tuple[float, float]],
    rsrp: Sequence[tuple[float, float]],
    span: tuple[float, float],
    words: Words,
) -> bytes:
    """Draw loss and signal in minutes from the start of an incident."""
    with canvas(name, 2.9) as (figure, svg):
        panels = figure.subplots(2, 1, sharex=True)
        for axes, values, title, unit in (
            (panels[0], loss, words("Packet loss"), "ratio"),
            (panels[1], rsrp, words("Mean RSRP"), "dBm"),
        ):
            axes.set_title(title, loc="left", fontsize=8, fontweight="bold")
            axes.grid(visible=True, axis="y")
            axes.axvspan(*span, color="#F2D7C4", zorder=0)
            if values:
                xs, ys = _with_gaps(values)
                axes.plot(xs, ys, color=d.BLUE, marker="o", markersize=3, lw=1.2)
            else:
                axes.text(0.02, 0.5, words("no values"), transform=axes.transAxes)
            _y_ticks(axes, partial(_in_unit, words, unit))
        panels[1].set_xlabel(words("Minutes from the start of the incident"))
    return svg[0]


def _with_gaps(
    values: Sequence[tuple[float, float]],
) -> tuple[list[float], list[float]]:
    """Return the points of a line that ends at a step without a value."""
    xs, ys = [values[0][0]], [values[0][1]]
    for (before, _), (x, y) in pairwise(values):
        if x - before > _STEP_MIN * 1.5:
            xs.append((before + x) / 2)
            ys.append(float("nan"))
        xs.append(x)
        ys.append(y)
    return xs, ys


def _in_unit(words: Words, unit: str, value: float) -> str:
    return words.figure(value, unit)
