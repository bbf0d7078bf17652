"""A child process ends when we say so, says no more than we take, leaves nobody."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from qos_agent.model.errors import ProbeError
from qos_agent.system.child_process import ChildResult, run_child
from tests.support.children import alive


def python(code: str, **options: object) -> ChildResult:
    """Run a few lines of Python as the child."""
    given = {"timeout_s": 10.0, "output_limit_bytes": 1000, **options}
    return run_child([sys.executable, "-c", code], **given)  # type: ignore[arg-type]


def cause_of(result: ChildResult) -> str | None:
    """The cause a probe would report."""
    failure = result.failure()
    return failure.cause if failure else None


def test_what_a_good_child_prints_comes_back() -> None:
    """Both outputs and the status of a child that ends by itself are kept whole."""
    got = python("import sys; print('out'); print('err', file=sys.stderr)")
    assert (got.exit_status, got.stdout, got.stderr) == (0, b"out\n", b"err\n")
    assert got.failure() is None


def test_standard_input_is_given_and_may_be_ignored() -> None:
    """A child reads what it is given; one that reads nothing blocks nobody."""
    assert python("print(len(input()))", stdin=b"x" * 200_000).stdout == b"200000\n"
    assert python("pass", stdin=b"x" * 200_000).exit_status == 0


def test_an_error_status_keeps_its_last_words() -> None:
    """The status and the last line of standard error become the detail."""
    failure = python("import sys; sys.exit('no such server')").failure()
    assert str(failure) == "child_exit: status 1: no such server"


def test_a_signal_is_named() -> None:
    """A child that dies by signal is told from one that ends with an error."""
    failure = python("import os; os.kill(os.getpid(), 11)").failure()
    assert str(failure) == "child_signal: SIGSEGV"


def test_a_hanging_child_is_killed_at_its_deadline() -> None:
    """Hanging, even deaf to SIGTERM, ends with `deadline` soon after the time is up."""
    started = time.monotonic()
    got = python(
        "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)",
        timeout_s=0.5,
    )
    assert cause_of(got) == "deadline"
    assert time.monotonic() - started < 3


def test_a_flood_is_cut_at_the_limit() -> None:
    """A child that prints without end is killed; what is kept is the limit."""
    got = python("while True: print('x' * 1000)", output_limit_bytes=5000)
    assert cause_of(got) == "child_output"
    assert len(got.stdout) == 5000


def test_a_child_that_closes_its_outputs_is_still_watched() -> None:
    """Closed outputs are no end: the deadline holds, and nothing spins meanwhile."""
    before = time.process_time()
    got = python(
        "import os, time; os.close(1); os.close(2); time.sleep(60)", timeout_s=0.5
    )
    assert cause_of(got) == "deadline"
    assert time.process_time() - before < 0.2


def test_the_watch_can_end_it_with_its_own_word() -> None:
    """The word of the watch is the reason given."""
    asked = iter([None, None, "allowance"])
    got = python("import time; time.sleep(60)", watch=lambda: next(asked))
    assert cause_of(got) == "allowance"


def test_a_watch_that_fails_leaves_no_child(tmp_path: Path) -> None:
    """An error in the watch is passed on, and the child is dead by then."""
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


def test_grandchildren_die_too() -> None:
    """What the child started dies with it, even after the child ended well."""
    got = python(
        "import subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True)"
    )
    grandchild = int(got.stdout)
    end = time.monotonic() + 5
    while alive(grandchild) and time.monotonic() < end:
        os.sched_yield()
    assert not alive(grandchild)


def test_no_handle_is_left_open() -> None:
    """A run, whatever its end, leaves as many open files as there were."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    python("pass", stdin=b"x")
    python("import time; time.sleep(60)", timeout_s=0.1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_missing_program_is_named() -> None:
    """No such program is a cause of its own, with the name."""
    with pytest.raises(ProbeError, match="missing_tool: no-such-tool"):
        run_child(["no-such-tool"], timeout_s=1, output_limit_bytes=1)
