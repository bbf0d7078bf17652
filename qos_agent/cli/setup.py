"""`qos-agent setup`: asks a technician, starts the service and accepts the device."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.options import LanguageOption, translator
from qos_agent.model.errors import ConfigError, OperatorError

if TYPE_CHECKING:
    from qos_agent.agent.answers import Answers
    from qos_agent.agent.doctor import Check
    from qos_agent.agent.findings import Finding
    from qos_agent.agent.status import Latest, Status
    from qos_agent.config.loading import Loaded
    from qos_agent.system.language import Translator

_READINGS_S = 45.0
_TAKEN_S = 10.0
_POLL_S = 0.2

StationOption = Annotated[
    str | None,
    typer.Option("--station", metavar="CODE", help="Code of the station, 13 digits."),
]
OperatorOption = Annotated[
    str | None,
    typer.Option("--operator", metavar="NAME", help="Network operator of the link."),
]
InterfaceOption = Annotated[
    str | None,
    typer.Option("--interface", metavar="NAME", help="Network interface to measure."),
]
CollectorOption = Annotated[
    str | None, typer.Option("--collector", metavar="URL", help="URL of InfluxDB.")
]
CalendarOption = Annotated[
    str | None,
    typer.Option(
        "--calendar", metavar="CALENDAR", help="Election calendar: name or file."
    ),
]
TokenOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="Read the collector's token from this file; - is standard input.",
    ),
]
PreseedOption = Annotated[
    Path | None,
    typer.Option(
        "--preseed",
        metavar="FILE",
        help="Read answers from this TOML file. Its keys are station, operator, "
        "interface, collector, calendar, token_file and ca_file.",
    ),
]


def setup(
    station: StationOption = None,
    operator: OperatorOption = None,
    interface: InterfaceOption = None,
    collector: CollectorOption = None,
    calendar: CalendarOption = None,
    token_file: TokenOption = None,
    preseed: PreseedOption = None,
    language: LanguageOption = None,
) -> int:
    """Set up this device and check it.

    Asks for what no option and no preseed file answers, if there is a terminal. Writes
    the configuration, starts the service, runs the doctor and shows the first readings.
    The last lines are the result and a receipt code. The exit status is 1 if the device
    is not accepted. The agent stores the result as an event.
    """
    from qos_agent.agent import answers as answering
    from qos_agent.agent import installation

    translate = translator(language)
    _require_root()
    given = answering.Answers(station, operator, interface, collector, calendar)
    seed = answering.preseed(preseed) if preseed else answering.Preseed()
    given = given.or_else(seed.answers)
    before = installation.present()
    answers = _completed(given, before, translate)
    token = _token(token_file or seed.token_file, translate)
    if seed.ca_file is not None:
        installation.write_authority(seed.ca_file)
        answers = replace(answers, ca_file=str(installation.CA_PATH))
    loaded = _written(answers, before, translate)
    if token:
        installation.write_token(token)
    return _accept(loaded, translate)


def _require_root() -> None:
    if os.geteuid() != 0:
        raise OperatorError("setup: needs root. Fix: sudo qos-agent setup.")


def _completed(given: Answers, before: Answers, translate: Translator) -> Answers:
    """Return all answers; ask for the missing ones on a terminal.

    Raises ConfigError without a terminal.
    """
    if not sys.stdin.isatty():
        answers = given.or_else(before)
        if missing := answers.missing():
            options = ", ".join(f"--{name}" for name in missing)
            fix = f"add {options}, or run the command on a terminal"
            raise ConfigError(missing[0], None, "is missing", fix)
        return answers
    return _asked(given, before, translate) if given.missing() else given


def _asked(given: Answers, before: Answers, translate: Translator) -> Answers:
    from qos_agent.agent.answers import check_collector, check_operator, check_station
    from qos_agent.agent.findings import findings
    from qos_agent.system.clock import system_clock

    found = findings(system_clock())
    print(translate("This device has:"))
    for finding in found:
        print(f"  {finding.text()}")
    first = found[0] if found else None
    station = given.station or _ask(
        translate("Station code (13 digits)"), before.station, check_station
    )
    interface = given.interface or _ask(
        translate("Interface"),
        before.interface or (first.interface if first else None),
        _one_of(found),
    )
    of_interface = next((f for f in found if f.interface == interface), None)
    operator = given.operator or _ask(
        translate("Operator"),
        before.operator or (of_interface.operator if of_interface else None),
        check_operator,
    )
    collector = given.collector or _ask(
        translate("Collector URL"), before.collector, check_collector
    )
    answers = replace(given, station=station, operator=operator, interface=interface)
    return replace(answers, collector=collector).or_else(before)


def _one_of(found: list[Finding]) -> Callable[[str], str]:
    """Return a check that a name is one of the interfaces."""

    def check(name: str) -> str:
        names = [finding.interface for finding in found]
        if name not in names:
            fix = "plug the modem in, and run ip link"
            raise ConfigError(
                "interface", repr(name[:40]), f"must be one of {', '.join(names)}", fix
            )
        return name

    return check


def _ask(question: str, default: str | None, check: Callable[[str], str] = str) -> str:
    """Ask until the answer is valid. An empty answer is the default."""
    while True:
        shown = f"{question} [{default}]: " if default else f"{question}: "
        print(shown, end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            raise OperatorError(f"setup: {question}: no answer. Fix: run it again.")
        answer = line.strip() or default or ""
        try:
            if answer:
                return check(answer)
        except ConfigError as error:
            print(error)


def _token(path: Path | None, translate: Translator) -> str | None:
    """Return the token from a file, from standard input or from the terminal.

    It is never an argument, because every user can see the arguments of a process.
    """
    from qos_agent.config.token import read_token

    if path is not None and str(path) != "-":
        return read_token(path)
    if path is not None:
        return sys.stdin.readline()
    if not sys.stdin.isatty():
        return None
    import getpass

    text = translate("Token of the collector (not shown; empty keeps the present one)")
    return getpass.getpass(f"{text}: ") or None


def _written(answers: Answers, before: Answers, translate: Translator) -> Loaded:
    """Write the configuration, or keep the present one if it has the same answers."""
    from qos_agent.agent import installation
    from qos_agent.cli.options import load_configuration
    from qos_agent.config.sources import DEFAULT_PATH

    if answers == before:
        print(translate("{path} is unchanged", path=DEFAULT_PATH))
    else:
        existed = DEFAULT_PATH.exists()
        installation.write_config(installation.config_text(answers))
        print(translate("Wrote {path}", path=DEFAULT_PATH))
        if existed:
            earlier = f"{DEFAULT_PATH}.before-setup"
            print(translate("The earlier settings are in {path}", path=earlier))
    return load_configuration(DEFAULT_PATH)


def _accept(loaded: Loaded, translate: Translator) -> int:
    """Start the service, check the device and print the result."""
    from qos_agent.agent import accepting
    from qos_agent.agent.installation import start_service
    from qos_agent.schedule import acceptance
    from qos_agent.system.clock import system_clock

    settings, clock = loaded.settings, system_clock()
    folder = settings.runtime_folder()
    print(translate("Starting the service ..."), flush=True)
    before_ns = clock.boot_ns()
    if (problem := start_service()) is not None:
        print(f"{translate('NOT ACCEPTED')}: {problem}")
        print("journalctl -u qos-agent -n 20 --no-pager")
        return 1
    checks = _doctor(loaded, translate)
    links = [link.name for link in settings.link_list()]
    current = _first_readings(folder, set(links), before_ns)
    latest: Sequence[Latest] = current.latest if current else ()
    _print_readings(latest, translate)
    seed = f"{settings.station.id}/{settings.station.device}/{loaded.hash}/"
    result = accepting.judge(checks, latest, links, f"{seed}{clock.wall_ns()}")
    acceptance.leave(folder, result.detail())
    if not _taken(folder):
        print(translate("The agent has not stored the result yet."))
    # A technician may pull the plug now, and the enabled service must survive it.
    os.sync()
    accepted = result.failing is None
    verdict = translate("ACCEPTED" if accepted else "NOT ACCEPTED")
    print(verdict if accepted else f"{verdict}: {result.failing}")
    print(translate("Receipt code: {receipt}", receipt=result.receipt))
    return 0 if accepted else 1


def _taken(folder: Path) -> bool:
    """Wait until the agent has taken the result, for a limited time."""
    from qos_agent.schedule import acceptance

    end_s = time.monotonic() + _TAKEN_S
    while acceptance.is_left(folder) and time.monotonic() < end_s:
        time.sleep(_POLL_S)
    return not acceptance.is_left(folder)


def _doctor(loaded: Loaded, translate: Translator) -> Sequence[Check]:
    from qos_agent.agent.doctor import diagnose, examine
    from qos_agent.cli.doctor import print_checks
    from qos_agent.config.sources import DEFAULT_PATH
    from qos_agent.system.clock import system_clock

    checks = diagnose(examine(loaded.settings, system_clock(), DEFAULT_PATH))
    print_checks(checks, translate)
    return checks


def _first_readings(folder: Path, links: set[str], since_boot_ns: int) -> Status | None:
    """Wait until each link has a good reading, for a limited time.

    A status that the service wrote before it was restarted does not count.
    """
    from qos_agent.agent import status
    from qos_agent.agent.accepting import measured_links
    from qos_agent.model.errors import StorageError

    end_s = time.monotonic() + _READINGS_S
    current = None
    while time.monotonic() < end_s:
        with suppress(StorageError):  # the previous version wrote it
            found = status.read(folder)
            current = found if found and found.boot_ns > since_boot_ns else None
        if current is not None and links <= measured_links(current.latest):
            break
        time.sleep(_POLL_S)
    return current


def _print_readings(latest: Sequence[Latest], translate: Translator) -> None:
    print(translate("First readings:"))
    for entry in latest:
        names = ("link", "target", "direction")
        place = " ".join(entry.tags[name] for name in names if name in entry.tags)
        fields = " ".join(f"{name}={value}" for name, value in entry.fields.items())
        result = translate(entry.outcome)
        print(f"  {entry.measurement} {place} {result} {entry.reason or ''} {fields}")
