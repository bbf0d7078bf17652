"""`qos-agent noc register import-keys`, `keys` and `close-key`: keys of the devices."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.noc_options import ApplyOption, NocConfigOption, moment_s
from qos_agent.cli.options import JsonOption
from qos_agent.model.errors import ConfigError, OperatorError

if TYPE_CHECKING:
    from qos_agent.noc.register.keys import DeviceKey, KeyRegister

FilesArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...", help="Files that `enrol --self` and `enrol --stick` wrote."
    ),
]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="MOMENT",
        help="When the keys become valid. Default: the time in the file.",
    ),
]
EndOption = Annotated[
    str | None,
    typer.Option("--from", metavar="MOMENT", help="When the key ends. Default: now."),
]
StationArgument = Annotated[str, typer.Argument(help="The code of the station.")]
SomeStationArgument = Annotated[
    str | None, typer.Argument(help="The code of a station. Default: all stations.")
]


def import_keys(
    files: FilesArgument,
    apply: ApplyOption = False,
    since: FromOption = None,
    config: NocConfigOption = None,
) -> int:
    """Import public keys and requests of devices.

    A new key of a station replaces the one before. The old one stays in the history,
    and the seals of its time stay valid. A request that `enrol --stick` wrote counts
    once, as at the enrolment endpoint. Add --apply to apply the changes. The exit
    status is 1 if a request is refused.
    """
    from qos_agent.noc.register.keys import read_keys

    from_s = moment_s(since, "--from") if since else None
    now_s = int(time.time())
    requests = {path: content for path in files if (content := _request(path))}
    rest = [path for path in files if path not in requests]
    keys = [key for path in rest for key in read_keys(path, now_s, from_s)]
    lines, refused = _accept(config, requests, now_s, apply=apply)
    if rest:
        with closing(_open(config, create=apply)) as store:
            counts = store.apply(keys, keep=apply)
        kinds = ("added", "replaced", "unchanged")
        lines.append(", ".join(f"{counts[kind]} {kind}" for kind in kinds))
    print("\n".join(lines))
    if not apply:
        print("Nothing was imported yet. To apply the changes, add --apply.")
    return 1 if refused else 0


def _request(path: Path) -> bytes | None:
    """Return the content of a file if it is the request of a device, else None."""
    from qos_agent.evidence.enrolment import REQUEST_MAX_BYTES, TITLE
    from qos_agent.system.files import read_bytes

    try:
        content = read_bytes(path, REQUEST_MAX_BYTES)
    except OSError:  # a larger file has keys; another error shows when it is read
        return None
    return content if content.startswith(f"{TITLE}\n".encode()) else None


def _accept(
    config: Path | None, requests: dict[Path, bytes], now_s: int, *, apply: bool
) -> tuple[list[str], int]:
    """Accept requests, and return a line for each and the number of refused ones.

    Without `apply` only their signatures are checked. Raises ConfigError.
    """
    from qos_agent.noc.provision.intake import signed_request

    for path, content in requests.items():
        try:
            signed_request(content)
        except ValueError as error:
            fix = "copy the file from the stick again"
            raise ConfigError(str(path), None, str(error), fix) from error
    if not requests or not apply:
        return [f"{path}: can be sent to the ledger" for path in requests], 0
    return _taken(config, requests, now_s)


def _taken(
    config: Path | None, requests: dict[Path, bytes], now_s: int
) -> tuple[list[str], int]:
    from qos_agent.evidence.enrolment import REFUSALS
    from qos_agent.noc.provision.intake import Intake
    from qos_agent.noc.provision.plan import Centre
    from qos_agent.noc.settings import load

    lines, refused = [], 0
    with closing(Centre(load(config))) as centre:
        intake = Intake(centre.ledger, centre.keys, centre.codes)
        for path, content in requests.items():
            found = intake.accept(content, now_s)
            if found.outcome.is_admitted:
                lines.append(f"{path}: {found.station} {found.outcome}")
            else:
                refused += 1
                lines.append(f"{path}: the code {REFUSALS[found.outcome]}")
    return lines, refused


def keys(
    station: SomeStationArgument = None,
    config: NocConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show the public keys with their history.

    The exit status is 1 if there is none.
    """
    with closing(_open(config)) as store:
        rows = store.history(station)
    if as_json:
        print(json.dumps([_values(key) for key in rows]))
        return 0 if rows else 1
    for key in rows:
        print(" ".join(str(value) for value in _values(key).values()))
    if not rows:
        print("There is no key. To import keys: qos-agent noc register import-keys")
    return 0 if rows else 1


def close_key(
    station: StationArgument, since: EndOption = None, config: NocConfigOption = None
) -> int:
    """Close the key of a station, for example after a theft.

    Seals that are made after that moment are not accepted.
    """
    at_s = moment_s(since, "--from") if since else int(time.time())
    with closing(_open(config)) as store:
        closed = store.close_key(station, at_s)
    if closed:
        print(f"{station}: key closed")
        return 0
    problem = "has no valid key at that time"
    fix = f"see its keys: qos-agent noc register keys {station}"
    print(ConfigError("station", repr(station), problem, fix))
    return 1


def _open(config: Path | None, *, create: bool = False) -> KeyRegister:
    """Open the keys in the register. Raises OperatorError if there is no register.

    With `create` a new register is made: a witness of another institution has the keys
    of the devices, and needs no stations.
    """
    from qos_agent.noc.register.keys import KeyRegister
    from qos_agent.noc.settings import load

    path = load(config).folder / "register.sqlite3"
    if not create and not path.exists():
        fix = "name the centre's configuration with -c, or import stations first"
        raise OperatorError(f"{path}: there is no register. Fix: {fix}.")
    return KeyRegister(path)


def _values(key: DeviceKey) -> dict[str, str]:
    """Return the columns of a key as text."""
    ended = "" if key.valid_to is None else _utc(key.valid_to)
    return {
        "station": key.station,
        "fingerprint": key.key.fingerprint,
        "public_key": key.text(),
        "valid_from": _utc(key.valid_from),
        "valid_to": ended,
    }


def _utc(at_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))
