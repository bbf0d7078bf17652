"""`qos-agent noc simulate`: a nation into collectors or a file."""

from __future__ import annotations

import signal
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.noc_options import NocConfigOption, Progress, need_writable
from qos_agent.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qos_agent.noc.simulator.run import Batch


def simulate(  # noqa: PLR0913, PLR0917  each is an option of its own
    scenario: Annotated[str, typer.Argument(help="A shipped name, or a TOML file.")],
    out: Annotated[Path | None, typer.Option(help="Line protocol to a file.")] = None,
    key: Annotated[Path | None, typer.Option(help="Planted events (JSON).")] = None,
    stations: Annotated[
        Path | None, typer.Option(help="The stations as a CSV for `register import`.")
    ] = None,
    rate: Annotated[float, typer.Option(min=1, help="Most points a second.")] = 20_000,
    speed: Annotated[float, typer.Option(min=0, help="1 real time; 0 no waiting.")] = 0,
    count: Annotated[
        int | None, typer.Option("--count", help="Stations, not the scenario's.")
    ] = None,
    minutes: Annotated[
        int | None, typer.Option(help="Minutes, not the scenario's.")
    ] = None,
    part: Annotated[
        str, typer.Option(help="2/3: the second of three processes that share it.")
    ] = "1/1",
    dry: Annotated[
        bool, typer.Option("--dry", help="Only --stations and --key, no points.")
    ] = False,
    config: NocConfigOption = None,
) -> None:
    """Simulate a nation into the collectors of the configuration, or into a file."""
    from qos_agent.noc.settings import load as load_settings
    from qos_agent.noc.simulator.delivery import to_collectors, to_file, write_key
    from qos_agent.noc.simulator.population import write_register
    from qos_agent.noc.simulator.run import Nation
    from qos_agent.noc.simulator.scenario import load

    need_writable(out=out, key=key, stations=stations)
    wanted = load(scenario, stations=count, minutes=minutes)
    made = Nation(wanted, datetime.now(UTC), _part(part))
    if stations is not None:
        write_register(stations, iter(made.stations))
    if key is not None:
        write_key(made, key)
    if dry:
        print(f"{wanted.name}: {len(made.stations)} stations")
        return
    settings = load_settings(config)
    if not settings.collectors and out is None:
        raise ConfigError(
            "collectors", "nothing", "[[collectors]]", "add one, or --out"
        )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if out is not None:
        batches = to_file(made, out, stop)
    else:
        batches = to_collectors(made, settings, rate, speed, stop)
    total = _followed(batches, wanted.minutes)
    said = "stopped by hand, " if stop.is_set() else ""
    print(f"{wanted.name}: {said}{len(made.stations)} stations, {total} points")


def _part(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    if number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of):
        return int(number), int(of)
    raise ConfigError("--part", repr(text), "1/1, or such as 2/3", "give both numbers")


def _followed(batches: Iterator[Batch], minutes: int) -> int:
    """Points in all, with progress."""
    total, say = 0, Progress("points")
    for batch in batches:
        total += batch.count
        say(total, f", minute {batch.minute + 1} of {minutes}")
    return total
