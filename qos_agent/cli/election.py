"""`qos-agent election`: shows and checks an election calendar."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from qos_agent.cli.options import ConfigOption, JsonOption, load_configuration
from qos_agent.config.places import province_zones
from qos_agent.model.calendar import ZONES
from qos_agent.model.errors import ConfigError

if TYPE_CHECKING:
    from qos_agent.model import Identity
    from qos_agent.model.calendar import Calendar

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
FileArgument = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="A calendar file, or the name of a built-in one."
    ),
]
OptionalFileArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="FILE",
        help="A calendar file, or the name of a built-in one. The default is the "
        "calendar of the configuration.",
    ),
]
ProvinceOption = Annotated[
    str | None, typer.Option(metavar="CODE", help="Show this province (two digits).")
]
StationOption = Annotated[
    str | None,
    typer.Option(metavar="CODE", help="Show this station. Needs --province."),
]


@app.command("check")
def check(file: FileArgument) -> None:
    """Check a calendar.

    Prints one line per fault and ends with status 2.
    """
    from qos_agent.config import calendar_file

    calendar = calendar_file.load(calendar_file.find(file))
    elections = sorted({period.election for period in calendar.periods})
    print(
        f"ok: {', '.join(elections)}; {len(calendar.periods)} periods, "
        f"calendar {calendar.hash}"
    )


@app.command("show")
def show(
    file: OptionalFileArgument = None,
    province: ProvinceOption = None,
    station: StationOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the phases in local time and UTC.

    Shows the phases of the configured station, or of all three time zones if a file is
    given.
    """
    from qos_agent.config import calendar_file

    configured = None
    if file is None:
        settings = load_configuration(config).settings
        file, configured = settings.election.calendar, settings.identity()
        if file is None:
            raise ConfigError(
                "election.calendar",
                None,
                "missing",
                f"set it to a file or to one of {', '.join(calendar_file.shipped())}, "
                "or run: qos-agent election show FILE",
            )
    calendar = calendar_file.load(calendar_file.find(file))
    identities = _identities(configured, province, station)
    rows = [row for identity in identities for row in _rows(calendar, identity)]
    if as_json:
        print(json.dumps(rows))
    else:
        _print(rows)


@app.command("template")
def template() -> None:
    """Print a commented calendar to fill in."""
    from qos_agent.config import calendar_file

    print(calendar_file.template().read_text(encoding="utf-8"), end="")


def _identities(
    configured: Identity | None, province: str | None, station: str | None
) -> list[Identity]:
    """Return the stations to show.

    This is the named station, the configured one, or one station per time zone.
    """
    from qos_agent.model import Identity

    if station is not None and province is None:
        fix = "add the station's province, for example --province 31"
        raise ConfigError("--province", None, "missing", fix)
    if province is not None:
        zone = province_zones().get(province)
        if zone is None:
            fix = f"use one of {', '.join(province_zones())}"
            raise ConfigError("--province", repr(province), "is not a province", fix)
        return [Identity(station or "", province, "", zone, "")]
    if configured is not None:
        return [configured]
    return [Identity("", "", "", zone, "") for zone in ZONES.values()]


def _rows(calendar: Calendar, identity: Identity) -> list[dict[str, str]]:
    """Return the timeline of one station as text."""
    names = {zone: name for name, zone in ZONES.items()}
    zone = ZoneInfo(identity.time_zone)
    rows = []
    for change in calendar.timeline(identity).entries:
        moment = datetime.fromtimestamp(change.at_wall_ns // 10**9, UTC)
        row = {
            "zone": names[identity.time_zone],
            "from_local": f"{moment.astimezone(zone):%Y-%m-%d %H:%M}",
            "from_utc": f"{moment:%Y-%m-%d %H:%M}Z",
            "period": change.period.kind if change.period else "",
            "phase": change.phase.value,
            "election": change.period.election if change.period else "",
        }
        rows.append(row)
    return rows


def _print(rows: list[dict[str, str]]) -> None:
    if not rows:
        print("No period applies: the phase is always idle.")
        return
    form = "{zone:5} {from_local:17} {from_utc:18} {phase:9} {period:15} {election}"
    head = {name: name.replace("_", " ") for name in rows[0]}
    for row in [head, *rows]:
        print(form.format(**row).rstrip())
