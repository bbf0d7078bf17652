"""`qos-agent pause` and `resume`, run as a technician would."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from qos_agent.cli import pause as commands
from qos_agent.model.errors import ConfigError
from qos_agent.probes.registry import PROBES
from qos_agent.schedule.control import Pauses
from qos_agent.system.clock import SystemClock

app = typer.Typer()
app.command("pause")(commands.pause)
app.command("resume")(commands.resume)


@pytest.fixture
def agent(tmp_path: Path) -> tuple[Path, Pauses]:
    """Write a configuration for the test's folder; return it with the agent's view."""
    path = tmp_path / "agent.toml"
    path.write_text(f'[runtime]\nfolder = "{tmp_path}"\n')
    return path, Pauses(tmp_path, SystemClock(0))


def test_pause_and_resume(agent: tuple[Path, Pauses]) -> None:
    """A pause is created, printed with its end, and ended."""
    path, pauses = agent
    paused = CliRunner().invoke(
        app, ["pause", "throughput", "--for", "2h", "-c", str(path)]
    )
    assert paused.output.startswith("throughput: paused for 2h, until 2")
    assert pauses.is_paused("throughput")
    ended = CliRunner().invoke(app, ["resume", "throughput", "-c", str(path)])
    assert ended.output == "resumed: throughput\n"
    assert not pauses.is_paused("throughput")


def test_resume_of_one_probe_reports_that_all_are_paused(
    agent: tuple[Path, Pauses],
) -> None:
    """A probe does not go on while all probes are paused."""
    path, pauses = agent
    CliRunner().invoke(app, ["pause", "all", "-c", str(path)])
    result = CliRunner().invoke(app, ["resume", "web", "-c", str(path)])
    text = "web is still paused because all probes are paused. Run: qos-agent resume"
    assert text in result.output
    assert CliRunner().invoke(app, ["resume", "-c", str(path)]).output == (
        "resumed: all\n"
    )
    assert pauses.active() == []


def test_the_help_lists_the_probes_of_the_registry() -> None:
    """The help is written by hand, because it must not import the probes."""
    (argument, *_) = typer.main.get_command(app).commands["pause"].params  # type: ignore[attr-defined]
    assert argument.help == f"all, {', '.join(PROBES)}.".replace(", host", " or host")


WRONG = {
    "PROBE: must be one of all, latency, throughput, web, form, signal, host "
    "(found: 'troughput'). Fix: use throughput.": ["pause", "troughput"],
    "(found: '2 weeks'). Fix: try --for 2h.": ["pause", "web", "--for=2 weeks"],
    "--for: must be positive (found: '0s'). Fix: try --for 2h.": [
        "pause",
        "web",
        "--for=0s",
    ],
}


@pytest.mark.parametrize(("line", "arguments"), WRONG.items())
def test_wrong_usage_is_one_line_with_its_fix(
    agent: tuple[Path, Pauses], line: str, arguments: list[str]
) -> None:
    """An unknown name or a wrong length changes nothing."""
    path, pauses = agent
    result = CliRunner().invoke(app, [*arguments, "-c", str(path)])
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception).endswith(line)
    assert "\n" not in str(result.exception)
    assert pauses.active() == []
