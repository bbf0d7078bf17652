"""`qos-agent doctor`: checks everything that measuring needs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.options import (
    ConfigOption,
    JsonOption,
    LanguageOption,
    load_configuration,
    translator,
)
from qos_agent.model.errors import InvalidConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qos_agent.agent.doctor import Check, Subject
    from qos_agent.agent.support import Support
    from qos_agent.config.settings import Settings
    from qos_agent.system.language import Translator

# The checks end after 20 s. The rest is for reading the program and the configuration.
_LIMIT_S = 28.0
_LABELS = {"ok": "ok", "warn": "WARN", "bad": "BAD"}

SupportOption = Annotated[
    Path | None,
    typer.Option(
        "--support",
        metavar="FILE",
        help="Write logs, settings and readings without secrets to this tar.gz file.",
    ),
]


def doctor(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    language: LanguageOption = None,
    support: SupportOption = None,
) -> int:
    """Check everything that measuring needs.

    Prints the problems first, each with the command that fixes it. The last line names
    the problem to begin with. Ends within 30 seconds. The exit status is 1 if a check
    is bad, and 2 if the configuration is wrong.
    """
    from qos_agent.agent.doctor import diagnose
    from qos_agent.agent.support import collect
    from qos_agent.system.time_limit import limit_process

    translate = translator(language)
    text = "The doctor did not end in time. Restart the device."
    limit_process(_LIMIT_S, translate(text))
    examined, fault = _examined(config)
    content = None if support is None else collect(examined, diagnose)
    checks = content.checks if content is not None else diagnose(examined)
    if as_json:
        print(json.dumps([_plain(check) for check in checks]))
    else:
        print_checks(checks, translate)
    if support is not None and content is not None:
        _write_support(content, support, translate)
    if fault is not None:
        raise fault
    return 1 if any(check.health == "bad" for check in checks) else 0


def _examined(config: Path | None) -> tuple[Subject, InvalidConfigError | None]:
    """Return the device; with a wrong configuration its settings are the defaults."""
    from qos_agent.agent.doctor import examine
    from qos_agent.config.sources import Sources
    from qos_agent.system.clock import system_clock

    file = Sources.of_process(config).file
    try:
        settings = load_configuration(config).settings
    except InvalidConfigError as error:
        return examine(_defaults(file), system_clock(), file, error.faults), error
    return examine(settings, system_clock(), file), None


def _write_support(content: Support, path: Path, translate: Translator) -> None:
    """Write the archive, and print to standard error what it does not contain."""
    from qos_agent.agent.support import write
    from qos_agent.model.units import size_text

    size = size_text(write(content, path))
    kinds = ", ".join(f"{k}: {n}" for k, n in sorted(content.removed.items())) or "-"
    lines = [
        translate("Wrote {path}, {size}", path=path, size=size),
        translate("Removed: {kinds}", kinds=kinds),
    ]
    text = "{path} cannot be read here, so only its usual forms were removed. Use sudo."
    lines += [translate(text, path=file) for file in content.unread]
    print("\n".join(lines), file=sys.stderr)


def _defaults(file: Path | None) -> Settings:
    """Return the default settings, with the folders of an installed system."""
    from qos_agent.config.settings import Settings
    from qos_agent.config.sources import DEFAULT_PATH, INSTALLED_FOLDERS

    return Settings.model_validate(INSTALLED_FOLDERS if file == DEFAULT_PATH else {})


def _plain(check: Check) -> dict[str, str | None]:
    names = ("name", "health", "result", "fix", "cause")
    return {name: getattr(check, name) for name in names}


def print_checks(checks: Sequence[Check], translate: Translator) -> None:
    """Print all checks, and at the end how many failed and which comes first.

    A long list scrolls the first lines off a terminal.
    """
    for check in checks:
        _print_check(check, translate)
    failed = [check for check in checks if check.health != "ok"]
    if not failed:
        print(translate("All checks passed."))
        return
    errors = sum(check.health == "bad" for check in failed)
    text = "Errors: {errors}, warnings: {warnings}. Begin with: {name}"
    values = {"errors": errors, "warnings": len(failed) - errors}
    print(translate(text, **values, name=named(failed[0].name, translate)))


def named(name: str, translate: Translator) -> str:
    """Return the name of a check, whose first word is translated."""
    subject, _, link = name.partition(" ")
    return f"{translate(subject)} {link}".strip()


def _print_check(check: Check, translate: Translator) -> None:
    """Print the line of a check, and below it the fix, or the cause to fix first."""
    label = translate(_LABELS[check.health.value])
    values = {
        name: translate(value) if isinstance(value, str) else value
        for name, value in check.values.items()
    }
    result = translate(check.text, **values)
    print(f"{label:<10} {named(check.name, translate):<20} {result}")
    if check.cause is not None:
        text = translate("first fix {name}", name=named(check.cause, translate))
        print(f"{'':<10} {text}")
    elif check.fix:
        advice = translate(check.advice, **values)
        print(f"{'':<10} {translate('fix')}: {advice}")
