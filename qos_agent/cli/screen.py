"""The screen of `run` and `status`, drawn from the agent's status."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from qos_agent.agent.status import Latest, LinkStatus, Status
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
    """Return a console that shows names as they are, also those with brackets."""
    return Console(markup=False, emoji=False, highlight=False)


class LiveScreen:
    """The live screen of `run`; it is drawn only in `show`, and by no other thread."""

    def __init__(self, translate: Translator) -> None:
        self._translate = translate
        self._live: Live | None = None

    def show(self, status: Status) -> None:
        """Draw the status, or replace the one before."""
        screen = render(status, status.boot_ns, self._translate)
        if self._live is None:
            self._live = Live(screen, console=console(), auto_refresh=False)
            self._live.start(refresh=True)
        else:
            self._live.update(screen, refresh=True)

    def close(self) -> None:
        """Leave the last status on the terminal."""
        if self._live is not None:
            self._live.stop()


def render(status: Status, now_boot_ns: int, translate: Translator) -> RenderableType:
    """Return the whole screen. Ages refer to `now_boot_ns`."""
    return Group(
        _header(status, translate),
        _links(status.links, translate),
        _latest(status.latest, now_boot_ns, translate),
        _footer(status, translate),
    )


def _header(status: Status, translate: Translator) -> RenderableType:
    lines = [
        (
            f"{translate('station')} {status.station} · {status.device} · "
            f"{translate('phase')} {translate(status.phase)}"
        ),
        (
            f"{translate('clock')} {_clock(status, translate)} · "
            f"{translate('collector')} {_collector(status, translate)}"
        ),
    ]
    if status.collector_state == "failing" and status.collector_error:
        lines.append(status.collector_error)
    if status.figures.in_memory:
        text = (
            "The journal is in memory only. All readings are lost when the agent stops."
        )
        lines.append(translate(text))
    lines.append(_seal(status, translate))
    title = Text(f"QoS Agent {status.figures.version}")
    return Panel(Text("\n".join(lines)), title=title, title_align="left")


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
    if status.collector is None:
        return translate("none configured")
    state = _COLLECTOR_STATES.get(status.collector_state, status.collector_state)
    return f"{status.collector} ({translate(state)})"


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
    detail = f"{rate / 1e6:.1f} Mbit/s" if rate is not None else entry.reason
    return _styled(entry.outcome, translate, detail)


def _styled(kind: str, translate: Translator, detail: str | None) -> Text:
    text = translate(kind) + (f" · {detail}" if detail else "")
    return Text(text, style=_STYLES.get(kind, ""))


def _footer(status: Status, translate: Translator) -> RenderableType:
    counts = " · ".join(
        f"{translate(name)} {status.outcomes.get(name, 0)}"
        for name in ("ok", "failed", "skipped")
    )
    upcoming = ", ".join(
        translate(
            "{task} in {delay}",
            task=upcoming.task,
            delay=duration_text(max(0.0, upcoming.in_s)),
        )
        for upcoming in status.upcoming[:3]
    )
    points = " · ".join(
        f"{translate(label)} {count}"
        for label, count in (
            ("stored", status.stored_points),
            ("sent", status.sent_points),
            ("backlog", status.figures.backlog_points),
        )
    )
    lines = [counts, points, f"{translate('Next')}: {upcoming}"]
    if status.paused:
        lines.append(f"{translate('paused')}: {', '.join(status.paused)}")
    return Panel(Text("\n".join(lines)))
