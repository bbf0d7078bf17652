"""The screen of `run` and `status`, drawn from the agent's status."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from rich.console import (
    Console,
    ConsoleOptions,
    Group,
    RenderableType,
    RenderResult,
)
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from qos_agent.agent.status import Latest, LinkStatus, Status
from qos_agent.cli.screen_lines import flow, table
from qos_agent.cli.screen_pages import page
from qos_agent.model.units import duration_text, size_text
from qos_agent.system.language import Translator

# Blue, orange and vermilion of Okabe and Ito differ for colour-blind readers too.
_STYLES = {
    "good": "#56b4e9",
    "ok": "#56b4e9",
    "degraded": "#e69f00",
    "skipped": "#e69f00",
    "bad": "bold #d55e00",
    "failed": "bold #d55e00",
}
# Below this width the tables would break words in their columns.
_WIDE = 100
_UNKNOWN_WIDTH = 80
_LEAST_HEIGHT = 3
_LINK_COLUMNS = (
    "link",
    "operator",
    "interface",
    "verdict",
    "data used",
    "allowance left",
    "needed until reset",
)
_LATEST_COLUMNS = (
    "measurement",
    "link",
    "target",
    "median RTT",
    "packet loss",
    "result",
    "measured",
)
_COLLECTOR_STATES = {
    "idle": "waiting",
    "sending": "sending",
    "failing": "delivery fails",
}


def console() -> Console:
    """Return a console that shows names as they are, also those with brackets.

    A size of zero, which some terminals report, counts as unknown.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"COLUMNS", "LINES"} or value.strip("0 ")
    }
    return Console(markup=False, emoji=False, highlight=False, _environ=environment)


class LiveScreen:
    """The live screen of `run`; it is drawn only in `show`, and by no other thread."""

    def __init__(self, translate: Translator) -> None:
        self._translate = translate
        self._live: Live | None = None

    def show(self, status: Status) -> None:
        """Draw the status, or replace the one before."""
        screen = render(status, status.boot_ns, self._translate, live=True)
        if self._live is None:
            self._live = Live(screen, console=console(), auto_refresh=False)
            self._live.start(refresh=True)
        else:
            self._live.update(screen, refresh=True)

    def close(self) -> None:
        """Leave the last status on the terminal."""
        if self._live is not None:
            self._live.stop()


def render(
    status: Status, now_boot_ns: int, translate: Translator, *, live: bool = False
) -> RenderableType:
    """Return the whole board. Ages refer to `now_boot_ns`.

    A live board that is higher than the terminal shows its pages in turn.
    """
    return _Board(status, now_boot_ns, translate, live)


@dataclass(frozen=True, slots=True)
class _Board:
    """The board in the form for the width of the terminal."""

    status: Status
    now_boot_ns: int
    translate: Translator
    live: bool

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        """Yield tables on a wide terminal, lines on a narrow one."""
        width = options.max_width or _UNKNOWN_WIDTH
        options = options.update(width=width)
        board = self._wide() if width >= _WIDE else self._narrow(width)
        height = options.height or options.max_height
        if not self.live or height < _LEAST_HEIGHT:
            yield board
            return
        lines = console.render_lines(board, options.update(height=None), pad=False)
        yield page(lines, height, self.now_boot_ns)

    def _wide(self) -> RenderableType:
        return Group(
            _header(self.status, self.translate),
            _links(self.status.links, self.translate),
            _latest(self.status.latest, self.now_boot_ns, self.translate),
            _footer(self.status, self.translate),
        )

    def _narrow(self, width: int) -> RenderableType:
        return Text("\n").join(
            _narrow_lines(self.status, self.now_boot_ns, self.translate, width)
        )


def _header(status: Status, translate: Translator) -> RenderableType:
    title = Text(f"QoS Agent {status.figures.version}")
    lines = [" · ".join(line) for line in _states(status, translate)]
    return Panel(Text("\n".join(lines)), title=title, title_align="left")


def _states(status: Status, translate: Translator) -> Iterator[list[str]]:
    """Yield the entries above the tables, by line."""
    station = f"{translate('station')} {status.station}"
    yield [station, status.device, f"{translate('phase')} {translate(status.phase)}"]
    clock = f"{translate('clock')} {_clock(status, translate)}"
    yield [clock, _collector(status, translate)]
    if status.figures.in_memory:
        text = (
            "The journal is in memory only. All readings are lost when the agent stops."
        )
        yield [translate(text)]
    yield [_seal(status, translate)]


