"""`qos-agent noc register`: imports, shows and annotates the registered stations."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from qos_agent.cli import noc_export, noc_keys
from qos_agent.cli.noc_options import (
    ApplyOption,
    NocConfigOption,
    Progress,
    moment_s,
    need_collectors,
    need_writable,
    user_name,
)
from qos_agent.cli.options import JsonOption
from qos_agent.model.errors import ConfigError, OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qos_agent.noc.register.store import Note, Register

register = typer.Typer(
    help="Import, show and annotate the stations.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
register.command("export")(noc_export.export)
register.command("import-keys")(noc_keys.import_keys)
register.command("keys")(noc_keys.keys)
register.command("close-key")(noc_keys.close_key)
_FAULTS_SHOWN = 50
# How long a note lasts by default. Reminders begin again after that.
_NOTE_S = 2 * 3600
_MOMENT = "for example 2024-02-14T07:00:00+07:00"
FileArgument = Annotated[Path, typer.Argument(help="The CSV file of the stations.")]
PartialOption = Annotated[
    bool,
    typer.Option("--partial", help="Import the valid rows and leave out the others."),
]
CloseMissingOption = Annotated[
    bool,
    typer.Option("--close-missing", help="Close the stations missing from the file."),
]
ChangeFromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="MOMENT",
        help=f"When it takes effect, {_MOMENT}. Default: now.",
    ),
]
FaultsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Write all faults to this CSV file. Only 50 are printed."
    ),
]
StationArgument = Annotated[
    str, typer.Argument(help="The 13-digit code of the station.")
]
KindArgument = Annotated[Literal["maintenance", "acknowledged"], typer.Argument()]
ScopeArgument = Annotated[
    str,
    typer.Argument(help="The code of a station, a regency, a province or a group."),
]
NoteFromOption = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="MOMENT", help=f"When it starts, {_MOMENT}. Default: now."
    ),
]
NoteToOption = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="MOMENT",
        help="When it ends. Default: two hours after its start.",
    ),
]
AuthorOption = Annotated[
    str | None,
    typer.Option(
        "--by", metavar="NAME", help="Who takes it on. Default: the user's name."
    ),
]
TicketOption = Annotated[
    str, typer.Option(metavar="NUMBER", help="The number of the operator's ticket.")
]
ReasonOption = Annotated[
    str, typer.Option(metavar="TEXT", help="Why, or what is being done.")
]
AllOption = Annotated[
    bool, typer.Option("--all", help="Show also the notes that have ended.")
]
NumberArgument = Annotated[
    int, typer.Argument(help="The number that `notes` prints before the note.")
]


def _path(config: Path | None) -> Path:
    """Return the path of the register's file."""
    from qos_agent.noc.settings import load

    return load(config).folder / "register.sqlite3"


def _open(config: Path | None) -> Register:
    """Open the register. Raises OperatorError if there is none."""
    from qos_agent.noc.register.store import Register

    path = _path(config)
    if not path.exists():
        fix = "name the centre's configuration with -c, or import stations first"
        raise OperatorError(f"{path}: there is no register. Fix: {fix}.")
    return Register(path)


def _open_for_import(config: Path | None, *, create: bool) -> Register:
    """Open the register. Without `create`, a new one exists only in memory."""
    from qos_agent.noc.register.store import Register

    path = _path(config)
    return Register(path if create or path.exists() else Path(":memory:"))


@register.command("import")
def import_(
    path: FileArgument,
    apply: ApplyOption = False,
    partial: PartialOption = False,
    close_missing: CloseMissingOption = False,
    since: ChangeFromOption = None,
    faults: FaultsOption = None,
    config: NocConfigOption = None,
) -> int:
    """Import the stations of a CSV file.

    Checks the file and prints the changes. Add --apply to apply them. The exit status
    is 1 if the file has faults.
    """
    if partial and close_missing:
        raise ConfigError(
            "--close-missing",
            None,
            "cannot be used with --partial: the stations of faulty rows would close",
            "correct the faulty rows, or leave out one of the two options",
        )
    need_writable(faults=faults)
    at_s = moment_s(since, "--from") if since else int(time.time())
    with closing(_open_for_import(config, create=apply)) as store:
        if not _stage(store, path, faults, partial=partial):
            return 1
        if apply:
            store.apply(at_s, close_missing=close_missing)
            count = sum(store.expected(at_s).values())
            print(f"imported: {count} stations are expected")
        else:
            print("Nothing was imported yet. To apply the changes, add --apply.")
    print(f"register: {_path(config)}")
    return 0


def _stage(store: Register, path: Path, faults: Path | None, *, partial: bool) -> bool:
    """Stage the stations and print the changes; return False if they must not apply."""
    from qos_agent.noc.register.importing import described, stage, write_faults

    staged = stage(store, path, Progress("rows"))
    if faults is not None:
        write_faults(staged.faults, faults)
    for fault in staged.faults[:_FAULTS_SHOWN]:
        print(fault)
    if (hidden := len(staged.faults) - _FAULTS_SHOWN) > 0:
        print(f"… and {hidden} more faults. To write all: --faults FILE.csv")
    for line in described(store.difference(), staged.faults):
        print(line)
    if staged.faults and not partial:
        print("Nothing was imported. Correct the rows above, or add --partial.")
        return False
    return True


