"""`qos-agent pause` and `qos-agent resume`: pause measurements for a limited time."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated

import typer

from qos_agent.cli.options import ConfigOption, load_configuration
from qos_agent.model.errors import ConfigError

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="PROBE",
        help="all, latency, throughput, web, form, signal or host.",
    ),
]
ForOption = Annotated[
    str,
    typer.Option(
        "--for",
        metavar="TIME",
        help="How long the pause lasts, for example 90s, 30m or 2h.",
    ),
]


def pause(
    name: NameArgument, length: ForOption = "1h", config: ConfigOption = None
) -> None:
    """Pause one probe or all probes for a limited time.

    Each task that is skipped meanwhile is recorded with the reason `paused`.
    """
    from qos_agent.model.units import duration_text
    from qos_agent.schedule import control
    from qos_agent.system.clock import SystemClock
    from qos_agent.system.language import translator_for_locale

    _check_name(name)
    length_s = _length_s(length)
    paused = control.pause(_folder(config), name, length_s, SystemClock(0))
    text = (
        "{name}: paused for {length}, until {end}. To end the pause: "
        "qos-agent resume {name}"
    )
    translate = translator_for_locale()
    length = duration_text(length_s)
    print(translate(text, name=name, length=length, end=paused.until()))


def resume(name: NameArgument = "all", config: ConfigOption = None) -> None:
    """End a pause early.

    Without a name, it ends all pauses.
    """
    from qos_agent.schedule import control
    from qos_agent.system.clock import SystemClock
    from qos_agent.system.language import translator_for_locale

    _check_name(name)
    translate = translator_for_locale()
    folder = _folder(config)
    ended = control.resume(folder, name)
    if ended:
        print(f"{translate('resumed')}: {', '.join(ended)}")
    else:
        print(translate("{name} was not paused", name=name))
    if control.Pauses(folder, SystemClock(0)).is_paused(name):
        text = (
            "{name} is still paused because all probes are paused. "
            "Run: qos-agent resume"
        )
        print(translate(text, name=name))


def _folder(config: Path | None) -> Path:
    return load_configuration(config).settings.runtime_folder()


def _check_name(name: str) -> None:
    """Raise ConfigError with the nearest name if there is no such probe."""
    from qos_agent.schedule.control import PAUSABLE

    if name not in PAUSABLE:
        near = difflib.get_close_matches(name, PAUSABLE, n=1)
        problem = f"must be one of {', '.join(PAUSABLE)}"
        fix = f"use {near[0]}" if near else "use one of these names"
        raise ConfigError("PROBE", repr(name), problem, fix)


def _length_s(text: str) -> float:
    from qos_agent.model.units import seconds

    try:
        length_s = seconds(text)
    except ValueError as error:
        raise ConfigError("--for", repr(text), str(error), "try --for 2h") from error
    if length_s <= 0:
        raise ConfigError("--for", repr(text), "must be positive", "try --for 2h")
    return length_s
