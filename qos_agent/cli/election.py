"""`qos-agent election`: show and check an election calendar."""

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

if TYPE_CHECKING:  # reading the reference data is for the command that needs it
    from qos_agent.model import Identity
    from qos_agent.model.calendar import Calendar

app = typer.Typer(
    help="Show and check the election calendar.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
FileArgument = Annotated[
    str,
    typer.Argument(metavar="FILE", help="A calendar, or a shipped one's name."),
]
ProvinceOption = Annotated[
    str | None, typer.Option(help="Show one province, by its two digits.")
]
StationOption = Annotated[
    str | None, typer.Option(help="Show one station, with its --province.")
]


@app.command("check")
def check(file: FileArgument) -> None:
    """Check a calendar; one line for each fault, exit status 2."""
    from qos_agent.config import calendar_file

    calendar = calendar_file.load(calendar_file.find(file))
    elections = sorted({period.election for period in calendar.periods})
    print(
        f"well: {', '.join(elections)}; {len(calendar.periods)} periods, "
        f"calendar {calendar.hash}"
    )


@app.command("show")
def show(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="Without one, the agent's own calendar."),
    ] = None,
    province: ProvinceOption = None,
    station: StationOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the phases of the nation, a province or a station, local and UTC."""
    from qos_agent.config import calendar_file

    own = None
    if file is None:
        settings = load_configuration(config).settings
        file, own = settings.election.calendar, settings.identity()
        if file is None:
            names = ", ".join(calendar_file.shipped())
            raise ConfigError(
                "election.calendar", "nothing", f"a file, or {names}",
                "set it, or name a file: qos-agent election show FILE",
            )  # fmt: skip
    calendar = calendar_file.load(calendar_file.find(file))
    rows = [
        row for who in _whom(own, province, station) for row in _rows(calendar, who)
    ]
    if as_json:
        print(json.dumps(rows))
    else:
        _print(rows)


@app.command("template")
def template() -> None:
    """Print a commented calendar to fill in for the next election."""
    from qos_agent.config import calendar_file

    print(calendar_file.template().read_text(encoding="utf-8"), end="")


def _whom(
    own: Identity | None, province: str | None, station: str | None
) -> list[Identity]:
    """Whose phases to show: the agent's own, those named, or one for each zone."""
    from qos_agent.model import Identity

    if station is not None and province is None:
        raise ConfigError(
            "--province", "nothing", "the station's province", "add --province 31"
        )
    if province is not None:
        zone = province_zones().get(province)
        if zone is None:
            known = ", ".join(province_zones())
            raise ConfigError("--province", repr(province), known, "correct it")
        return [Identity(station or "", province, "", zone, "")]
    if own is not None:
        return [own]
    return [Identity("", "", "", zone, "") for zone in ZONES.values()]


def _rows(calendar: Calendar, who: Identity) -> list[dict[str, str]]:
    """The timeline of one station, as text."""
    from qos_agent.model.calendar import ZONES

    names = {zone: name for name, zone in ZONES.items()}
    zone = ZoneInfo(who.time_zone)
    rows = []
    for change in calendar.timeline(who).entries:
        moment = datetime.fromtimestamp(change.at_wall_ns // 10**9, UTC)
        rows.append({
            "zone": names[who.time_zone],
            "from_local": f"{moment.astimezone(zone):%Y-%m-%d %H:%M}",
            "from_utc": f"{moment:%Y-%m-%d %H:%M}Z",
            "period": change.period.kind if change.period else "",
            "phase": change.phase.value,
            "election": change.period.election if change.period else "",
        })  # fmt: skip
    return rows


def _print(rows: list[dict[str, str]]) -> None:
    if not rows:
        print("no period holds there: idle for ever")
        return
    form = "{zone:5} {from_local:17} {from_utc:18} {phase:9} {period:15} {election}"
    head = {name: name.replace("_", " ") for name in rows[0]}
    for row in [head, *rows]:
        print(form.format(**row).rstrip())
