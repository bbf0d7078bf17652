"""`qos-agent doctor`: every precondition, each with the command that mends it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from qos_agent.cli.options import ConfigOption, JsonOption, load_configuration

if TYPE_CHECKING:
    from qos_agent.agent.doctor import Check
    from qos_agent.system.language import Words


def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> int:
    """Check everything that measuring needs; exit status 1 where something is bad."""
    from qos_agent.agent.doctor import Health, diagnose
    from qos_agent.system.clock import system_clock
    from qos_agent.system.language import of_environment

    words = of_environment()
    settings = load_configuration(config).settings
    checks = []
    for check in diagnose(settings, system_clock()):
        checks.append(check)
        if not as_json:
            _print(check, words)
    if as_json:
        print(json.dumps([asdict(check) for check in checks]))
    elif all(check.health == Health.OK for check in checks):
        print(words("Everything is well."))
    return 1 if any(check.health == Health.BAD for check in checks) else 0


def _print(check: Check, words: Words) -> None:
    subject, _, rest = check.name.partition(" ")
    name = f"{words(subject)} {rest}".strip()
    print(f"{words(check.health.value):<10} {name:<20} {check.result}")
    if check.fix:
        print(f"{'':<10} {words('fix')}: {check.fix}")
