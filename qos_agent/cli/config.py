"""`qos-agent config`: writes, checks, shows and reloads the configuration."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.options import ConfigOption, JsonOption, load_configuration
from qos_agent.model.errors import ConfigError

if TYPE_CHECKING:
    from qos_agent.config.settings import Settings
    from qos_agent.model import Probe

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
PathArgument = Annotated[
    Path, typer.Argument(help="The file to write, or - to print it.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace the file if it exists.")
]
NowOption = Annotated[
    bool, typer.Option("--now", help="Reload even during voting and counting.")
]


@app.command("init")
def init(path: PathArgument = Path("agent.toml"), force: ForceOption = False) -> None:
    """Write a commented file with every key and its default.

    With - as PATH, print it.
    """
    from qos_agent.config.template import commented
    from qos_agent.schedule.jobs import DEFAULT_INTERVALS
    from qos_agent.system.language import translator_for_locale

    if str(path) == "-" or _is_output(path):
        print(commented(DEFAULT_INTERVALS), end="")
        return
    _need_free(path, force=force)
    path.write_text(commented(DEFAULT_INTERVALS), encoding="utf-8")
    text = "Wrote {path}. Edit it, then run: qos-agent config check -c {path}"
    print(translator_for_locale()(text, path=path))


def _is_output(path: Path) -> bool:
    """Return True for standard output, under any of its names such as /dev/stdout."""
    try:
        return os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):
        return False


def _need_free(path: Path, *, force: bool) -> None:
    """Refuse a path with something that must not be replaced. Raises ConfigError."""
    name, problem = str(path), ""
    if path.is_dir():
        problem, fix = "is a folder", f"name a file in it, such as {path}/agent.toml"
    elif path.is_fifo() or path.is_socket() or path.is_block_device():
        problem, fix = "is not a regular file", "print to it: qos-agent config init -"
    elif os.path.lexists(path) and not path.is_char_device() and not force:
        problem = "the file exists already"
        fix = f"choose another name, or run: qos-agent config init {path} --force"
    if problem:
        raise ConfigError(name, None, problem, fix)


@app.command("check")
def check(config: ConfigOption = None) -> int:
    """Check the configuration.

    Prints one line per fault and ends with status 2. The status is 1 if the
    configuration is valid but the schedule needs more data than the allowance has.
    """
    loaded = load_configuration(config)
    settings = loaded.settings
    shortfalls = list(_shortfalls(settings))
    for line in shortfalls:
        print(line)
    print(
        f"ok: station {settings.station.id}, {len(settings.links)} link(s), "
        f"{len(settings.targets)} target(s), configuration {loaded.hash}"
    )
    return 1 if shortfalls else 0


def _shortfalls(settings: Settings) -> Iterator[str]:
    """Yield a line for each link whose allowance is too small for the schedule."""
    from zoneinfo import ZoneInfo

    from qos_agent.agent.build import demand
    from qos_agent.config import calendar_file
    from qos_agent.model.calendar import StationCalendar
    from qos_agent.probes.registry import make_probes
    from qos_agent.schedule.allowance_account import allowances
    from qos_agent.schedule.allowance_forecast import shortfalls
    from qos_agent.system.clock import system_clock
    from qos_agent.verdict.judge import rules

    rules(settings)  # raises an error if the file of thresholds is invalid
    identity = settings.identity()
    timeline = calendar_file.named(settings.election.calendar).timeline(identity)
    station = StationCalendar(timeline, ZoneInfo(identity.time_zone))
    probes = make_probes(settings)
    _learn(settings, probes)
    needed = demand(settings, probes)
    now_ns = system_clock().wall_ns()
    for link, allowance in allowances(settings).items():
        yield from shortfalls(needed, link, station, allowance, now_ns)


def _learn(settings: Settings, probes: Mapping[str, Probe]) -> None:
    """Give the probes what the agent has learned of the links, if it has a journal."""
    from qos_agent.journal.reader import reading
    from qos_agent.model.errors import OperatorError, StorageError
    from qos_agent.probes.registry import learn_in, usual_bytes

    with (
        suppress(OperatorError, StorageError, OSError),
        reading(settings.journal.folder) as journal,
    ):
        learn_in(probes, journal)
        # The probes read their history now, because the journal closes.
        for link in settings.link_list():
            for probe in probes.values():
                usual_bytes(probe, link.name)


@app.command("show")
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show every value and its source.

    Secrets are printed as stars. The last lines describe the throughput backends that
    the links use: licence, data use, byte limit, limitations.
    """
    from qos_agent.config.loading import in_force, leaves
    from qos_agent.schedule.jobs import DEFAULT_INTERVALS

    loaded = load_configuration(config)
    values = in_force(loaded.settings, DEFAULT_INTERVALS)
    backends = _backends(loaded.settings)
    if as_json:
        tables = {"settings": values, "origins": dict(loaded.origins)}
        print(json.dumps({**tables, "backends": backends}))
        return
    for key, value in leaves(values):
        print(f"{key} = {json.dumps(value)}  # {loaded.origins.get(key, 'default')}")
    for name, properties in backends.items():
        for label, text in properties.items():
            print(f"# throughput by {name}, {label}: {text}")


def _backends(settings: Settings) -> dict[str, dict[str, str]]:
    """Return the properties of each throughput backend that a link uses."""
    from qos_agent.probes.throughput import BACKENDS

    links = settings.link_list()
    orders = [settings.throughput_of(link.name).order() for link in links]
    used = {name: BACKENDS[name] for order in orders for name in order}
    return {
        name: {
            "licence": backend.licence,
            "data use": backend.data_use,
            "byte limit": backend.byte_bound,
            "limitations": backend.cannot_see,
        }
        for name, backend in used.items()
    }


@app.command("reload")
def reload(config: ConfigOption = None, now: NowOption = False) -> None:
    """Make the running agent reload its configuration.

    The configuration is checked first. During voting and counting the agent keeps the
    current one, unless --now is given.
    """
    from qos_agent.schedule.control import request_reload
    from qos_agent.system.language import translator_for_locale

    loaded = load_configuration(config)
    request_reload(loaded.settings.runtime_folder(), now)
    text = "Requested a reload of configuration {hash}. The agent logs the result."
    print(translator_for_locale()(text, hash=loaded.hash))
