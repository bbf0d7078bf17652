"""`qos-agent status`: shows the state of the running agent."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.options import (
    ConfigOption,
    JsonOption,
    LanguageOption,
    load_configuration,
    translator,
)
from qos_agent.model.errors import OperatorError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from qos_agent.agent.status import Status
    from qos_agent.system.language import Translator

WatchOption = Annotated[
    bool, typer.Option("--watch", help="Refresh every second until Ctrl-C.")
]


def status(
    config: ConfigOption = None,
    watch: WatchOption = False,
    as_json: JsonOption = False,
    language: LanguageOption = None,
) -> int:
    """Show the state of the running agent.

    Shows links, verdicts, backlog, data allowance and clock. The exit status is 1 if
    the agent is not running.
    """
    translate = translator(language)
    folder = load_configuration(config).settings.runtime_folder()
    current = _read(folder, translate)
    pending = _is_enrolment_pending(config)
    if as_json:
        print(json.dumps({**asdict(current), "enrolment_pending": pending}))
    elif watch:
        _watch(folder, current, translate)
    else:
        if pending:
            text = "Enrolment pending: the centre has not confirmed this device yet."
            print(translate(text))
        _print(current, translate)
    return 0 if _running(current) else 1


def _is_enrolment_pending(config: Path | None) -> bool:
    from qos_agent.config.sources import DEFAULT_PATH
    from qos_agent.evidence.enrolment_file import PENDING_NAME

    return (config or DEFAULT_PATH).with_name(PENDING_NAME).exists()


def _read(folder: Path, translate: Translator) -> Status:
    from qos_agent.agent import status as status_file

    current = status_file.read(folder)
    if current is None:
        text = "There is no status file in {folder}. Start an agent: qos-agent run"
        raise OperatorError(translate(text, folder=folder))
    return current


def _running(current: Status) -> bool:
    """Return True if the process exists and wrote the file since the last boot."""
    try:
        os.kill(current.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    except OverflowError:  # no process can have this number
        return False
    return current.boot_ns <= time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _print(current: Status, translate: Translator) -> None:
    from qos_agent.cli.screen import console, render
    from qos_agent.model.units import duration_text

    if not _running(current):
        age_s = max(0.0, (time.time_ns() - current.written_ns) / 1e9)
        text = "The agent is not running. It wrote this status {age} ago."
        print(translate(text, age=duration_text(age_s)))
    console().print(render(current, _now_boot_ns(current), translate))


def _now_boot_ns(current: Status) -> int:
    """Return the present moment on the boot clock that the status file uses."""
    return current.boot_ns + max(0, time.time_ns() - current.written_ns)


def _watch(folder: Path, current: Status, translate: Translator) -> None:
    """Show the status every second until Ctrl-C or until nothing reads the output."""
    from qos_agent.cli.screen import render

    with suppress(KeyboardInterrupt), _display() as show:
        while not getattr(sys.stdout, "error", None):
            show(render(current, _now_boot_ns(current), translate, live=True))
            time.sleep(1)
            current = _read(folder, translate)


@contextmanager
def _display() -> Iterator[Callable[[RenderableType], object]]:
    """Return a function that replaces the screen, or prints if there is no terminal."""
    from rich.live import Live

    from qos_agent.cli.screen import console

    # On a dumb terminal, such as that of an editor, a live screen shows nothing.
    if not sys.stdout.isatty() or console().is_dumb_terminal:
        yield console().print
        return
    with Live(console=console(), screen=True, auto_refresh=False) as live:
        yield partial(live.update, refresh=True)