@register.command("show")
def show(
    station: StationArgument,
    config: NocConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show a station with its history."""
    with closing(_open(config)) as store:
        rows = store.history(station)
    if as_json:
        print(json.dumps(rows))
    elif not rows:
        print(_unknown_station(station))
    for row in () if as_json else rows:
        print(", ".join(f"{name}={value}" for name, value in _shown(row)))
    return 0 if rows else 1


@register.command("count")
def count(config: NocConfigOption = None, as_json: JsonOption = False) -> None:
    """Count the expected stations by province."""
    from qos_agent.config.places import provinces

    totals: dict[str, int] = {}
    with closing(_open(config)) as store:
        expected = store.expected(int(time.time()))
    for regency, number in expected.items():
        totals[regency[:2]] = totals.get(regency[:2], 0) + number
    if as_json:
        print(json.dumps(totals))
        return
    for province, number in sorted(totals.items()):
        print(f"{province} {provinces()[province]}: {number}")
    print(f"{sum(totals.values())} stations")


@register.command("note")
def note(
    kind: KindArgument,
    scope: ScopeArgument,
    since: NoteFromOption = None,
    until: NoteToOption = None,
    reason: ReasonOption = "",
    by: AuthorOption = None,
    ticket: TicketOption = "",
    config: NocConfigOption = None,
) -> None:
    """Record maintenance or an acknowledgement.

    `maintenance` is planned work. `acknowledged` means that someone works on a problem:
    the troubles that are open there are not repeated until the note ends. Boards show
    the note next to the stations. The stations are still counted.
    """
    from qos_agent.noc.register.store import Note

    from_s = moment_s(since, "--from") if since else int(time.time())
    to_s = moment_s(until, "--to") if until else from_s + _NOTE_S
    if from_s >= to_s:
        problem, fix = "must be after --from", "swap the two moments"
        raise ConfigError("--to", f"{since or 'now'} to {until}", problem, fix)
    author = user_name() if by is None else by
    with closing(_open(config)) as store:
        if not _is_known(scope, store):
            raise ConfigError(
                "scope",
                repr(scope),
                "must be a province, a regency or a registered station",
                "give its code of 2, 4 or 13 digits, or of a group of provinces",
            )
        store.note(Note(kind, scope, from_s, to_s, reason, author, ticket))
    print(f"{kind} of {scope}: recorded until {_utc(to_s)}")


@register.command("notes")
def notes(
    every: AllOption = False,
    config: NocConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show maintenance and acknowledgements.

    The newest note is printed first.
    """
    from dataclasses import asdict

    now_s = int(time.time())
    with closing(_open(config)) as store:
        numbered = [
            (number, note)
            for number, note in store.all_notes()
            if every or note.ends > now_s
        ]
    if as_json:
        rows = [{"number": number} | asdict(note) for number, note in numbered]
        print(json.dumps(rows))
        return
    if not numbered:
        print("no notes")
    for number, note in numbered:
        span = f"{_utc(note.starts)} to {_utc(note.ends)}"
        print(f"{number}: {note.kind} of {note.scope}, {span}: {_words(note)}")


@register.command("end-note")
def end_note(number: NumberArgument, config: NocConfigOption = None) -> int:
    """End a note now.

    Use it when the work is done or the problem is solved.
    """
    with closing(_open(config)) as store:
        ended = store.end_note(number, int(time.time()))
    if ended:
        print(f"{number}: ended")
        return 0
    problem = "is not the number of a note"
    fix = "use a number that `qos-agent noc register notes --all` prints"
    print(ConfigError("number", str(number), problem, fix))
    return 1


@register.command("close")
def close(
    station: StationArgument,
    since: ChangeFromOption = None,
    config: NocConfigOption = None,
) -> int:
    """Close a station.

    The station is no longer expected. Its history stays in the register.
    """
    at_s = moment_s(since, "--from") if since else int(time.time())
    with closing(_open(config)) as store:
        if store.close_station(station, at_s):
            print(f"{station}: closed")
            return 0
        known = bool(store.history(station))
    if not known:
        print(_unknown_station(station))
        return 1
    problem = "is already closed at that time"
    fix = f"see its history: qos-agent noc register show {station}"
    print(ConfigError("station", repr(station), problem, fix))
    return 1


@register.command("mismatches")
def mismatches(config: NocConfigOption = None, as_json: JsonOption = False) -> int:
    """List stations that report from a wrong area.

    Their points name another area than the register. The exit status is 1 if there are
    such stations.
    """
    from dataclasses import asdict

    from qos_agent.noc.census.mismatches import mismatches as find_mismatches
    from qos_agent.noc.settings import load

    settings = load(config)
    need_collectors(settings)
    with closing(_open(config)) as store:
        differing = list(find_mismatches(settings, store, time.time_ns()))
    if as_json:
        print(json.dumps([asdict(mismatch) for mismatch in differing]))
    elif not differing:
        print("no mismatches")
    for mismatch in () if as_json else differing:
        print(mismatch)
    return 1 if differing else 0


def _unknown_station(station: str) -> ConfigError:
    problem = "is not in the register"
    return ConfigError("station", repr(station), problem, "check the 13-digit code")


def _is_known(scope: str, store: Register) -> bool:
    """Return True if the code is in the reference data or in the register."""
    from qos_agent.noc.troubles.places import place_names

    return scope in place_names(0) or bool(store.history(scope))


def _words(note: Note) -> str:
    """Return who wrote a note, the operator's ticket and the reason."""
    ticket = f"ticket {note.ticket}" if note.ticket else ""
    parts = (note.author, ticket, note.reason)
    return ", ".join(part for part in parts if part)


def _shown(row: dict[str, object]) -> Iterator[tuple[str, object]]:
    """Yield the values of a row as text."""
    for name, value in row.items():
        if value:
            yield name, _utc(value) if isinstance(value, int) else value


def _utc(at_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))
