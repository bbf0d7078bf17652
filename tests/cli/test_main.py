"""The command line: its output and its exit statuses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from qos_agent.cli.main import COMMANDS, build


def _commands() -> list[tuple[str, ...]]:
    """Return the path of every command and group, such as ("config", "check")."""

    def paths(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for name, subcommand in getattr(command, "commands", {}).items():
            yield (*path, name)
            yield from paths(subcommand, (*path, name))

    return list(paths(typer.main.get_command(build([*COMMANDS])), ()))


def qos_agent(
    *arguments: str, folder: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, in an environment without test settings."""
    return subprocess.run(
        [sys.executable, "-m", "qos_agent", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_every_command(tmp_path: Path) -> None:
    """The names of the commands are a contract with scripts and documents."""
    got = qos_agent("--help", folder=tmp_path)
    assert got.returncode == 0
    names = (
        "run once status doctor config pause resume journal archive export election "
        "report reflector noc"
    )
    for command in names.split():
        assert f"  {command} " in got.stdout, command


@pytest.mark.parametrize("path", _commands(), ids=" ".join)
def test_every_command_has_a_help_of_full_sentences(path: tuple[str, ...]) -> None:
    """The first sentence fits the list of commands on a terminal of 80 columns."""
    command: Any = typer.main.get_command(build([*COMMANDS]))
    for name in path:
        command = command.commands[name]
    text = command.help or ""
    assert re.match(r"[A-Z].*\.$", text, re.DOTALL), text
    assert not command.get_short_help_str(60).endswith("..."), text
    for parameter in command.params:
        option_help = getattr(parameter, "help", None)
        is_flag = getattr(parameter, "is_flag", True)
        assert is_flag or parameter.metavar, parameter.name
        if option_help:
            assert re.match(r".*\.$", option_help, re.DOTALL), option_help


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("run", "--nonsense"), ("config", "check", "--wrong")]
)
def test_wrong_usage_is_status_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """The parser names the mistyped command or option, and nothing is started."""
    got = qos_agent(*arguments, folder=tmp_path)
    assert got.returncode == 2
    assert "nonsense" in got.stderr or "--wrong" in got.stderr


def test_a_wrong_choice_is_named_without_a_prefix(tmp_path: Path) -> None:
    """The message of the parser has no words of a library in it."""
    got = qos_agent("noc", "register", "note", "other", "31", folder=tmp_path)
    assert got.returncode == 2
    assert "'kind': 'other' is not one of 'maintenance', 'acknowledged'" in got.stderr


def test_the_version_is_one_line(tmp_path: Path) -> None:
    """`--version` needs no command and no configuration."""
    got = qos_agent("--version", folder=tmp_path)
    assert (got.returncode, got.stderr) == (0, "")
    assert re.fullmatch(r"qos-agent \d\S+\n", got.stdout)


def test_a_bad_configuration_is_one_line_and_status_2(tmp_path: Path) -> None:
    """Nothing is measured and no journal is created."""
    (tmp_path / "agent.toml").write_text('[station]\nid = "31/71"\n')
    got = qos_agent("run", "--config", "agent.toml", folder=tmp_path)
    assert got.returncode == 2
    assert got.stderr.startswith("station.id: ")
    assert "letters" in got.stderr
    assert "(found: '31/71')" in got.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["agent.toml"]


def test_a_bad_duration_is_status_2(tmp_path: Path) -> None:
    """The error of `run --for` shows the form of a duration."""
    got = qos_agent("run", "--for", "long", folder=tmp_path)
    assert got.returncode == 2
    assert got.stderr.startswith("--for: ")
    assert "a duration such as" in got.stderr
    assert "(found: 'long'). Fix: try --for 60s." in got.stderr


@pytest.mark.slow
def test_config_init_check_show(tmp_path: Path) -> None:
    """The file that init writes is valid, and is not overwritten."""
    assert qos_agent("config", "init", "a.toml", folder=tmp_path).returncode == 0
    got = qos_agent("config", "check", "-c", "a.toml", folder=tmp_path)
    assert (got.returncode, got.stdout[:3]) == (0, "ok:")
    again = qos_agent("config", "init", "a.toml", folder=tmp_path)
    assert (again.returncode, "--force" in again.stderr) == (2, True)


def test_config_init_prints_to_a_dash(tmp_path: Path) -> None:
    """With - no file is written, and what is printed is a valid configuration."""
    printed = qos_agent("config", "init", "-", folder=tmp_path)
    assert printed.returncode == 0
    assert list(tmp_path.iterdir()) == []
    qos_agent("config", "init", "agent.toml", folder=tmp_path)
    assert printed.stdout == (tmp_path / "agent.toml").read_text()


def test_config_show_names_sources_and_hides_secrets(tmp_path: Path) -> None:
    """Each value has its source, and a token is stars, in text and in JSON."""
    names = {"QOS_AGENT_COLLECTOR__TOKEN": "hunter2", "QOS_AGENT_LATENCY__COUNT": "7"}
    got = qos_agent("config", "show", folder=tmp_path, **names)
    assert "latency.count = 7  # environment" in got.stdout
    as_json = qos_agent("config", "show", "--json", folder=tmp_path, **names)
    assert json.loads(as_json.stdout)["settings"]["collector"]["token"] == "***"
    assert "hunter2" not in got.stdout + as_json.stdout


def test_config_show_describes_the_backends(tmp_path: Path) -> None:
    """Only the backends that links use are described."""
    (tmp_path / "agent.toml").write_text(
        '[throughput]\nserver = "http://server.test"\niperf3_server = "server.test"\n'
        'backends = ["http", "iperf3"]\n'
    )
    got = qos_agent("config", "show", "-c", "agent.toml", folder=tmp_path)
    for name in ("http", "iperf3"):
        for label in ("licence", "data use", "byte limit", "limitations"):
            assert f"\n# throughput by {name}, {label}: " in got.stdout
    assert "speedtest," not in got.stdout
    as_json = qos_agent("config", "show", "--json", folder=tmp_path)
    backends = json.loads(as_json.stdout)["backends"]
    assert "Ookla" in backends["speedtest"]["licence"]


def test_status_without_an_agent_names_the_command_to_start_one(tmp_path: Path) -> None:
    """The message is in the language of the locale."""
    got = qos_agent("status", folder=tmp_path)
    assert (got.returncode, "qos-agent run" in got.stderr) == (2, True)
    got = qos_agent("status", folder=tmp_path, LC_ALL="id_ID.UTF-8")
    assert "Belum ada file status" in got.stderr
