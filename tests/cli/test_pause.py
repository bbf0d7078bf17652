"""`qos-agent pause` and `resume`, as a technician types them."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from qos_agent.cli import pause as commands
from qos_agent.model.errors import ConfigError
from qos_agent.schedule.control import Pauses
from qos_agent.system.clock import SystemClock

app = typer.Typer()
app.command("pause")(commands.pause)
app.command("resume")(commands.resume)


@pytest.fixture
def agent(tmp_path: Path) -> tuple[Path, Pauses]:
    """A configuration whose runtime folder is the test's, and what its agent sees."""
    path = tmp_path / "agent.toml"
    path.write_text(f'[runtime]\nfolder = "{tmp_path}"\n')
    return path, Pauses(tmp_path, SystemClock(0))


def test_pause_and_resume(agent: tuple[Path, Pauses]) -> None:
    """A pause is made, shown with its end, and ended."""
    path, pauses = agent
    made = CliRunner().invoke(
        app, ["pause", "throughput", "--for", "2h", "-c", str(path)]
    )
    assert made.output.startswith("throughput: paused for 2h, until 2")
    assert pauses.is_paused("throughput")
    ended = CliRunner().invoke(app, ["resume", "throughput", "-c", str(path)])
    assert ended.output == "resumed: throughput\n"
    assert not pauses.is_paused("throughput")


def test_resume_of_one_says_when_all_are_held(agent: tuple[Path, Pauses]) -> None:
    """Nobody is told that a probe goes on while `all` holds it."""
    path, pauses = agent
    CliRunner().invoke(app, ["pause", "all", "-c", str(path)])
    answer = CliRunner().invoke(app, ["resume", "web", "-c", str(path)])
    assert "web is still held, for all are: qos-agent resume" in answer.output
    assert CliRunner().invoke(app, ["resume", "-c", str(path)]).output == (
        "resumed: all\n"
    )
    assert pauses.active() == []


WRONG = {
    "pause: found 'troughput'; allowed: all, latency, throughput, web, form, signal, "
    "host; did you mean throughput?": ["pause", "troughput"],
    "--for: found '2 weeks'; allowed: a duration such as": [
        "pause",
        "web",
        "--for=2 weeks",
    ],
    "--for: found '0s'; allowed: more than nothing; --for 2h": [
        "pause",
        "web",
        "--for=0s",
    ],
}


@pytest.mark.parametrize(("line", "arguments"), WRONG.items())
def test_wrong_usage_is_one_line_with_its_mend(
    agent: tuple[Path, Pauses], line: str, arguments: list[str]
) -> None:
    """Unknown names and lengths change nothing and say what to type."""
    path, pauses = agent
    answer = CliRunner().invoke(app, [*arguments, "-c", str(path)])
    assert isinstance(answer.exception, ConfigError)
    assert str(answer.exception).startswith(line)
    assert pauses.active() == []
