"""`qos-agent noc provision`: credentials, configurations and codes for devices."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.noc_options import NocConfigOption, Progress, need_collectors
from qos_agent.cli.options import JsonOption
from qos_agent.model.errors import ConfigError, OperatorError

if TYPE_CHECKING:
    from qos_agent.noc.provision.ledger import Issue, State
    from qos_agent.noc.provision.plan import Centre, Wanted

StationsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="STATION",
        help="13-digit codes. Without one: all stations of the register.",
    ),
]
ProvinceOption = Annotated[
    str | None,
    typer.Option(metavar="CODE", help="Only the stations of this province, 2 digits."),
]
RevokeOption = Annotated[
    bool,
    typer.Option("--revoke", help="Withdraw the credentials and codes of stations."),
]
ReissueOption = Annotated[
    bool,
    typer.Option(
        "--reissue",
        help="Withdraw what stations have, and issue again. Prints the new codes.",
    ),
]
RenewOption = Annotated[
    bool,
    typer.Option("--renew-expired", help="Issue again if a code expired unused."),
]
ShowOption = Annotated[
    bool,
    typer.Option("--show", help="Show the ledger of a station, or its totals."),
]
SheetOption = Annotated[
    Path | None,
    typer.Option(
        "--sheet",
        metavar="FILE",
        help="Write a label for each code that can be used (.pdf or .html).",
    ),
]
StickOption = Annotated[
    Path | None,
    typer.Option(
        "--stick",
        metavar="FOLDER",
        help="Write an enrolment file for each code that can be used to a USB stick.",
    ),
]


def provision(  # noqa: PLR0913, PLR0917  one for each option
    stations: StationsArgument = None,
    province: ProvinceOption = None,
    revoke: RevokeOption = False,
    reissue: ReissueOption = False,
    renew_expired: RenewOption = False,
    show: ShowOption = False,
    sheet: SheetOption = None,
    stick: StickOption = None,
    config: NocConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Issue accounts and enrolment codes to stations.

    Each station receives an account that may only write, a configuration and a code.
    Stations that have them keep them, so the command can be repeated and continues
    after an interruption. The exit status is 1 if something remains to be done.
    """
    from qos_agent.noc.provision.plan import Centre, Wanted
    from qos_agent.noc.settings import load

    settings = load(config)
    named = tuple(stations or ())
    _check(named, revoke, reissue, show)
    with closing(Centre(settings)) as centre:
        if show:
            return _show(centre, named, as_json)
        need_collectors(settings)
        _known(centre, named)
        wanted = Wanted(named, province, _after(reissue, renew_expired))
        with _alone(settings.folder / "provision.lock"):
            status = _changed(centre, wanted, revoke=revoke, reissue=reissue)
        if sheet is not None:
            _write_sheet(centre, wanted, sheet)
        if stick is not None:
            _write_stick(centre, wanted, stick)
        return status


def _check(named: tuple[str, ...], revoke: bool, reissue: bool, show: bool) -> None:
    """Raise ConfigError if the options do not fit together."""
    if revoke + reissue + show > 1:
        problem = "cannot be used with --revoke or --show"
        raise ConfigError("--reissue", None, problem, "use one of them")
    if (revoke or reissue) and not named:
        option = "--revoke" if revoke else "--reissue"
        problem, fix = "needs the codes of stations", f"add them: {option} STATION"
        raise ConfigError(option, None, problem, fix)


def _known(centre: Centre, named: tuple[str, ...]) -> None:
    from qos_agent.noc.provision.plan import unknown_stations

    if unknown := unknown_stations(centre, named):
        found = ", ".join(unknown[:5])
        fix = "check the 13-digit code, or import the station"
        raise ConfigError("station", found, "is not in the register", fix)