def _seal(status: Status, translate: Translator) -> str:
    if status.not_sealed is not None:
        return translate("not sealed: {reason}", reason=translate(status.not_sealed))
    if status.sealed_size is None:
        return translate("not sealed yet")
    return translate("sealed: {points} points", points=status.sealed_size)


def _clock(status: Status, translate: Translator) -> str:
    if not status.clock_trusted:
        return translate("not trusted")
    if not status.clock_synced:
        return translate("not synchronised")
    error_ms = status.clock_error_ms
    accuracy = "" if error_ms is None else f" ±{error_ms:.0f} ms"
    return translate("synchronised") + accuracy


def _collector(status: Status, translate: Translator) -> str:
    """Return the collector and its state; the cause follows `delivery fails`."""
    name = translate("collector")
    if status.collector is None:
        return f"{name} {translate('none configured')}"
    state = _COLLECTOR_STATES.get(status.collector_state, status.collector_state)
    text = translate(state)
    if status.collector_state == "failing" and status.collector_error:
        problem, _, fix = status.collector_error.partition(". Fix: ")
        text += f": {problem}"
        if fix:
            text += f". {translate('fix')}: {translate(fix)}"
    return f"{name} {status.collector} ({text})"


def _links(links: Sequence[LinkStatus], translate: Translator) -> Table:
    table = _table(translate, "Links", _LINK_COLUMNS)
    for link in links:
        left = link.month_left_bytes
        table.add_row(
            link.name,
            link.operator,
            link.interface or "-",
            _styled(link.verdict or "unknown", translate, link.verdict_kpi),
            "-" if link.moved_bytes is None else size_text(link.moved_bytes),
            translate("unlimited") if left is None else size_text(left),
            "-" if (need := link.month_need_bytes) is None else size_text(need),
        )
    return table


def _latest(latest: Sequence[Latest], now_boot_ns: int, translate: Translator) -> Table:
    table = _table(translate, "Measurements", _LATEST_COLUMNS)
    for entry in latest:
        age_s = max(0.0, (now_boot_ns - entry.boot_ns) / 1e9)
        table.add_row(
            entry.measurement,
            entry.tags.get("link", ""),
            entry.tags.get("target") or entry.tags.get("direction", ""),
            _round_trip(entry),
            _loss(entry),
            _result(entry, translate),
            translate("{age} ago", age=duration_text(age_s)),
        )
    return table


def _table(translate: Translator, title: str, columns: Sequence[str]) -> Table:
    table = Table(title=translate(title), title_justify="left", expand=True, box=None)
    for column in columns:
        table.add_column(translate(column), header_style="bold", overflow="fold")
    return table


def _round_trip(entry: Latest) -> str:
    """Return the median of ICMP or STAMP; that of TCP handshakes has its name."""
    if (handshake_ms := _number(entry, "tcp_rtt_p50_ms")) is not None:
        return f"{_milliseconds(handshake_ms)} TCP"
    return _milliseconds(_number(entry, "rtt_p50_ms"))


def _number(entry: Latest, name: str) -> float | None:
    """Return a field that is a number, or None."""
    value = entry.fields.get(name)
    return None if isinstance(value, str) else value


def _milliseconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1f} ms" if value >= 1 else f"{value:.2f} ms"


def _loss(entry: Latest) -> str:
    for prefix, label in (("", ""), ("tcp_", " TCP")):
        if sent := _number(entry, f"{prefix}sent"):
            lost = sent - (_number(entry, f"{prefix}received") or 0)
            return f"{lost}/{sent}{label}"
    return ""


def _result(entry: Latest, translate: Translator) -> Text:
    rate = _number(entry, "rate_bps")
    detail = _rate(rate) if rate is not None else entry.reason
    return _styled(entry.outcome, translate, detail)


def _styled(kind: str, translate: Translator, detail: str | None) -> Text:
    text = translate(kind) + (f" · {detail}" if detail else "")
    return Text(text, style=_STYLES.get(kind, ""))


