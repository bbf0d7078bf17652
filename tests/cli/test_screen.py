"""The screen says what the status holds, in both languages."""

from __future__ import annotations

import io

from rich.console import Console

from qos_agent.cli.screen import render
from qos_agent.system.language import Words
from tests.agent.test_status import example, figures


def _text(words: Words, **changes: object) -> str:
    console = Console(file=io.StringIO(), width=110, color_system=None)
    console.print(render(example(**changes), 2 * 10**12 + 5 * 10**9, words))
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


def test_a_technician_sees_link_loss_backlog_and_what_comes_next() -> None:
    """Links, targets, median RTT, loss, backlog, data and the next task are there."""
    text = _text(Words("en"))
    for said in (
        "3171010001001", "voting", "wwan0", "good", "5.0 kB", "1.0 GB", "gateway",
        "20.0 ms", "2/20", "backlog 3", "latency/main/gateway in 4s", "±2 ms",
    ):  # fmt: skip
        assert said in text, said


def test_the_same_in_indonesian() -> None:
    """Nothing a technician reads stays English when the locale is Indonesian."""
    text = _text(Words("id"))
    for said in ("TPS", "pemungutan suara", "baik", "antrean 3", "Berikutnya"):
        assert said in text, said
    assert "backlog" not in text


def test_a_journal_in_memory_is_said_loudly() -> None:
    """Where nothing can be written the screen says that all is lost at a stop."""
    assert "in memory only" in _text(Words("en"), figures=figures(in_memory=1))
