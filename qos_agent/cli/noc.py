"""`qos-agent noc`: the register of stations, the census with its sums, a simulator."""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from qos_agent.cli.options import JsonOption
from qos_agent.errors import ConfigError

if TYPE_CHECKING:
    from qos_agent.noc.register.store import Register

app = typer.Typer(
    help="For the operations centre: register, census, roll-ups, a simulated nation.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
register = typer.Typer(
    help="Which stations there are.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(register, name="register")

NocConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="Configuration (noc.toml).")
]
_FAULTS_SHOWN = 50


def _open(config: Path | None) -> Register:
    from qos_agent.noc.register.store import Register
    from qos_agent.noc.settings import load

    return Register(load(config).folder / "register.sqlite3")


def moment_s(text: str) -> int:
    """An ISO date and time as seconds since 1970; a zone must be given."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ConfigError(
            "time", repr(text), "2024-02-14T07:00:00+07:00", "give the offset"
        )
    return int(at.timestamp())


@register.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="CSV of stations.")],
    apply: Annotated[bool, typer.Option("--apply", help="Not only show.")] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Import the sound rows, leave the rest.")
    ] = False,
    close_missing: Annotated[
        bool, typer.Option(help="Close stations that the file does not have.")
    ] = False,
    since: Annotated[
        str | None, typer.Option("--from", help="When it holds from; now.")
    ] = None,
    config: NocConfigOption = None,
) -> int:
    """Check a CSV, show what it would change, and with --apply change it."""
    from qos_agent.noc.register.importing import described, stage

    at_s = moment_s(since) if since else int(time.time())
    store = _open(config)
    found = stage(store, path, _progress("rows"))
    for fault in found.faults[:_FAULTS_SHOWN]:
        print(fault)
    if len(found.faults) > _FAULTS_SHOWN:
        print(f"… and {len(found.faults) - _FAULTS_SHOWN} more faults")
    for line in described(store.difference()):
        print(line)
    if found.faults and not partial:
        print("nothing imported: mend the rows above, or leave them out by --partial")
        return 1
    if not apply:
        print("nothing imported yet: the same command with --apply does it")
        return 0
    store.apply(at_s, close_missing=close_missing)
    print(f"imported: {sum(store.expected(at_s).values())} stations are expected")
    return 0


@register.command("show")
def show(
    station: Annotated[str, typer.Argument(help="13 digits.")],
    config: NocConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show a station through time."""
    rows = _open(config).history(station)
    if as_json:
        print(json.dumps(rows))
    for row in () if as_json else rows:
        print(", ".join(f"{name}={value}" for name, value in row.items() if value))
    return 0 if rows else 1


@register.command("count")
def count(config: NocConfigOption = None, as_json: JsonOption = False) -> None:
    """Count the stations expected now, by province."""
    from qos_agent.noc.places import provinces

    totals: dict[str, int] = {}
    for regency, number in _open(config).expected(int(time.time())).items():
        totals[regency[:2]] = totals.get(regency[:2], 0) + number
    if as_json:
        print(json.dumps(totals))
        return
    for province, number in sorted(totals.items()):
        print(f"{province} {provinces()[province]}: {number}")
    print(f"{sum(totals.values())} stations")


@register.command("note")
def note(
    kind: Annotated[Literal["maintenance", "acknowledged"], typer.Argument()],
    scope: Annotated[str, typer.Argument(help="Station, regency or province code.")],
    since: Annotated[str, typer.Option("--from")],
    until: Annotated[str, typer.Option("--to")],
    words: Annotated[str, typer.Option(help="Who and why.")],
    config: NocConfigOption = None,
) -> None:
    """Record planned maintenance or that someone has taken a trouble on.

    It is shown beside the stations; none of them leaves a denominator.
    """
    from qos_agent.noc.register.store import Note

    if not scope.isdecimal() or len(scope) not in (2, 4, 13):
        raise ConfigError("scope", repr(scope), "2, 4 or 13 digits", "give a code")
    _open(config).note(Note(kind, scope, moment_s(since), moment_s(until), words))
    print(f"{kind} of {scope}: recorded")


@app.command("census")
def census(
    once: Annotated[bool, typer.Option("--once", help="One minute, then end.")] = False,
    recompute: Annotated[
        tuple[str, str] | None, typer.Option(help="Sum again FROM TO, then end.")
    ] = None,
    config: NocConfigOption = None,
) -> int:
    """Count who reports, and sum what they measured, each minute."""
    import logging
    import signal
    import threading

    from qos_agent.noc.run import run
    from qos_agent.noc.service import Service
    from qos_agent.noc.settings import load

    settings = load(config)
    if not settings.collectors:
        raise ConfigError("collectors", "nothing", "[[collectors]]", "add one")
    if settings.rollup.url is None:
        raise ConfigError("rollup.url", "nothing", "a URL", "set rollup.url")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    service = Service(settings)
    if recompute is not None:
        from_ns, to_ns = (moment_s(text) * 10**9 for text in recompute)
        for stretch in service.recompute(from_ns, to_ns):
            print(f"province {stretch.province}: to {stretch.to_ns // 10**9}")
        return 0
    if once:
        report = service.minute(time.time_ns())
        print(report)
        return 1 if report.failed else 0
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(service, stop)
    return 0


@app.command("simulate")
def simulate(
    scenario: Annotated[str, typer.Argument(help="A shipped name, or a TOML file.")],
    out: Annotated[Path | None, typer.Option(help="Line protocol to a file.")] = None,
    key: Annotated[Path | None, typer.Option(help="Planted events (JSON).")] = None,
    stations: Annotated[
        Path | None, typer.Option(help="The stations as a CSV for `register import`.")
    ] = None,
    rate: Annotated[float, typer.Option(help="Most points a second.")] = 20_000,
    speed: Annotated[float, typer.Option(help="1 real time; 0 no waiting.")] = 0,
    config: NocConfigOption = None,
) -> None:
    """Simulate a nation into the collectors of the configuration, or into a file."""
    from datetime import UTC

    from qos_agent.noc.settings import load as load_settings
    from qos_agent.noc.simulator.delivery import to_collectors, to_file, write_key
    from qos_agent.noc.simulator.population import write_register
    from qos_agent.noc.simulator.run import Nation
    from qos_agent.noc.simulator.scenario import load

    made = Nation(load(scenario), datetime.now(UTC))
    if stations is not None:
        write_register(stations, iter(made.stations))
    if key is not None:
        write_key(made, key)
    settings = load_settings(config)
    if out is None and not settings.collectors:
        raise ConfigError(
            "collectors", "nothing", "[[collectors]]", "add one, or --out"
        )
    batches = to_file(made, out) if out else to_collectors(made, settings, rate, speed)
    total = 0
    say = _progress("points")
    for batch in batches:
        total += batch.count
        say(total)
    print(f"{made.scenario.name}: {len(made.stations)} stations, {total} points")


class _progress:  # noqa: N801  reads as the verb it is
    """Say how far it is, at most twice a second, where somebody looks."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._said_mono = 0.0

    def __call__(self, number: int) -> None:
        now_mono = time.monotonic()
        if sys.stderr.isatty() and now_mono - self._said_mono > 0.5:
            self._said_mono = now_mono
            print(f"\r{number:,} {self._what}", end="", file=sys.stderr, flush=True)
