"""Trouble with output, screen or locale stops neither a command nor a run."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path

import pytest

from qos_agent.journal.reader import EVERY_SEQ, reading
from qos_agent.model import Record
from qos_agent.model.line_protocol import decode

# Each test starts agents in processes of their own and lets them measure for a second.
pytestmark = pytest.mark.slow

WITHOUT = ("latency", "throughput", "web", "form", "signal")
RUN = ["run", *(part for name in WITHOUT for part in ("--without", name))]
# What a shell does with the standard descriptors of the command.
BROKEN = [
    ">/dev/full",
    ">&-",
    ">&- 2>&-",
    "<&- >&- 2>&-",
    ">/dev/full 2>/dev/full",
    "| head -1",
]
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of an agent that only measures its own host."""
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(Path(__file__).parent.parent.parent),
        "QOS_AGENT_STATION__ID": "S1",
        "QOS_AGENT_STATION__PROVINCE": "31",
        "QOS_AGENT_SCHEDULE__IDLE__HOST": "300ms",
        "QOS_AGENT_JOURNAL__FOLDER": str(folder),
        "QOS_AGENT_JOURNAL__COMMIT_EVERY": "1s",
        "QOS_AGENT_JOURNAL__DISK_RESERVE": "0MB",
        "QOS_AGENT_RUNTIME__FOLDER": str(folder),
        **more,
    }


def shell(
    arguments: list[str], redirection: str, folder: Path, **more: str
) -> tuple[int, str]:
    """Run a command as a shell does; return its exit status and what it printed."""
    command = " ".join([sys.executable, "-m", "qos_agent", *arguments, redirection])
    script = f"{command}\nexit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script],
        env=environment(folder, **more),
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")


def records(folder: Path) -> list[Record]:
    """Return the records of the journal."""
    with reading(folder) as journal:
        return [decode(line) for line in journal.lines(EVERY_SEQ)]


