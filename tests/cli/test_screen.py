"""The screen shows the contents of the status, in both languages."""

from __future__ import annotations

import fcntl
import io
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from qos_agent.agent import status
from qos_agent.agent.status import Latest, LinkStatus, Status
from qos_agent.cli.screen import console, render
from qos_agent.cli.screen_lines import flow
from qos_agent.influx.fixes import CREDENTIALS
from qos_agent.system.language import Language, Translator
from tests.agent.test_status import example, figures


def _text(translate: Translator, **changes: object) -> str:
    console = Console(file=io.StringIO(), width=110, color_system=None)
    screen = render(example(**changes), 2 * 10**12 + 5 * 10**9, translate)
    console.print(screen)
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


def test_the_screen_shows_links_loss_backlog_and_the_next_task() -> None:
    """Links, targets, median RTT, loss, backlog, data and the next task are there."""
    text = _text(Translator("en"))
    for expected in (
        "3171010001001",
        "voting",
        "wwan0",
        "good",
        "5.0 kB",
        "1.0 GB",
        "gateway",
        "20.0 ms",
        "2/20",
        "backlog 3",
        "latency/main/gateway in 4s",
        "±2 ms",
    ):
        assert expected in text, expected


def test_the_screen_is_in_indonesian() -> None:
    """No English label is left."""
    text = _text(Translator("id"))
    for expected in (
        "TPS",
        "pemungutan suara",
        "baik",
        "antrean 3",
        "Berikutnya",
        "dalam 4s",
        "kolektor",
        "sisa kuota",
        "lalu",
    ):
        assert expected in text, expected
    for english in ("backlog", "station", "allowance", "ago", "measured"):
        assert english not in text, english


def test_a_journal_in_memory_is_announced() -> None:
    """If nothing can be written, the screen warns that readings will be lost."""
    assert "in memory only" in _text(Translator("en"), figures=figures(in_memory=1))


def test_names_with_brackets_are_shown_as_they_are() -> None:
    """Brackets in an operator's name are no markup."""
    link = LinkStatus("[/b]", "[b]:ok:", None, None, None, None, None, None, None)
    output = console()
    with output.capture() as capture:
        output.print(render(example(links=[link]), 0, Translator("en")))
    assert "[/b]" in capture.get()
    assert "[b]:ok:" in capture.get()


def _board(**changes: object) -> Status:
    """Return a board with two links and every kind of measurement."""
    boot_ns = 2 * 10**12
    latency = {"rtt_p50_ms": 35.123, "sent": 20, "received": 18}
    latest = [Latest("host", {}, boot_ns, "ok", None, {})]
    for link in ("main", "second"):
        for target in ("gateway", "resolver", "cloudflare", "google", "quad9"):
            tags = {"link": link, "target": target}
            latest.append(Latest("latency", tags, boot_ns, "ok", None, {**latency}))
        tags, fields = {"link": link, "direction": "down"}, {"rate_bps": 12.3e6}
        latest.append(Latest("throughput", tags, boot_ns, "ok", None, {**fields}))
        tags = {"link": link, "technology": "lte"}
        latest.append(Latest("signal", tags, boot_ns, "failed", "modem_manager", {}))
    links = [
        LinkStatus(
            "main", "telkomsel", "wwan0", "bad", "loss", 12**9, 12**10, 0, 3**20
        ),
        LinkStatus("second", "indosat", "wwan1", "good", None, 5000, None, None, None),
    ]
    collector = {
        "collector": "https://collector.province-31.example.id:8086",
        "collector_state": "failing",
        "collector_error": "HTTP 401: token not accepted. Fix: " + CREDENTIALS,
    }
    return example(links=links, latest=latest, **collector, **changes)


