"""The screen shows the contents of the status, in both languages."""

from __future__ import annotations

import io

from rich.console import Console

from qos_agent.agent.status import LinkStatus
from qos_agent.cli.screen import console, render
from qos_agent.system.language import Translator
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
