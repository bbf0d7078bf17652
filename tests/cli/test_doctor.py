"""`qos-agent doctor` on devices on which much is broken."""

from __future__ import annotations

import json
import os
import py_compile
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qos_agent.agent.doctor.software import REINSTALL
from tests.lab.fixtures import MakeLab
from tests.lab.network import SERVER
from tests.lab.shape import Shape

ROOT = Path(__file__).parents[2]
LIMIT_S = 30.0
# Every program that a check starts.
PROGRAMS = (
    "systemctl",
    "mmcli",
    "dpkg",
    "resolvectl",
    "nmcli",
    "openssl",
    "iperf3",
    "journalctl",
)
BROKEN = f"""
[journal]
folder = "{{folder}}/journal"
[[links]]
name = "main"
interface = "eth0"
[[signal.modems]]
link = "main"
device = "modem"
[[targets]]
name = "far"
host = "far.example.id"
layer = "anchor"
[[targets]]
name = "reflector"
host = "{SERVER}"
layer = "anchor"
method = "stamp"
[throughput]
server = "http://{SERVER}:8080"
iperf3_server = "{SERVER}"
backends = ["http", "iperf3"]
[collector]
url = "https://{SERVER}:8443"
"""


def run(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run the doctor in a folder; return exit status, output and errors."""
    done = subprocess.run(
        [sys.executable, "-m", "qos_agent", "doctor", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.serial
def test_it_ends_in_time_when_everything_hangs(lab: MakeLab, tmp_path: Path) -> None:
    """Programs that never end, and a network that answers nothing, cost the limit once.

    The journal's file is a pipe, and packets are dropped without an answer.
    """
    net = lab(Shape(loss=1.0, loss_back=1.0))
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in PROGRAMS:
        (programs / name).write_text("#!/bin/sh\nexec sleep 1000\n")
        (programs / name).chmod(0o755)
    (tmp_path / "journal").mkdir()
    os.mkfifo(tmp_path / "journal/journal.sqlite3")
    os.mkfifo(tmp_path / "journal/status.json")
    config = tmp_path / "agent.toml"
    config.write_text(BROKEN.format(folder=tmp_path))
    path = f"PATH={programs}:{os.environ['PATH']}"
    command = ["env", path, sys.executable, "-m", "qos_agent", "doctor", "--json"]
    command += ["--support", str(tmp_path / "support.tar.gz")]
    started_s = time.monotonic()
    done = net.run([*command, "--config", str(config)], check=False)
    assert time.monotonic() - started_s < LIMIT_S
    assert done.returncode == 1, done.stderr
    assert (tmp_path / "support.tar.gz").exists()
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert checks["probes"]["health"] == "ok"
    failing = ("modem main", "names main", "collector", "throughput main", "journal")
    for name in (*failing, "reflector main", "targets main"):
        assert checks[name]["health"] == "bad" or name == "targets main", checks[name]
        assert checks[name]["fix"]


def test_a_wrong_configuration_hides_no_other_check(tmp_path: Path) -> None:
    """The first line is the wrong setting, and the exit status that of wrong usage."""
    (tmp_path / "agent.toml").write_text("[latency]\ncount = 0\n")
    status, output, errors = run(tmp_path, "-c", "agent.toml")
    assert status == 2
    first, *others = output.splitlines()
    assert first.startswith("BAD        configuration        latency.count: must be")
    assert any(line.startswith("ok         disk ") for line in others)
    assert not any(" collector " in line for line in others)
    assert errors.splitlines() == [errors.strip()]


@pytest.mark.parametrize("content", ["raise ImportError('cut short')", "\0", ""])
def test_a_damaged_library_is_one_line_not_a_traceback(
    content: str, tmp_path: Path
) -> None:
    """A library that cannot be imported is named, with the command that reinstalls."""
    broken = tmp_path / "pydantic"
    broken.mkdir()
    (broken / "__init__.py").write_text(content)
    status, _, errors = run(tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert status == 1
    (line,) = errors.splitlines()
    assert line.startswith("the program is damaged: ")
    assert line.endswith(f"Fix: install it again: {REINSTALL}")


@pytest.mark.parametrize("size", [17, 40])
def test_bytecode_that_was_cut_short_is_one_line(size: int, tmp_path: Path) -> None:
    """A power cut can leave the beginning of a file of bytecode."""
    module = tmp_path / "pydantic.py"
    module.write_text("x = [1]\n" * 100)
    cached = Path(py_compile.compile(str(module), doraise=True) or "")
    cached.write_bytes(cached.read_bytes()[:size])
    status, _, errors = run(tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert status == 1
    (line,) = errors.strip().splitlines()
    assert line.endswith(f"Fix: install it again: {REINSTALL}")


@pytest.mark.parametrize(
    ("options", "environment", "word"),
    [
        (("--language", "id"), {}, "MASALAH"),
        (("--lang", "id"), {}, "MASALAH"),
        ((), {"LANG": "id_ID.UTF-8"}, "MASALAH"),
        (("--lang", "en"), {"LANG": "id_ID.UTF-8"}, "BAD"),
    ],
)
def test_the_language_comes_from_the_option_or_the_locale(
    options: tuple[str, ...], environment: dict[str, str], word: str, tmp_path: Path
) -> None:
    """Results and fixes are in one language."""
    (tmp_path / "agent.toml").write_text("[latency]\ncount = 0\n")
    _, output, _ = run(tmp_path, "-c", "agent.toml", *options, **environment)
    assert output.startswith(word)


def test_the_last_line_counts_and_names_the_first_problem(tmp_path: Path) -> None:
    """A long list scrolls its first lines off the terminal."""
    (tmp_path / "agent.toml").write_text("[latency]\ncount = 0\n")
    _, output, _ = run(tmp_path, "-c", "agent.toml")
    assert output.splitlines()[-1].endswith("Begin with: configuration")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("raise SystemExit(7)", 7, ""),
        ("os.kill(os.getpid(), 9)", 137, ""),
        ("time.sleep(100)", 1, "too late"),
    ],
)
def test_a_process_ends_with_its_status_or_after_the_limit(
    body: str, status: int, message: str
) -> None:
    """The parent does not wait for a child that cannot end."""
    script = (
        "import os, time\n"
        "from qos_agent.system.time_limit import limit_process\n"
        f"limit_process(1.0, 'too late')\n{body}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stderr.strip()) == (status, message)