def _drawn(status: Status, width: int, language: Language = "en") -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(render(status, 2 * 10**12 + 5 * 10**9, Translator(language)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("language", ["en", "id"])
@pytest.mark.parametrize("width", [104, 80, 40, 20, 10, 1])
def test_the_whole_board_fits_into_each_width(width: int, language: Language) -> None:
    """No line is wider than the terminal, and no value is cut."""
    text = _drawn(_board(), width, language)
    assert max(map(cell_len, text.splitlines())) <= width
    joined = "".join(text.split())
    for value in ("3171010001001", "telkomsel", "modem_manager", "cloudflare"):
        assert width > 99 or value in joined, value


@pytest.mark.parametrize("language", ["en", "id"])
def test_a_measurement_takes_one_line_of_forty_columns(language: Language) -> None:
    """A phone shows target, median, loss, result and age side by side."""
    lines = _drawn(_board(), 40, language).splitlines()
    (line, _) = [line for line in lines if line.startswith("cloudflare")]
    ok = "ok" if language == "en" else "berhasil"
    assert line == f"cloudflare 35.1 ms 2/20 {ok} 5s"
    assert len([line for line in lines if line.startswith("throughput down")]) == 2


@pytest.mark.parametrize("width", [110, 80, 40])
def test_the_cause_is_shown_with_a_failing_delivery(width: int) -> None:
    """The cause and its fix follow the words `delivery fails`."""
    text = " ".join(_drawn(_board(), width).replace("│", " ").split())
    assert f"delivery fails: HTTP 401: token not accepted. fix: {CREDENTIALS}" in text


@pytest.mark.parametrize("width", [200, 60, 40])
def test_a_latency_reading_that_lost_every_packet_is_shown(width: int) -> None:
    """A target without any response has loss but no delay, and is on the board."""
    tags = {"link": "main", "target": "quad9"}
    fields = {"sent": 10, "received": 0}
    lost = Latest("latency", tags, 2 * 10**12, "failed", "no_route", {**fields})
    drawn = _drawn(example(latest=[lost]), width)
    assert "quad9" in drawn
    assert "10/10" in drawn
    assert "no_route" in drawn


def test_a_board_that_is_too_high_is_shown_in_pages() -> None:
    """Every line is on one page, and each page fits into the terminal."""
    console = Console(file=io.StringIO(), width=40, height=12, color_system=None)
    whole = _drawn(_board(), 40).splitlines()
    shown = []
    for page in range(20):
        with console.capture() as capture:
            screen = render(_board(), page * 5 * 10**9, Translator("en"), live=True)
            console.print(screen)
        *lines, last = capture.get().splitlines()
        assert len(lines) <= 11
        number, _, count = last.partition("/")
        if page < int(count):
            assert int(number) == page + 1
            shown += lines
    assert [line.split()[:1] for line in shown] == [line.split()[:1] for line in whole]


@given(
    st.lists(st.text("ab /-é ", min_size=1, max_size=60), min_size=1, max_size=5),
    st.integers(1, 50),
)
def test_lines_keep_every_character(entries: list[str], width: int) -> None:
    """Folding loses only spaces, and no line is too long."""
    lines = flow([Text(entry) for entry in entries], width)
    assert all(line.cell_len <= width for line in lines)
    folded = "".join(line.plain for line in lines).replace(" · ", "")
    assert folded.replace(" ", "") == "".join(entries).replace(" ", "")


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "rows"), [(40, 24), (20, 10), (80, 24), (0, 0)])
def test_watching_works_on_a_terminal_of_any_size(
    columns: int, rows: int, tmp_path: Path
) -> None:
    """A phone, a small window and a terminal that reports no size show the board."""
    folder = tmp_path / "qos-agent-data"
    folder.mkdir()
    status.write(_board(pid=os.getpid()), folder)
    output, terminal = os.openpty()
    size = struct.pack("HHHH", rows, columns, 0, 0)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)
    command = [sys.executable, "-m", "qos_agent", "status", "--watch"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={"TERM": "xterm", "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        text = _read_until(output, "3171010001001")
        process.send_signal(signal.SIGINT)
    os.close(output)
    frames = text.replace("\x1b[H", "\n")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", frames)
    longest = max(len(line.rstrip("\r")) for line in plain.split("\n"))
    assert longest <= (columns or 80)
    assert "Traceback" not in text


def test_a_dumb_terminal_gets_the_status_too(tmp_path: Path) -> None:
    """It cannot replace a screen, so each status is printed below the last one."""
    folder = tmp_path / "qos-agent-data"
    folder.mkdir()
    status.write(_board(pid=os.getpid()), folder)
    output, terminal = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "qos_agent", "status", "--watch"],
        cwd=tmp_path,
        env={"TERM": "dumb", "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        _read_until(output, "3171010001001")
        process.send_signal(signal.SIGINT)
    os.close(output)


def _read_until(handle: int, word: str) -> str:
    text = ""
    while word not in text and select.select([handle], [], [], 20)[0]:
        text += os.read(handle, 65536).decode(errors="replace")
    assert word in text, text
    return text