def kinds(folder: Path) -> list[str]:
    """Return the kinds of the events in the journal, in order."""
    return [r.tags["kind"] for r in records(folder) if r.measurement == "event"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an agent that has ended."""
    folder = tmp_path_factory.mktemp("measured")
    status, text = shell([*RUN, "--for", "1s"], "", folder)
    assert status == 0, text
    return folder


@pytest.mark.parametrize("redirection", BROKEN)
def test_a_run_measures_without_its_output(tmp_path: Path, redirection: str) -> None:
    """The journal has the readings and an orderly stop, and the exit status is 0."""
    status, text = shell([*RUN, "--for", "1s"], redirection, tmp_path)
    assert status == 0, text
    assert "Traceback" not in text
    assert kinds(tmp_path)[0] == "start"
    assert kinds(tmp_path)[-1] == "stop"
    assert any(record.measurement == "host" for record in records(tmp_path))


def test_a_reader_that_stops_reading_stops_no_measurement(tmp_path: Path) -> None:
    """A pipe that is full blocks neither the readings nor the stop."""
    inside, outside = os.pipe()
    os.set_blocking(outside, False)
    try:
        while os.write(outside, b"x" * 4096):
            pass
    except BlockingIOError:
        os.set_blocking(outside, True)
    agent = subprocess.Popen(
        [sys.executable, "-m", "qos_agent", *RUN, "--for", "1s"],
        env=environment(tmp_path),
        stdout=outside,
        stderr=outside,
    )
    os.close(outside)
    assert agent.wait(40) == 0
    os.close(inside)
    assert kinds(tmp_path)[-1] == "stop"


@pytest.mark.parametrize("hang_up", [True, False], ids=["hang-up", "signals"])
def test_a_run_on_a_terminal_that_goes_away_ends_orderly(
    tmp_path: Path, hang_up: bool
) -> None:
    """The kernel sends SIGHUP and refuses output; the readings are on disk."""
    process, terminal = pty.fork()
    if not process:  # pragma: no cover  the child
        os.execve(
            sys.executable,
            [sys.executable, "-m", "qos_agent", *RUN, "--for", "50s"],
            environment(tmp_path, TERM="xterm"),
        )
    shown = b""
    while b"host" not in shown:
        shown += os.read(terminal, 65536)
    if hang_up:
        os.close(terminal)
    else:
        os.kill(process, signal.SIGQUIT)
    _, status = _wait(process, terminal if not hang_up else None)
    assert os.waitstatus_to_exitcode(status) == 0
    assert kinds(tmp_path)[-1] == "stop"


def _wait(process: int, terminal: int | None) -> tuple[int, int]:
    """Wait for a child, and read its terminal meanwhile."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if terminal is not None:
            os.set_blocking(terminal, False)
            with suppress(OSError):
                os.read(terminal, 65536)
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return ended, status
        time.sleep(0.02)
    raise AssertionError("the agent did not end")


def test_a_stopped_terminal_stops_no_measurement(tmp_path: Path) -> None:
    """Ctrl-S holds the screen, while readings are committed and SIGTERM ends it."""
    process, terminal = pty.fork()
    if not process:  # pragma: no cover  the child
        os.execve(
            sys.executable,
            [sys.executable, "-m", "qos_agent", *RUN, "--for", "50s"],
            environment(tmp_path, TERM="xterm"),
        )
    shown = b""
    while b"host" not in shown:
        shown += os.read(terminal, 65536)
    termios.tcflow(terminal, termios.TCOOFF)
    before = len(records(tmp_path))
    end = time.monotonic() + 20
    while len(records(tmp_path)) <= before + 2:
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(process, signal.SIGTERM)
    _, status = _wait(process, None)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize(
    ("command", "redirection"),
    [
        *(("status", redirection) for redirection in BROKEN),
        ("status --json", ">/dev/full"),
        ("status --watch", "| head -c1"),
        ("journal verify", ">/dev/full"),
        ("config check", ">&-"),
        ("once --probe host", ">/dev/full"),
    ],
)
def test_a_command_with_a_verdict_keeps_its_exit_status(
    measured: Path, command: str, redirection: str
) -> None:
    """The exit status says what the command found, not that its output was lost."""
    status, text = shell(command.split(), redirection, measured)
    expected = int(command.startswith("status"))  # no agent is running
    assert (status, "Traceback" in text) == (expected, False), text


@pytest.mark.parametrize(
    ("command", "redirection"),
    [
        *(("journal export", redirection) for redirection in BROKEN),
        ("journal tail", ">/dev/full"),
        ("journal tail", "| head -1"),
        ("journal stats", ">/dev/full"),
        ("config show", ">/dev/full"),
        ("election template", ">/dev/full"),
        ("noc simulate healthy --dry", ">/dev/full"),
    ],
)
def test_a_command_whose_product_is_lost_fails(
    measured: Path, command: str, redirection: str
) -> None:
    """The status is 1 with one line, and 0 if the reader has read enough."""
    status, text = shell(command.split(), redirection, measured)
    expected = 0 if "head" in redirection else 1
    assert (status, "Traceback" in text) == (expected, False), text
    if redirection == ">/dev/full":
        assert text == "standard output: No space left on device\n"


@pytest.mark.parametrize(
    "command", [["status"], ["doctor"], ["journal", "tail"], ["config", "show"]]
)
def test_an_ascii_locale_shows_what_it_can(measured: Path, command: list[str]) -> None:
    """A character that the locale lacks is a question mark."""
    status, text = shell(command, "", measured, **ASCII)
    assert "Traceback" not in text
    assert status in {0, 1}
    assert text.isascii()
    assert len(text) > 100


def test_a_run_in_an_ascii_locale_measures(tmp_path: Path) -> None:
    """The log of a run needs no UTF-8."""
    name = {"QOS_AGENT_LINKS": json.dumps([{"name": "utama", "operator": "xl"}])}
    status, text = shell([*RUN, "--for", "1s"], "", tmp_path, **ASCII, **name)
    assert status == 0, text
    assert kinds(tmp_path)[-1] == "stop"


@pytest.mark.parametrize(
    "command",
    [
        ["export", "--out", "/dev/null/x"],
        ["journal", "export", "/dev/full"],
        ["config", "init", "/dev/null/x"],
    ],
    ids=" ".join,
)
def test_a_file_that_cannot_be_written_is_one_line(
    measured: Path, command: list[str]
) -> None:
    """The line names the file or the reason, and the status is 1."""
    status, text = shell(command, "", measured)
    assert (status, text.count("\n")) == (1, 1), text