def _after(reissue: bool, renew: bool) -> frozenset[State]:
    """Return the states of a last issue after which a station receives another."""
    from qos_agent.noc.provision.ledger import State

    if reissue:
        return frozenset({State.EXPIRED, State.REVOKED, State.REPLACED})
    return frozenset({State.EXPIRED} if renew else ())


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock that the system releases when this process ends in any way."""
    import fcntl

    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            problem = f"{path}: another `noc provision` is running"
            fix = "wait until it has ended"
            raise OperatorError(f"{problem}. Fix: {fix}.") from None
        yield


def _changed(centre: Centre, wanted: Wanted, *, revoke: bool, reissue: bool) -> int:
    """Change the ledger and the accounts, and print the result."""
    from qos_agent.noc.provision.ledger import State
    from qos_agent.noc.provision.plan import end, provision

    by = os.environ.get("SUDO_USER") or _user()
    remaining: list[str] = []
    if revoke or reissue:
        state = State.REVOKED if revoke else State.REPLACED
        remaining = end(centre, wanted.stations, state, by)
        for line in remaining:
            print(line)
    if revoke:
        print(f"withdrawn: {len(wanted.stations)} station(s)")
        return 1 if remaining else 0
    progress = Progress("stations")
    made = provision(centre, wanted, by, progress)
    print(f"issued: {made.count} station(s)")
    if reissue:
        _print_codes(centre, wanted)
    if made.failure is not None:
        print(f"{made.failure}. Then run the same command again; it continues.")
    return 1 if remaining or made.failure else 0


def _print_codes(centre: Centre, wanted: Wanted) -> None:
    from qos_agent.model.enrolment_code import shown_code
    from qos_agent.noc.provision.plan import labels

    for issue, _ in labels(centre, wanted):
        code = shown_code(centre.code(issue))
        print(f"{issue.station}: code {code}, valid until {_utc(issue.expires_s)}")


def _write_sheet(centre: Centre, wanted: Wanted, path: Path) -> None:
    """Write the labels of the wanted stations whose code can be used."""
    from qos_agent.noc.provision.labels import label_of, write_sheet
    from qos_agent.noc.provision.plan import labels

    endpoint = centre.settings.provision.endpoint
    url = None if endpoint is None else str(endpoint)
    # The technician has the file of the authority on the stick, see docs/noc/setup.md.
    own = centre.settings.enrolment.ca_file is not None
    count = write_sheet(
        path,
        (
            label_of(issue, entry, centre.code(issue), url, own_authority=own)
            for issue, entry in labels(centre, wanted)
        ),
    )
    print(f"labels: {count} in {path}; delete the file after printing")


def _write_stick(centre: Centre, wanted: Wanted, folder: Path) -> None:
    """Write the enrolment files of the wanted stations whose code can be used."""
    from qos_agent.noc.provision.sticks import centre_signer, write_files

    count = write_files(centre, wanted, folder)
    print(f"enrolment files: {count} in {folder}; each is as secret as its code")
    fingerprint = centre_signer(centre.settings).public_key.fingerprint
    print(f"fingerprint of the centre for --fingerprint: {fingerprint}")


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.geteuid())


def _show(centre: Centre, named: tuple[str, ...], as_json: bool) -> int:
    """Print the history of stations, or the totals of the ledger."""
    from qos_agent.noc.provision.admission import Admissions

    admissions = Admissions(centre.ledger)
    centre.ledger.expire(int(time.time()))
    if not named:
        return _show_totals(centre, admissions.suspicious(), as_json)
    stations = {station: _history(centre, station) for station in named}
    if as_json:
        print(json.dumps(stations))
        return 0
    for station, history in stations.items():
        print(f"{station}:" if any(history.values()) else f"{station}: no issue")
        for kind, rows in history.items():
            for row in rows:
                text = ", ".join(f"{k}={v}" for k, v in row.items() if v is not None)
                print(f"  {kind}: {text}")
    return 0


def _show_totals(centre: Centre, suspicious: list[str], as_json: bool) -> int:
    counts = {state.value: count for state, count in centre.ledger.counts().items()}
    remaining = len(centre.ledger.ended_with_account())
    if as_json:
        more = {"suspicious": suspicious, "accounts_to_remove": remaining}
        print(json.dumps({**counts, **more}))
    else:
        print(", ".join(f"{count} {state}" for state, count in counts.items()))
        if remaining:
            print(f"{remaining} account(s) to remove at the next run")
        for station in suspicious:
            print(f"{station}: its code was tried again; see --show {station}")
    return 1 if suspicious or remaining else 0


def _history(centre: Centre, station: str) -> dict[str, list[dict[str, object]]]:
    from qos_agent.noc.provision.admission import Admissions

    ledger = centre.ledger
    keys = [
        {
            "name": key.name,
            "key": key.key.fingerprint,
            "valid_from": _utc(key.valid_from),
            "valid_to": _utc(key.valid_to),
        }
        for key in centre.keys.history(station)
    ]
    return {
        "issue": [_issue(issue) for issue in ledger.issues(station)],
        "event": [
            {**asdict(event), "at_s": _utc(event.at_s)}
            for event in ledger.events(station)
        ],
        "key": keys,
        "attempt": [
            {**asdict(attempt), "minute_s": _utc(attempt.minute_s)}
            for attempt in Admissions(ledger).attempts(station)
        ],
    }


def _issue(issue: Issue) -> dict[str, object]:
    return {
        "serial": issue.serial,
        "state": issue.state,
        "account": issue.account,
        "expires": _utc(issue.expires_s),
        "used": _utc(issue.used_s),
        "device": issue.device,
    }


def _utc(at_s: int | None) -> str | None:
    if at_s is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))
