"""`qos-agent maintenance`: shows or allows an upgrade during voting and counting."""

from __future__ import annotations

from typing import Annotated

import typer

from qos_agent.cli.options import ConfigOption, load_configuration
from qos_agent.model.errors import ConfigError

AllowOption = Annotated[
    str | None,
    typer.Option(
        "--allow", metavar="TIME", help="Allow an upgrade for this time, such as 30m."
    ),
]


def maintenance(allow: AllowOption = None, config: ConfigOption = None) -> int:
    """Show or allow an upgrade during voting and counting.

    Packages refuse to replace the program while votes are cast or counted. The exit
    status is 0 if an upgrade is allowed, and 1 if it is refused. In English the output
    begins with `allowed` or `refused`.
    """
    from qos_agent.agent import maintenance as permission
    from qos_agent.config import calendar_file
    from qos_agent.model.units import duration_text
    from qos_agent.system.clock import system_clock
    from qos_agent.system.language import translator_for_locale

    translate, clock = translator_for_locale(), system_clock()
    if allow is not None:
        permission.allow(_length_s(allow), clock)
    if left_s := permission.allowed_s(clock):
        text = "allowed: for {length} by root"
        print(translate(text, length=duration_text(round(left_s))))
        return 0
    phase = permission.phase(load_configuration(config).settings, clock)
    name = translate(phase.value)
    if calendar_file.may_reload(phase):
        print(translate("allowed: in phase {phase}", phase=name))
        return 0
    text = (
        "refused: the phase is {phase}, and the agent must not stop. To upgrade in "
        "spite of this: sudo qos-agent maintenance --allow 30m"
    )
    print(translate(text, phase=name))
    return 1


def _length_s(text: str) -> float:
    from qos_agent.agent.maintenance import MAX_S
    from qos_agent.model.units import seconds

    try:
        length_s = seconds(text)
    except ValueError as error:
        raise ConfigError(
            "--allow", repr(text), str(error), "try --allow 30m"
        ) from error
    if not 0 < length_s <= MAX_S:
        problem = "must be positive and at most 24h"
        raise ConfigError("--allow", repr(text), problem, "try --allow 30m")
    return length_s
