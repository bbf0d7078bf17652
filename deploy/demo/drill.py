"""The drill's day: a calendar in which all three zones vote now, and its scenario."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from qos_agent.noc.settings import NocSettings, load
from qos_agent.noc.simulator.scenario import Scenario
from qos_agent.noc.simulator.scenario import load as load_scenario

HERE = Path(__file__).parent
BACK_MINUTES = 90
PRE_MINUTES = 20
# Names of their own: an earlier drill is dropped, and nothing else may be.
RAW_DB, ROLLUP_DB = "qos-drill", "qos-drill-rollup"
_VOTING = timedelta(hours=6)


def opening(now: datetime) -> datetime:
    """When the polls open, in every zone's own time: two hours ago in WIB.

    WITA opened an hour and WIT two hours before, and WIT still votes for an hour.
    """
    here = now.astimezone(ZoneInfo("Asia/Jakarta")).replace(tzinfo=None)
    return here.replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)


def calendar_text(now: datetime) -> str:
    """The election calendar of a drill that is held now."""
    opens = opening(now)
    closes = opens + _VOTING
    edges = (
        ("pre", opens - timedelta(days=14), opens),
        ("voting", opens, closes),
        ("counting", closes, closes + timedelta(hours=23)),
        ("recapitulation", closes + timedelta(hours=23), closes + timedelta(days=3)),
    )
    periods = "".join(
        f'\n[[election.period]]\nkind = "{kind}"\n'
        f"start = {start.isoformat()}\nend = {end.isoformat()}\n"
        for kind, start, end in edges
    )
    return f'# A drill: no election.\n[[election]]\nname = "drill"\n{periods}'


def planned() -> Scenario:
    """The nation of drill.toml."""
    return load_scenario(str(HERE / "drill.toml"))


def held(plan: Scenario, now: datetime, calendar: Path) -> Scenario:
    """The plan held today: an hour and a half of it has passed."""
    start = now - timedelta(minutes=BACK_MINUTES)
    return plan.model_copy(update={"start": start, "calendar": str(calendar)})


def days_before(drill: Scenario, now: datetime) -> Scenario:
    """The same nation two days before, when nothing went wrong: its baseline."""
    start = now - timedelta(days=2, minutes=PRE_MINUTES)
    return drill.model_copy(
        update={"start": start, "minutes": PRE_MINUTES, "trouble": ()}
    )


def configuration_text(url: str, folder: Path, provinces: tuple[str, ...]) -> str:
    """The operations centre's noc.toml: one server holds both databases."""
    return f"""\
folder = {json.dumps(str(folder))}

[[collectors]]
url = {json.dumps(url)}
bucket = "{RAW_DB}"
provinces = {json.dumps(provinces)}

[rollup]
url = {json.dumps(url)}
bucket = "{ROLLUP_DB}"

[rollups]
back = "3h"                                # there is no week to sum again

[election]
calendar = {json.dumps(str(folder / "calendar.toml"))}
"""


def prepare(
    folder: Path, url: str, plan: Scenario, now: datetime
) -> tuple[Scenario, NocSettings]:
    """Write calendar.toml and noc.toml; what they say."""
    folder.mkdir(parents=True, exist_ok=True)
    calendar = folder / "calendar.toml"
    calendar.write_text(calendar_text(now), encoding="utf-8")
    made = held(plan, now, calendar)
    configuration = folder / "noc.toml"
    configuration.write_text(
        configuration_text(url, folder, made.provinces), encoding="utf-8"
    )
    return made, load(configuration)
