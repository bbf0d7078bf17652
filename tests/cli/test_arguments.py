"""Arguments that no command can use: one printable line and status 2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qos_agent.cli import main
from qos_agent.config.template import commented
from qos_agent.schedule.jobs import DEFAULT_INTERVALS
from tests.noc.register.registers import GOOD, csv_of

# One argument of each kind: an option, a path, a name, a text that is stored.
COMMANDS = [
    ("config", "check", "-c"),
    ("config", "init"),
    ("export", "--out"),
    ("journal", "export"),
    ("noc", "register", "import"),
    ("noc", "register", "show"),
    ("noc", "register", "close"),
    ("noc", "register", "note", "maintenance"),
    ("noc", "simulate", "healthy", "--dry", "--key"),
    ("noc", "simulate"),
    ("election", "check"),
    ("election", "show", "--province", "31", "--station"),
    ("pause",),
    ("reflector", "--address"),
    ("reflector", "--key-file"),
    ("run", "--for"),
    ("setup", "--interface"),
    ("--nonsense",),
]


def run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
) -> tuple[int | None, str]:
    """Run a command in this process; return its status and its errors."""
    monkeypatch.setattr("sys.argv", ["qos-agent", *arguments])
    status = main._run_command()
    return status, capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_argument_with_a_control_character_is_refused(
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The terminal does not obey it, and no file gets such a name."""
    monkeypatch.chdir(tmp_path)
    for text in ("a\x1b[31m", "a\nb", "\udcff", "a\x85"):
        status, errors = run(monkeypatch, capsys, *command, text)
        (line,) = errors.splitlines()
        assert (status, line.isprintable()) == (2, True), errors
        assert f"(found: {text!r}). Fix: " in line
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("name", ["a" * 256, "a" * 100_000, "a/" * 3000, "a.." * 90])
def test_an_argument_that_is_too_long_is_refused(
    command: tuple[str, ...],
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is not printed whole, and a name that the system refuses is wrong usage."""
    monkeypatch.chdir(tmp_path)
    status, errors = run(monkeypatch, capsys, *command, name)
    assert status == 2
    assert len(errors) < 4000
    assert "Traceback" not in errors


_REMOVE = "Fix: remove the character."
_LINES = {
    ("config", "check", "-c", ""): (
        "-c: must not be empty (found: ''). Fix: add a value, or leave -c out."
    ),
    ("config", "check", "--config="): (
        "--config: must not be empty (found: ''). "
        "Fix: add a value, or leave --config out."
    ),
    ("noc", "register", "import", ""): (
        "argument 4: must not be empty (found: ''). "
        "Fix: add a value, or leave argument 4 out."
    ),
    ("journal", "export", "a\x07"): (
        rf"argument 3: contains U+0007 at character 2 (found: 'a\x07'). {_REMOVE}"
    ),
    ("--config=a\udcff", "run"): (
        "--config: contains byte 0xff, which is not UTF-8, at character 2 "
        rf"(found: 'a\udcff'). {_REMOVE}"
    ),
}


@pytest.mark.parametrize(("arguments", "line"), _LINES.items(), ids=range(len(_LINES)))
def test_the_line_names_the_argument(
    arguments: tuple[str, ...],
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An empty argument is often a variable of a shell that is not set."""
    assert run(monkeypatch, capsys, *arguments) == (2, f"{line}\n")


def test_an_empty_calendar_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An answer of the setup may be empty: the station has no calendar."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    status, errors = run(monkeypatch, capsys, "setup", "--calendar", "")
    assert (status, "needs root" in errors) == (2, True)


def test_a_name_of_an_unusual_file_is_still_used(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Spaces, quotes and letters of other scripts are no reason to refuse a file."""
    monkeypatch.chdir(tmp_path)
    csv_of(tmp_path, GOOD).rename("daftar TPS (é) 'β'.csv")
    status, errors = run(
        monkeypatch, capsys, "noc", "register", "import", "daftar TPS (é) 'β'.csv"
    )
    assert (status, errors) == (0, "")


@pytest.mark.parametrize("name", ["QOS_AGENT_CONFIG", "CREDENTIALS_DIRECTORY"])
def test_a_path_in_the_environment_is_checked_too(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No path of the environment is a traceback or a line of two lines."""
    monkeypatch.chdir(tmp_path)
    for path in ("a\x1b[31m\n", "\udcff", "x" * 300, "a/" * 3000):
        monkeypatch.setenv(name, path)
        status, errors = run(monkeypatch, capsys, "config", "check")
        assert (status, len(errors.splitlines())) == (2, 1)
        assert errors.startswith(f"{name}: ")
        assert errors.rstrip("\n").isprintable()


def test_a_path_that_is_too_long_by_a_part_of_ours_is_wrong_usage(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The system may refuse a path only when a file name is added to it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QOS_AGENT_RUNTIME__FOLDER", "/" + "a/" * 2040)
    status, errors = run(monkeypatch, capsys, "pause", "all", "--for", "5m")
    assert status in {1, 2}
    assert len(errors.splitlines()) == 1


def test_json_of_a_name_that_cannot_be_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key of JSON in a variable is shown in one printable line as well."""
    table = json.dumps({"fol\0der\n": "x"})
    monkeypatch.setenv("QOS_AGENT_JOURNAL", table)
    status, errors = run(monkeypatch, capsys, "config", "check")
    assert (status, len(errors.splitlines())) == (2, 1)
    assert errors.rstrip("\n").isprintable()


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize("target", ["file", "pipe"])
def test_config_init_prints_to_standard_output(
    tmp_path: Path, name: str, target: str
) -> None:
    """It exists already, and is not a file to keep."""
    output = tmp_path / "output"
    with output.open("wb") as file:
        got = subprocess.run(
            [sys.executable, "-m", "qos_agent", "config", "init", name],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd())},
            stdout=file if target == "file" else subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
        )
    printed = output.read_bytes() if target == "file" else got.stdout
    assert (got.returncode, got.stderr) == (0, b"")
    assert printed == commented(DEFAULT_INTERVALS).encode()


def _made(folder: Path, kind: str) -> str:
    """Make what a path of `config init` may name already; return the path."""
    (folder / "target").mkdir()
    (folder / "old.toml").write_text("old")
    (folder / "link").symlink_to(folder / "none.toml")
    (folder / "loop").symlink_to(folder / "loop")
    os.mkfifo(folder / "pipe")
    return {
        "folder": "target",
        "file": "old.toml",
        "dangling link": "link",
        "loop of links": "loop",
        "no folder": "none/agent.toml",
        "file as folder": "old.toml/agent.toml",
        "pipe": "pipe",
    }[kind]


@pytest.mark.parametrize(
    ("kind", "problem", "forced"),
    [
        ("folder", "is a folder", "is a folder"),
        ("file", "the file exists already", None),
        ("dangling link", "the file exists already", None),
        ("loop of links", "the file exists already", "Too many levels"),
        ("no folder", "No such file or directory", "No such file or directory"),
        ("file as folder", "Not a directory", "Not a directory"),
        ("pipe", "is not a regular file", "is not a regular file"),
    ],
)
def test_config_init_names_what_is_in_the_way(
    kind: str,
    problem: str,
    forced: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line with path and problem; `--force` replaces files only.

    The status is 1 if the system refuses to write, as for every other file.
    """
    monkeypatch.chdir(tmp_path)
    path = _made(tmp_path, kind)
    for expected, force in ((problem, ()), (forced, ("--force",))):
        status, errors = run(monkeypatch, capsys, "config", "init", path, *force)
        if expected is None:
            assert (status, errors) == (None, "")
            assert Path(path).read_text() == commented(DEFAULT_INTERVALS)
        else:
            (line,) = errors.splitlines()
            assert line.startswith(f"{path}: {expected}")
            assert status == (2 if ". Fix: " in line else 1)


def test_config_init_prints_to_a_device_that_takes_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A character device needs no --force."""
    assert run(monkeypatch, capsys, "config", "init", "/dev/null") == (None, "")


def test_a_working_folder_that_was_removed_is_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Relative paths do not exist there, whichever command needs them."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    status, errors = run(monkeypatch, capsys, "journal", "stats")
    fix = "Fix: run cd to another folder, and try again."
    assert (status, errors) == (2, f"the working folder: no longer exists. {fix}\n")


def test_a_probe_that_has_no_task_now_is_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Outside of an election no page is loaded, and `once` must not end in silence."""
    monkeypatch.chdir(tmp_path)
    status, errors = run(monkeypatch, capsys, "once", "--probe", "web")
    assert status == 2
    assert errors.startswith("--probe: has no task in the present phase (found: ")
