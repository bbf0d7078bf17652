"""`qos-agent config`: write a commented file, check one, show what is in force."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.options import ConfigOption, JsonOption, load_configuration
from qos_agent.model.errors import ConfigError

if TYPE_CHECKING:
    from qos_agent.config.settings import Settings

app = typer.Typer(
    help="Write, check and show the configuration.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("init")
def init(
    path: Annotated[Path, typer.Argument(help="Where to write.")] = Path("agent.toml"),
    force: Annotated[bool, typer.Option(help="Write over an existing file.")] = False,
) -> None:
    """Write a commented configuration with every key and its default."""
    from qos_agent.config.template import commented
    from qos_agent.schedule.jobs import DEFAULT_INTERVALS

    if path.exists() and not force:
        raise ConfigError(
            str(path), "a file", "a new file", f"qos-agent config init {path} --force"
        )
    path.write_text(commented(DEFAULT_INTERVALS), encoding="utf-8")
    print(f"{path}: written; edit it, then: qos-agent config check -c {path}")


@app.command("check")
def check(config: ConfigOption = None) -> int:
    """Check the configuration; one line for each fault, exit status 2.

    Status 1 where it is well, but the schedule does not fit the data allowance.
    """
    loaded = load_configuration(config)
    settings = loaded.settings
    short = list(_shortfalls(settings))
    for line in short:
        print(line)
    print(
        f"well: station {settings.station.id}, {len(settings.links)} link(s), "
        f"{len(settings.targets)} target(s), configuration {loaded.hash}"
    )
    return 1 if short else 0


def _shortfalls(settings: Settings) -> Iterator[str]:
    """A line for each way in which the schedule does not fit a link's SIM."""
    from zoneinfo import ZoneInfo

    from qos_agent.agent.build import demand
    from qos_agent.config import calendar_file
    from qos_agent.model.calendar import StationCalendar
    from qos_agent.probes.registry import make_probes
    from qos_agent.schedule.allowance_account import allowances
    from qos_agent.schedule.allowance_forecast import shortfalls
    from qos_agent.system.clock import system_clock
    from qos_agent.verdict.judge import rules

    rules(settings)  # a bad file of thresholds is a fault of the configuration too
    identity = settings.identity()
    timeline = calendar_file.named(settings.election.calendar).timeline(identity)
    station = StationCalendar(timeline, ZoneInfo(identity.time_zone))
    wanted = demand(settings, make_probes(settings))
    now_ns = system_clock().wall_ns()
    for link, allowance in allowances(settings).items():
        yield from shortfalls(wanted, link, station, allowance, now_ns)


@app.command("show")
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show what is in force and where each value comes from; secrets as stars.

    Below it, what the throughput backends in force say of themselves.
    """
    from qos_agent.config.loading import in_force, leaves
    from qos_agent.schedule.jobs import DEFAULT_INTERVALS

    loaded = load_configuration(config)
    values = in_force(loaded.settings, DEFAULT_INTERVALS)
    backends = _statements(loaded.settings)
    if as_json:
        whole = {"settings": values, "origins": dict(loaded.origins)}
        print(json.dumps({**whole, "backends": backends}))
        return
    for key, value in leaves(values):
        print(f"{key} = {json.dumps(value)}  # {loaded.origins.get(key, 'default')}")
    for name, statement in backends.items():
        for about, text in statement.items():
            print(f"# throughput by {name}, {about}: {text}")


def _statements(settings: Settings) -> dict[str, dict[str, str]]:
    """Licence, data use, bound and blind spots of each backend that some link uses."""
    from qos_agent.probes.throughput import BACKENDS

    links = settings.link_list()
    orders = [settings.throughput_of(link.name).order() for link in links]
    used = {name: BACKENDS[name] for order in orders for name in order}
    return {
        name: {
            "licence": backend.licence,
            "data use": backend.data_use,
            "bound on bytes": backend.byte_bound,
            "cannot see": backend.cannot_see,
        }
        for name, backend in used.items()
    }


@app.command("reload")
def reload(
    config: ConfigOption = None,
    now: Annotated[
        bool, typer.Option("--now", help="Even while votes are cast or counted.")
    ] = False,
) -> None:
    """Have the running agent read its configuration again, once it checks well."""
    from qos_agent.schedule.control import request_reload

    loaded = load_configuration(config)
    request_reload(loaded.settings.runtime_folder(), now)
    print(f"configuration {loaded.hash}: asked for; see it: qos-agent status")