def _narrow_lines(
    status: Status, now_boot_ns: int, translate: Translator, width: int
) -> Iterator[Text]:
    """Yield the lines of the board for a narrow terminal."""
    yield from flow([Text(f"QoS Agent {status.figures.version}")], width)
    for entries in _states(status, translate):
        yield from flow([Text(entry) for entry in entries], width)
    for link in status.links:
        yield from flow(_narrow_link(link, translate), width)
    for group in _groups(status.latest):
        if name := group[0].tags.get("link"):
            yield from flow([Text(name, style="bold")], width)
        rows = [_narrow_row(entry, now_boot_ns, translate) for entry in group]
        yield from _narrow_table(rows, width)
    for line in _totals(status, translate):
        yield from flow([Text(part) for part in line], width)


def _narrow_link(link: LinkStatus, translate: Translator) -> list[Text]:
    """Return the entries of a link; unknown values are left out."""
    named = (
        ("data used", link.moved_bytes),
        ("allowance left", link.month_left_bytes),
        ("needed until reset", link.month_need_bytes),
    )
    names = " ".join(filter(None, (link.name, link.operator, link.interface)))
    return [
        Text(names, style="bold"),
        _styled(link.verdict or "unknown", translate, link.verdict_kpi),
        *(
            Text(f"{translate(name)} {size_text(value)}")
            for name, value in named
            if value is not None
        ),
    ]


def _groups(latest: Sequence[Latest]) -> list[list[Latest]]:
    """Return the measurements of the device, then those of each link."""
    groups: dict[str, list[Latest]] = {}
    for entry in latest:
        groups.setdefault(entry.tags.get("link", ""), []).append(entry)
    return [groups[name] for name in sorted(groups)]


def _narrow_row(
    entry: Latest, now_boot_ns: int, translate: Translator
) -> tuple[Text, ...]:
    """Return name, value, loss, result and age; a target's name is enough."""
    target = entry.tags.get("target") if entry.measurement == "latency" else None
    place = entry.tags.get("direction", entry.tags.get("target", ""))
    name = target or f"{entry.measurement} {place}".strip()
    age_s = max(0.0, (now_boot_ns - entry.boot_ns) / 1e9)
    rate = _number(entry, "rate_bps")
    value = _round_trip(entry) if rate is None else _rate(rate)
    result = _styled(entry.outcome, translate, entry.reason)
    cells = (Text(name), Text(value), Text(_loss(entry)), result)
    return (*cells, Text(_short(age_s)))


def _narrow_table(rows: Sequence[tuple[Text, ...]], width: int) -> Iterator[Text]:
    """Yield aligned rows; those without a value or without loss need less width.

    A failed latency reading has loss but no value.
    """
    for filled in product((True, False), repeat=2):
        same = [row for row in rows if (bool(row[1]), bool(row[2])) == filled]
        yield from table(same, width)


def _short(age_s: float) -> str:
    """Return an age in its largest unit, such as 29m."""
    return re.sub(r"(?<=[a-z])\d.*", "", duration_text(age_s))


def _rate(rate_bps: float) -> str:
    return f"{rate_bps / 1e6:.1f} Mbit/s"


def _footer(status: Status, translate: Translator) -> RenderableType:
    lines = [" · ".join(line) for line in _totals(status, translate)]
    return Panel(Text("\n".join(lines)))


def _totals(status: Status, translate: Translator) -> Iterator[list[str]]:
    """Yield the entries below the tables, by line."""
    names = ("ok", "failed", "skipped")
    yield [f"{translate(name)} {status.outcomes.get(name, 0)}" for name in names]
    counts = (
        ("stored", status.stored_points),
        ("sent", status.sent_points),
        ("backlog", status.figures.backlog_points),
    )
    yield [f"{translate(label)} {count}" for label, count in counts]
    upcoming = [
        translate(
            "{task} in {delay}",
            task=upcoming.task,
            delay=duration_text(max(0.0, upcoming.in_s)),
        )
        for upcoming in status.upcoming[:3]
    ]
    if upcoming:
        yield [f"{translate('Next')}: {upcoming[0]}", *upcoming[1:]]
    if status.paused:
        yield [f"{translate('paused')}: {', '.join(status.paused)}"]
