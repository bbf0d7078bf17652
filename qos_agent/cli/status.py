"""`qos-agent status`: what the running agent sees."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.options import ConfigOption, JsonOption, load_configuration
from qos_agent.model.errors import OperatorError

if TYPE_CHECKING:
    from pathlib import Path

    from qos_agent.agent.status import Status


def status(
    config: ConfigOption = None,
    watch: Annotated[bool, typer.Option(help="Keep showing, until Ctrl-C.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Show links, verdicts, backlog, allowance and clock, as the agent sees them."""
    folder = load_configuration(config).settings.runtime_folder()
    found = _read(folder)
    if as_json:
        print(json.dumps(asdict(found)))
    elif watch:
        _watch(folder, found)
    else:
        _print(found)
    return 0 if _running(found) else 1


def _read(folder: Path) -> Status:
    from qos_agent.agent import status as status_file
    from qos_agent.system.language import of_environment

    found = status_file.read(folder)
    if found is None:
        text = "No agent has written a status in {folder}; start one: qos-agent run"
        raise OperatorError(of_environment()(text, folder=folder))
    return found


def _running(found: Status) -> bool:
    """The process is there, and this is the boot it wrote in."""
    try:
        os.kill(found.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return found.boot_ns <= time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _print(found: Status) -> None:
    from rich.console import Console

    from qos_agent.cli.screen import render
    from qos_agent.model.units import duration_text
    from qos_agent.system.language import of_environment

    words = of_environment()
    if not _running(found):
        age_s = max(0.0, (time.time_ns() - found.written_ns) / 1e9)
        text = "The agent is not running; this is what it saw {age} ago."
        print(words(text, age=duration_text(age_s)))
    Console().print(render(found, _now_boot_ns(found), words))


def _now_boot_ns(found: Status) -> int:
    """This moment on the boot clock that the file was written by."""
    return found.boot_ns + max(0, time.time_ns() - found.written_ns)


def _watch(folder: Path, found: Status) -> None:
    from rich.live import Live

    from qos_agent.cli.screen import render
    from qos_agent.system.language import of_environment

    words = of_environment()
    with Live(render(found, _now_boot_ns(found), words), screen=True) as live:
        try:
            while True:
                time.sleep(1)
                found = _read(folder)
                live.update(render(found, _now_boot_ns(found), words))
        except KeyboardInterrupt:
            return
