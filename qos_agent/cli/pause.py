"""`qos-agent pause` and `qos-agent resume`: hold measurements for a time."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated

import typer

from qos_agent.cli.options import ConfigOption, load_configuration
from qos_agent.model.errors import ConfigError

WhatArgument = Annotated[
    str, typer.Argument(help="all, latency, throughput, web, form, signal or host.")
]
ForOption = Annotated[
    str, typer.Option("--for", help="How long, such as 90s, 30m, 2h; then it ends.")
]


def pause(
    what: WhatArgument, length: ForOption = "1h", config: ConfigOption = None
) -> None:
    """Skip tasks for a time; each skipped one is recorded as paused."""
    from qos_agent.model.units import duration_text
    from qos_agent.schedule import control
    from qos_agent.system.clock import SystemClock

    _known(what)
    length_s = _length_s(length)
    made = control.pause(_folder(config), what, length_s, SystemClock(0))
    print(
        f"{what}: paused for {duration_text(length_s)}, until {made.until()}; "
        f"end it: qos-agent resume {what}"
    )


def resume(what: WhatArgument = "all", config: ConfigOption = None) -> None:
    """End a pause before its time; without a name, all of them."""
    from qos_agent.schedule import control
    from qos_agent.system.clock import SystemClock

    _known(what)
    folder = _folder(config)
    ended = control.resume(folder, what)
    print(f"resumed: {', '.join(ended)}" if ended else f"{what}: was not paused")
    if control.Pauses(folder, SystemClock(0)).is_paused(what):
        print(f"{what} is still held, for all are: qos-agent resume")


def _folder(config: Path | None) -> Path:
    return load_configuration(config).settings.runtime_folder()


def _known(what: str) -> None:
    from qos_agent.schedule.control import PAUSABLE

    if what not in PAUSABLE:
        near = difflib.get_close_matches(what, PAUSABLE, n=1)
        mend = f"did you mean {near[0]}?" if near else "name one of them"
        raise ConfigError("pause", repr(what), ", ".join(PAUSABLE), mend)


def _length_s(text: str) -> float:
    from qos_agent.model.units import seconds

    try:
        length_s = seconds(text)
    except ValueError as error:
        raise ConfigError("--for", repr(text), str(error), "--for 2h") from error
    if length_s <= 0:
        raise ConfigError("--for", repr(text), "more than nothing", "--for 2h")
    return length_s
