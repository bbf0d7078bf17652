"""`qos-agent noc simulate`: simulates stations and sends or writes their points."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.noc_options import NocConfigOption, Progress, need_writable
from qos_agent.model.errors import ConfigError
from qos_agent.system.signals import handle_signals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qos_agent.noc.simulator.run import Batch

ScenarioArgument = Annotated[
    str, typer.Argument(help="The name of a built-in scenario, or a TOML file.")
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Write the points to this file and send nothing."
    ),
]
KeyOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the simulated faults to this JSON file."),
]
StationsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write the stations to this CSV file for `register import`.",
    ),
]
RateOption = Annotated[
    float,
    typer.Option(metavar="N", min=1, help="Send at most this many points per second."),
]
SpeedOption = Annotated[
    float,
    typer.Option(
        metavar="FACTOR",
        min=0,
        help="Factor on real time: 1 sends each minute when it has passed, 60 is 60 "
        "times as fast, 0 does not wait.",
    ),
]
CountOption = Annotated[
    int | None,
    typer.Option(
        "--count", metavar="N", help="Number of stations, in place of the scenario's."
    ),
]
MinutesOption = Annotated[
    int | None,
    typer.Option(metavar="N", help="Number of minutes, in place of the scenario's."),
]
PartOption = Annotated[
    str,
    typer.Option(
        metavar="I/N",
        help="Simulate one share of the stations: 2/3 is the second of three "
        "processes.",
    ),
]
DryOption = Annotated[
    bool,
    typer.Option("--dry", help="Write only the --stations and --key files."),
]


def simulate(  # noqa: PLR0913, PLR0917  each parameter is an option
    scenario: ScenarioArgument,
    out: OutOption = None,
    key: KeyOption = None,
    stations: StationsOption = None,
    rate: RateOption = 20_000,
    speed: SpeedOption = 0,
    count: CountOption = None,
    minutes: MinutesOption = None,
    part: PartOption = "1/1",
    dry: DryOption = False,
    config: NocConfigOption = None,
) -> None:
    """Simulate stations and send their points.

    Sends the points to the collectors of the configuration, or writes them to a file
    with --out.
    """
    from qos_agent.noc.settings import load as load_settings
    from qos_agent.noc.simulator.delivery import to_collectors, to_file, write_key
    from qos_agent.noc.simulator.population import write_register
    from qos_agent.noc.simulator.run import Nation
    from qos_agent.noc.simulator.scenario import load

    need_writable(out=out, key=key, stations=stations)
    loaded = load(scenario, stations=count, minutes=minutes)
    nation = Nation(loaded, datetime.now(UTC), _part(part))
    if stations is not None:
        write_register(stations, iter(nation.stations))
    if key is not None:
        write_key(nation, key)
    if dry:
        print(f"{loaded.name}: {len(nation.stations)} stations")
        if stations is None and key is None:
            print("Nothing was written. To write files, add --stations or --key.")
        return
    settings = load_settings(config)
    if not settings.collectors and out is None:
        fix = "add a [[collectors]] table to noc.toml, or use --out FILE"
        raise ConfigError("collectors", None, "missing", fix)
    stop = threading.Event()
    handle_signals(stop.set)
    if out is not None:
        batches = to_file(nation, out, stop)
    else:
        batches = to_collectors(nation, settings, rate, speed, stop)
    total = _count_points(batches, loaded.minutes)
    stopped = "stopped by hand, " if stop.is_set() else ""
    print(f"{loaded.name}: {stopped}{len(nation.stations)} stations, {total} points")


def _part(text: str) -> tuple[int, int]:
    """Parse "2/3" into (2, 3). Raises ConfigError."""
    number, _, total = text.partition("/")
    if number.isdecimal() and total.isdecimal() and 1 <= int(number) <= int(total):
        return int(number), int(total)
    problem = "must be a part such as 2/3, with a first number from 1 to the second"
    raise ConfigError("--part", repr(text), problem, "use for example --part 1/3")


def _count_points(batches: Iterator[Batch], minutes: int) -> int:
    """Print progress while the points are written; return their number."""
    total, progress = 0, Progress("points")
    for batch in batches:
        total += batch.count
        progress(total, f", minute {batch.minute + 1} of {minutes}")
    return total
