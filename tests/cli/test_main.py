"""The command line: what it prints, and the exit status scripts rely on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def qos_agent(
    *arguments: str, folder: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, with nothing of ours in its environment."""
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
    """What DESIGN calls the contract stands in --help."""
    got = qos_agent("--help", folder=tmp_path)
    assert got.returncode == 0
    for command in ("run", "once", "status", "doctor", "config", "pause", "resume",
                    "journal", "export", "election", "reflector", "noc"):  # fmt: skip
        assert f"  {command} " in got.stdout, command


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("run", "--nonsense"), ("config", "check", "--wrong")]
)
def test_wrong_usage_is_status_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A mistyped command or option is explained and nothing is started."""
    got = qos_agent(*arguments, folder=tmp_path)
    assert got.returncode == 2
    assert "nonsense" in got.stderr or "--wrong" in got.stderr


def test_a_bad_configuration_is_one_line_and_status_2(tmp_path: Path) -> None:
    """Nothing is started: no journal is made, nothing is measured."""
    (tmp_path / "agent.toml").write_text('[station]\nid = "31/71"\n')
    got = qos_agent("run", "--config", "agent.toml", folder=tmp_path)
    assert got.returncode == 2
    assert got.stderr.startswith("station.id: found '31/71'; allowed: letters")
    assert [path.name for path in tmp_path.iterdir()] == ["agent.toml"]


def test_a_bad_duration_is_status_2(tmp_path: Path) -> None:
    """`run --for` says what a duration looks like."""
    got = qos_agent("run", "--for", "long", folder=tmp_path)
    assert got.returncode == 2
    assert "--for: found 'long'; allowed: a duration such as" in got.stderr


def test_config_init_check_show(tmp_path: Path) -> None:
    """The file that init writes checks well, and is not written over."""
    assert qos_agent("config", "init", "a.toml", folder=tmp_path).returncode == 0
    got = qos_agent("config", "check", "-c", "a.toml", folder=tmp_path)
    assert (got.returncode, got.stdout[:5]) == (0, "well:")
    again = qos_agent("config", "init", "a.toml", folder=tmp_path)
    assert (again.returncode, "--force" in again.stderr) == (2, True)


def test_config_show_says_where_a_value_is_from_and_no_secret(tmp_path: Path) -> None:
    """Sources are named; a token is stars, in text and in JSON."""
    names = {"QOS_AGENT_COLLECTOR__TOKEN": "hunter2", "QOS_AGENT_LATENCY__COUNT": "7"}
    got = qos_agent("config", "show", folder=tmp_path, **names)
    assert "latency.count = 7  # environment" in got.stdout
    as_json = qos_agent("config", "show", "--json", folder=tmp_path, **names)
    assert json.loads(as_json.stdout)["settings"]["collector"]["token"] == "***"
    assert "hunter2" not in got.stdout + as_json.stdout


def test_config_show_says_what_the_backends_are(tmp_path: Path) -> None:
    """Licence, data use, bound and blind spots of those in force, and of no other."""
    (tmp_path / "agent.toml").write_text(
        '[throughput]\nserver = "http://server.test"\niperf3_server = "server.test"\n'
        'backends = ["http", "iperf3"]\n'
    )
    got = qos_agent("config", "show", "-c", "agent.toml", folder=tmp_path)
    for name in ("http", "iperf3"):
        for about in ("licence", "data use", "bound on bytes", "cannot see"):
            assert f"\n# throughput by {name}, {about}: " in got.stdout
    assert "speedtest," not in got.stdout
    as_json = qos_agent("config", "show", "--json", folder=tmp_path)
    backends = json.loads(as_json.stdout)["backends"]
    assert "Ookla" in backends["speedtest"]["licence"]


def test_status_without_an_agent_says_how_to_start_one(tmp_path: Path) -> None:
    """A technician who asks too early is told what to type, in his language."""
    got = qos_agent("status", folder=tmp_path)
    assert (got.returncode, "qos-agent run" in got.stderr) == (2, True)
    got = qos_agent("status", folder=tmp_path, LC_ALL="id_ID.UTF-8")
    assert "Belum ada agen" in got.stderr
