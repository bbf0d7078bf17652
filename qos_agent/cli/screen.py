"""The agent's status as a screen: the live view of `run` and `status --watch`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from qos_agent.agent.status import Latest, LinkStatus, Status
from qos_agent.model.units import duration_text, size_text
from qos_agent.system.language import Words

# Blue, orange and vermilion of Okabe and Ito: told apart by the colour-blind too.
_STYLES = {
    "good": "#56b4e9", "ok": "#56b4e9",
    "degraded": "#e69f00", "skipped": "#e69f00",
    "bad": "bold #d55e00", "failed": "bold #d55e00",
}  # fmt: skip


def render(status: Status, now_boot_ns: int, words: Words) -> RenderableType:
    """The whole screen."""
    return Group(
        _header(status, words),
        _links(status.links, words),
        _latest(status.latest, now_boot_ns, words),
        _footer(status, words),
    )


def _header(status: Status, words: Words) -> RenderableType:
    lines = [
        (
            f"{words('station')} {status.station} · {status.device} · "
            f"{words('phase')} {words(status.phase)}"
        ),
        (
            f"{words('clock')} {_clock(status, words)} · "
            f"{words('collector')} {_collector(status, words)}"
        ),
    ]
    if status.figures.in_memory:
        lines.append(words("in memory only: nothing survives a stop"))
    title = f"QoS Agent {status.figures.version}"
    return Panel(Text("\n".join(lines)), title=title, title_align="left")


def _clock(status: Status, words: Words) -> str:
    if not status.clock_trusted:
        return words("not trusted")
    if not status.clock_synced:
        return words("not synchronised")
    error = status.clock_error_ms
    return words("synchronised") + (f" ±{error:.0f} ms" if error is not None else "")


def _collector(status: Status, words: Words) -> str:
    if status.collector is None:
        return words("none configured")
    return f"{status.collector} ({status.collector_state})"


def _links(links: Sequence[LinkStatus], words: Words) -> Table:
    table = _table(
        words, "Links",
        ("link", "operator", "interface", "verdict", "moved", "left this month",
         "needed until reset"),
    )  # fmt: skip
    for link in links:
        left = link.month_left_bytes
        table.add_row(
            link.name,
            link.operator,
            link.interface or "-",
            _styled(link.verdict or "unknown", words, link.verdict_kpi),
            "-" if link.moved_bytes is None else size_text(link.moved_bytes),
            words("unlimited") if left is None else size_text(left),
            "-" if (need := link.month_need_bytes) is None else size_text(need),
        )
    return table


def _latest(latest: Sequence[Latest], now_boot_ns: int, words: Words) -> Table:
    table = _table(
        words, "Measurements",
        ("what", "link", "target", "median RTT", "loss", "result", "last"),
    )  # fmt: skip
    for entry in latest:
        age_s = max(0.0, (now_boot_ns - entry.boot_ns) / 1e9)
        table.add_row(
            entry.measurement,
            entry.tags.get("link", ""),
            entry.tags.get("target") or entry.tags.get("direction", ""),
            _milliseconds(entry.fields.get("rtt_p50_ms")),
            _loss(entry),
            _result(entry, words),
            f"{duration_text(age_s)} {words('ago')}",
        )
    return table


def _table(words: Words, title: str, columns: Sequence[str]) -> Table:
    table = Table(title=words(title), title_justify="left", expand=True, box=None)
    for column in columns:
        table.add_column(words(column), header_style="bold", overflow="fold")
    return table


def _milliseconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1f} ms" if value >= 1 else f"{value:.2f} ms"


def _loss(entry: Latest) -> str:
    sent = entry.fields.get("sent")
    if not sent:
        return ""
    lost = sent - entry.fields.get("received", 0)
    return f"{lost}/{sent}"


def _result(entry: Latest, words: Words) -> Text:
    rate = entry.fields.get("rate_bps")
    said = f"{rate / 1e6:.1f} Mbit/s" if rate is not None else entry.reason
    return _styled(entry.outcome, words, said)


def _styled(kind: str, words: Words, more: str | None) -> Text:
    text = words(kind) + (f" · {more}" if more else "")
    return Text(text, style=_STYLES.get(kind, ""))


def _footer(status: Status, words: Words) -> RenderableType:
    counts = " · ".join(
        f"{words(name)} {status.outcomes.get(name, 0)}"
        for name in ("ok", "failed", "skipped")
    )
    upcoming = ", ".join(
        f"{task.task} {words('in')} {duration_text(max(0.0, task.in_s))}"
        for task in status.upcoming[:3]
    )
    lines = [
        counts,
        (
            f"{words('stored')} {status.stored_points} · {words('sent')} "
            f"{status.sent_points} · {words('backlog')} {status.figures.backlog_points}"
        ),
        f"{words('Next')}: {upcoming}",
    ]
    if status.paused:
        lines.append(f"{words('paused')}: {', '.join(status.paused)}")
    return Panel(Text("\n".join(lines)))
