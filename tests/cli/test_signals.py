"""Every signal that ends a process ends it orderly; SIGHUP reloads a service."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_output import RUN, environment, kinds, records

# Each test starts an agent in a process of its own and lets it measure for a second.
pytestmark = pytest.mark.slow

ENDING = [
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGABRT,
    signal.SIGUSR1,
    signal.SIGPWR,
    signal.SIGSTKFLT,
    signal.SIGRTMIN + 3,
]
# No handler can run, or the default is to go on, or Python ignores it.
OTHERS = {
    signal.SIGKILL,
    signal.SIGSTOP,
    signal.SIGTSTP,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGCONT,
    signal.SIGCHLD,
    signal.SIGURG,
    signal.SIGWINCH,
    signal.SIGPIPE,
    signal.SIGXFSZ,
    # The program itself is at fault.
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
}
_UNHANDLED = """
import signal
from qos_agent.system.signals import handle_signals
handle_signals(lambda: None)
print([int(n) for n in signal.valid_signals() if signal.getsignal(n) == signal.SIG_DFL])
"""


def start(folder: Path, *before: str, **more: str) -> subprocess.Popen[bytes]:
    """Start an agent that commits once an hour, and wait for its first event."""
    settings = environment(folder, QOS_AGENT_JOURNAL__COMMIT_EVERY="1h")
    agent = subprocess.Popen(
        [*before, sys.executable, "-m", "qos_agent", *RUN, "--for", "60s"],
        env=settings | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert agent.stdout is not None
    assert any(b"event start" in line for line in agent.stdout)
    return agent


def measured(folder: Path, agent: subprocess.Popen[bytes]) -> int:
    """Wait for the end of an agent; return the number of its host readings."""
    agent.communicate(timeout=30)
    assert agent.returncode == 0
    return sum(record.measurement == "host" for record in records(folder))


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_ends_a_run_with_all_readings_on_disk(
    tmp_path: Path, number: int
) -> None:
    """Readings since the last commit and the stop event are in the journal."""
    agent = start(tmp_path)
    with pytest.raises(subprocess.TimeoutExpired):
        agent.wait(0.7)
    agent.send_signal(number)
    assert measured(tmp_path, agent) >= 1
    assert kinds(tmp_path) == ["start", "stop"]


def test_no_signal_that_ends_a_process_is_left_out() -> None:
    """Every signal of the system has a handler, except those that cannot have one."""
    shown = subprocess.check_output([sys.executable, "-c", _UNHANDLED], text=True)
    assert set(json.loads(shown)) <= OTHERS


_REPEATED = """
import os, signal
from qos_agent.system.signals import handle_signals
class Late:
    def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGTERM):
        kill(pid, number)
late = Late()
handle_signals(lambda: None)
"""


def test_a_signal_that_comes_again_does_not_change_the_status() -> None:
    """Python resets its handlers at its end, when all readings are stored already."""
    ended = subprocess.run([sys.executable, "-c", _REPEATED], check=False)
    assert ended.returncode == 0


def test_nohup_keeps_the_agent_running(tmp_path: Path) -> None:
    """SIGHUP stays ignored if the shell ignored it for the command."""
    agent = start(tmp_path, "nohup")
    agent.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        agent.wait(0.7)
    agent.send_signal(signal.SIGTERM)
    assert measured(tmp_path, agent) >= 1


def test_sighup_reloads_a_service(tmp_path: Path) -> None:
    """The agent starts again with the new configuration, and systemd is notified."""
    config = tmp_path / "agent.toml"
    config.write_text("")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        agent = start(
            tmp_path,
            INVOCATION_ID="1" * 32,
            NOTIFY_SOCKET=str(tmp_path / "notify"),
            QOS_AGENT_CONFIG=str(config),
        )
        config.write_text('[allowance]\nmonthly = "1GB"\n')
        agent.send_signal(signal.SIGHUP)
        states = [manager.recv(200).split(b"=")[0] for _ in range(3)]
        assert states == [b"READY", b"RELOADING", b"READY"]
        agent.send_signal(signal.SIGTERM)
        assert manager.recv(200) == b"STOPPING=1"
        measured(tmp_path, agent)
    assert kinds(tmp_path) == ["start", "stop", "start", "configuration", "stop"]


def test_a_service_with_a_bad_configuration_keeps_the_present_one(
    tmp_path: Path,
) -> None:
    """SIGHUP with a mistake in the file ends no measurement."""
    config = tmp_path / "agent.toml"
    config.write_text("")
    agent = start(tmp_path, NOTIFY_SOCKET="", QOS_AGENT_CONFIG=str(config))
    config.write_text("[allowance\n")
    agent.send_signal(signal.SIGHUP)
    assert agent.stdout is not None
    assert any(b"event start" in line for line in agent.stdout)
    agent.send_signal(signal.SIGTERM)
    measured(tmp_path, agent)
    assert kinds(tmp_path) == ["start", "stop", "start", "stop"]


@pytest.mark.parametrize(
    ("variables", "service"),
    [({}, False), ({"INVOCATION_ID": "1"}, True), ({"NOTIFY_SOCKET": "@x"}, True)],
)
def test_a_service_has_a_manager_and_no_terminal(
    variables: dict[str, str], service: bool
) -> None:
    """A terminal emulator passes the variables of its own service on."""
    imported = "from qos_agent.system.signals import is_service"
    code = f"{imported}; print(is_service({variables}))"
    command = [sys.executable, "-c", code]
    env = environment(Path())
    alone = subprocess.run(
        command, env=env, start_new_session=True, capture_output=True, check=True
    )
    assert alone.stdout.decode().strip() == str(service)
    terminal = ["script", "-qec", subprocess.list2cmdline(command), "/dev/null"]
    inside = subprocess.run(
        terminal, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    assert inside.stdout.decode().strip() == "False"
