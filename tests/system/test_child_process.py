"""A child process keeps its limits on time and output and leaves no process."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from qos_agent.model.errors import ProbeError
from qos_agent.system.child_process import ChildResult, program, run_child
from tests.support.children import alive


def python(code: str, **options: object) -> ChildResult:
    """Run a few lines of Python as the child."""
    options = {"timeout_s": 10.0, "output_limit_bytes": 1000, **options}
    return run_child([sys.executable, "-c", code], **options)  # type: ignore[arg-type]


def cause_of(result: ChildResult) -> str | None:
    """Return the cause that a probe would report."""
    failure = result.failure()
    return failure.cause if failure else None


def test_the_output_of_a_child_is_returned() -> None:
    """Both outputs and the status of a child that ends by itself are complete."""
    result = python("import sys; print('out'); print('err', file=sys.stderr)")
    assert (result.exit_status, result.stdout, result.stderr) == (0, b"out\n", b"err\n")
    assert result.failure() is None


def test_standard_input_may_be_ignored() -> None:
    """A child may read its input; one that reads nothing does not block."""
    assert python("print(len(input()))", stdin=b"x" * 200_000).stdout == b"200000\n"
    assert python("pass", stdin=b"x" * 200_000).exit_status == 0


def test_an_error_status_is_reported_with_its_message() -> None:
    """The status and the last line of standard error become the detail."""
    failure = python("import sys; sys.exit('no such server')").failure()
    assert str(failure) == "child_exit: status 1: no such server"


def test_a_signal_is_named() -> None:
    """A child that a signal ended has a cause of its own, with the signal's name."""
    failure = python("import os; os.kill(os.getpid(), 11)").failure()
    assert str(failure) == "child_signal: SIGSEGV"


def test_a_hanging_child_is_killed_at_its_deadline() -> None:
    """A child that ignores SIGTERM ends with `deadline` soon after its time."""
    started = time.monotonic()
    result = python(
        "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)",
        timeout_s=0.5,
    )
    assert cause_of(result) == "deadline"
    assert time.monotonic() - started < 3


def test_a_flood_is_cut_at_the_limit() -> None:
    """A child that prints without end is killed; the output has the limit's length."""
    result = python("while True: print('x' * 1000)", output_limit_bytes=5000)
    assert cause_of(result) == "child_output"
    assert len(result.stdout) == 5000


def test_a_child_that_closes_its_outputs_is_still_watched() -> None:
    """Closed outputs do not end the wait, which uses no processor time."""
    before = time.process_time()
    result = python(
        "import os, time; os.close(1); os.close(2); time.sleep(60)", timeout_s=0.5
    )
    assert cause_of(result) == "deadline"
    assert time.process_time() - before < 0.2


def test_the_watch_can_end_the_child() -> None:
    """The cause that the watch returns is the cause of the failure."""
    causes = iter([None, None, "allowance"])
    result = python("import time; time.sleep(60)", watch=lambda: next(causes))
    assert cause_of(result) == "allowance"


def test_a_watch_that_fails_leaves_no_child(tmp_path: Path) -> None:
    """An error in the watch is raised after the child has been killed."""
    note = tmp_path / "pid"

    def fail() -> str | None:
        if note.exists() and note.read_text():
            raise ProbeError("link_down")
        return None

    with pytest.raises(ProbeError, match="link_down"):
        python(
            f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid()));"
            "time.sleep(60)",
            watch=fail,
        )
    assert not psutil.pid_exists(int(note.read_text()))


def test_grandchildren_end_too() -> None:
    """A process that the child started ends, even after the child succeeded."""
    result = python(
        "import subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True)"
    )
    grandchild = int(result.stdout)
    end = time.monotonic() + 5
    while alive(grandchild) and time.monotonic() < end:
        os.sched_yield()
    assert not alive(grandchild)


def test_no_handle_is_left_open() -> None:
    """A run leaves as many open files as before, in success and in failure."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    python("pass", stdin=b"x")
    python("import time; time.sleep(60)", timeout_s=0.1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_missing_program_is_named() -> None:
    """A program that does not exist has a cause of its own, with its name."""
    with pytest.raises(ProbeError, match="missing_tool: no-such-tool"):
        run_child(["no-such-tool"], timeout_s=1, output_limit_bytes=1)


def test_a_child_gets_no_variable_of_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens may be in the environment, and systemd's sockets belong to the agent."""
    hidden = ("QOS_AGENT_COLLECTOR__TOKEN", "NOTIFY_SOCKET", "LD_PRELOAD", "HOME")
    for name in hidden:
        monkeypatch.setenv(name, "PLANTED")
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    result = run_child(["env"], timeout_s=10.0, output_limit_bytes=10_000)
    names = {line.partition(b"=")[0] for line in result.stdout.splitlines()}
    assert b"PLANTED" not in result.stdout
    assert {b"PATH", b"LC_ALL", b"PYTHONOPTIMIZE"} <= names


def test_a_program_is_an_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative directory on PATH depends on where the agent was started."""
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho found\n")
    tool.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    for path in (".", "", "relative"):
        monkeypatch.setenv("PATH", path)
        with pytest.raises(ProbeError, match="missing_tool: tool"):
            run_child(["tool"], timeout_s=10.0, output_limit_bytes=100)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert program("tool") == str(tool)
    result = run_child(["tool"], timeout_s=10.0, output_limit_bytes=100)
    assert result.stdout == b"found\n"
