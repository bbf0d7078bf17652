"""`qos-agent doctor`: checks everything that measuring needs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from qos_agent.cli.options import ConfigOption, JsonOption, load_configuration

if TYPE_CHECKING:
    from qos_agent.agent.doctor import Check
    from qos_agent.system.language import Translator

_LABELS = {"ok": "ok", "degraded": "warning", "bad": "error"}


def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> int:
    """Check everything that measuring needs.

    Prints each problem with the command that fixes it. The exit status is 1 if a check
    finds an error.
    """
    from qos_agent.agent.doctor import Health, diagnose
    from qos_agent.system.clock import system_clock
    from qos_agent.system.language import translator_for_locale

    translate = translator_for_locale()
    settings = load_configuration(config).settings
    checks = []
    for check in diagnose(settings, system_clock()):
        checks.append(check)
        if not as_json:
            print_check(check, translate)
    if as_json:
        print(json.dumps([_plain(check) for check in checks]))
    elif all(check.health == Health.OK for check in checks):
        print(translate("All checks passed."))
    return 1 if any(check.health == Health.BAD for check in checks) else 0


def _plain(check: Check) -> dict[str, str]:
    names = ("name", "health", "result", "fix")
    return {name: getattr(check, name) for name in names}


def print_check(check: Check, translate: Translator) -> None:
    """Print the line of a check, and below it the fix."""
    subject, _, link = check.name.partition(" ")
    name = f"{translate(subject)} {link}".strip()
    label = translate(_LABELS[check.health.value])
    print(f"{label:<10} {name:<20} {translate(check.text, **check.values)}")
    if check.fix:
        print(f"{'':<10} {translate('fix')}: {translate(check.fix)}")
