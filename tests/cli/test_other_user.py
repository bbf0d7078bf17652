"""Commands of a user who is neither the agent nor an administrator."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qos_agent.agent import status
from tests.agent.test_status import example
from tests.journal.support import open_journal
from tests.support.requirement import require

_NOBODY = 65534


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command without the right to read the files of other users.

    The user is still root, because other users may not run the interpreter of a test.
    """
    without = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
    return subprocess.run(
        [*without, sys.executable, "-m", "qos_agent", *arguments],
        env={**os.environ, "QOS_AGENT_CONFIG": str(folder / "agent.toml")},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of another user, with a token that only that user can read."""
    require(os.geteuid() == 0, "another user", "run the tests as root")
    folder = tmp_path_factory.mktemp("installed")
    token = folder / "token"
    token.write_text("secret")
    token.chmod(0o600)
    os.chown(token, _NOBODY, _NOBODY)
    (folder / "agent.toml").write_text(
        f'[collector]\ntoken_file = "{token}"\n[runtime]\nfolder = "{folder}"\n'
    )
    return folder


@pytest.mark.lab
def test_another_user_reads_the_status(installed: Path) -> None:
    """Neither the token's file nor the umask of the agent prevents it."""
    before = os.umask(0o077)
    status.write(example(pid=os.getpid()), installed)
    os.umask(before)
    os.chown(installed / status.FILE_NAME, _NOBODY, _NOBODY)
    result = _run(installed, "status")
    assert (result.returncode, result.stderr) == (0, "")
    assert "3171010001001" in result.stdout


@pytest.mark.lab
@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("pause", "all"),
        ("resume",),
        ("config", "reload"),
        ("journal", "stats"),
    ],
)
def test_a_closed_folder_is_one_line(
    installed: Path, arguments: tuple[str, ...]
) -> None:
    """The line has the path and what to do, and there is no traceback."""
    status.write(example(pid=os.getpid()), installed)
    closed = installed / "closed"
    closed.mkdir(mode=0o700)
    os.chown(closed, _NOBODY, _NOBODY)
    text = (installed / "agent.toml").read_text()
    (installed / "agent.toml").write_text(
        text.replace(f'folder = "{installed}"', f'folder = "{closed}"')
        + f'[journal]\nfolder = "{closed}"\n'
    )
    result = _run(installed, *arguments)
    assert result.returncode in {1, 2}, result
    assert "Traceback" not in result.stderr
    assert str(closed) in result.stderr
    assert "Fix: " in result.stderr


@pytest.mark.lab
@pytest.mark.parametrize(
    "command", [["run", "--for", "1s"], ["once", "--probe", "host"]]
)
def test_readings_that_cannot_be_kept_are_reported(
    installed: Path, command: list[str]
) -> None:
    """A journal's folder of another user means a fix at the start, and status 1."""
    result = _run(_with_journal(installed), *command)
    assert result.returncode == 1
    fix = "Fix: run the command with sudo, or as the user whom the journal belongs to"
    assert fix in result.stdout
    lost = "All readings that were not sent are lost."
    assert (lost in result.stdout) is (command[0] == "run")


@pytest.mark.lab
def test_a_user_who_may_not_write_need_not_replace_the_card(installed: Path) -> None:
    """The error of `journal requeue` names sudo."""
    folder = _with_journal(installed)
    open_journal(folder / "data").close()
    for path in (folder / "data").iterdir():
        os.chown(path, _NOBODY, _NOBODY)
    result = _run(folder, "journal", "requeue")
    assert result.returncode == 1
    assert "Fix: run the command with sudo" in result.stderr


def _with_journal(folder: Path) -> Path:
    """Give a folder for the journal to another user; return the configuration's."""
    (folder / "data").mkdir()
    (folder / "agent.toml").write_text(
        f'[journal]\nfolder = "{folder}/data"\n'
        '[schedule.idle]\nlatency = "off"\nthroughput = "off"\n'
    )
    os.chown(folder / "data", _NOBODY, _NOBODY)
    return folder
