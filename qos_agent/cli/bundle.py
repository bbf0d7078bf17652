"""`qos-agent archive export --bundle`: what a device or the centre adds to a bundle."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qos_agent.cli.options import load_configuration
from qos_agent.model.errors import ConfigError

if TYPE_CHECKING:
    from qos_agent.archive.bundle.centre import Centre, RootFile
    from qos_agent.archive.bundle.register import Keys, StationKey
    from qos_agent.archive.bundle.writing import Bundled
    from qos_agent.archive.sources import Source
    from qos_agent.evidence.signer import Signer
    from qos_agent.noc.register.keys import DeviceKey
    from qos_agent.noc.register.store import Register
    from qos_agent.noc.settings import NocSettings
    from qos_agent.noc.witness.root import Root

_CALENDAR_MAX_BYTES = 1_000_000
_ROOT_MAX_BYTES = 1_000_000
_REGISTER = "register"
_COLUMNS = (
    "code",
    "name",
    "province",
    "regency",
    "district",
    "village",
    "latitude",
    "longitude",
    "time_zone",
    "operators",
    "replaces",
    "valid_from",
    "valid_to",
)


def export_bundle(
    sources: Sequence[Source],
    out: Path,
    config: Path | None,
    key_files: Sequence[Path],
    *,
    of_device: bool,
) -> int:
    """Write a bundle, print what it has, and return the exit status."""
    from qos_agent.archive.bundle.writing import write_bundle
    from qos_agent.archive.database import need_duckdb
    from qos_agent.cli.noc_options import Progress

    need_duckdb()
    with ExitStack() as stack:
        more = list(_named_keys(key_files))
        centre = _device(config, more) if of_device else _centre(config, more, stack)
        written = write_bundle(sources, out, centre, Progress("lines"))
    for line in _lines(written):
        print(line)
    for fault in written.faults[:20]:
        print(fault, file=sys.stderr)
    return 1 if written.faults else 0


def registered_keys(config: Path | None, places: Sequence[str]) -> Keys:
    """Return the keys in files, and those in the register for the word `register`."""
    from qos_agent.archive.bundle.register import Keys
    from qos_agent.noc.register.keys import KeyRegister
    from qos_agent.noc.settings import load

    found = list(_named_keys(Path(place) for place in places if place != _REGISTER))
    if _REGISTER in places:
        path = load(config).folder / "register.sqlite3"
        if path.exists():
            with closing(KeyRegister(path)) as register:
                found += map(_station_key, register.history())
    if not found:
        fix = "import them: qos-agent noc register import-keys"
        raise ConfigError("--sealed-by", " ".join(places), "has no keys", fix)
    return Keys(found)


def _lines(written: Bundled) -> Iterator[str]:
    """Yield what a person needs to know about a new bundle."""
    yield f"In the record: {written.points} points of {written.journals} journals."
    for reason, count in sorted(written.left_out.items()):
        yield f"Left out: {count} lines, data/left-out/{reason}.lp"
    if not written.is_signed:
        yield "Not signed by the centre: its private key is not readable here."
    yield f"Wrote {written.folder}. To check: qos-agent verify {written.folder}"


def _named_keys(paths: Iterable[Path]) -> Iterator[StationKey]:
    """Yield the keys in files that `enrol --self` wrote."""
    from qos_agent.noc.register.keys import read_keys

    for path in paths:
        try:
            found = read_keys(path, int(time.time()))
        except OSError as error:
            problem = f"cannot be read: {error.strerror}"
            raise ConfigError("--keys", str(path), problem, "check the path") from error
        yield from map(_station_key, found)


def _station_key(key: DeviceKey) -> StationKey:
    from qos_agent.archive.bundle.register import StationKey

    return StationKey(key.station, key.name, key.key, key.valid_from, key.valid_to)


def _device(config: Path | None, more: list[StationKey]) -> Centre:
    """Return the keys of this device and its calendar."""
    from qos_agent.archive.bundle.centre import Centre
    from qos_agent.archive.bundle.register import StationKey
    from qos_agent.evidence import checkpoints, keys

    settings = load_configuration(config).settings
    name = checkpoints.device_name(settings.station.device)
    own = dict.fromkeys(keys.public_keys(settings.journal.folder))
    found = [StationKey(settings.station.id, name, key, 0) for key in own]
    calendar = _calendar(settings.election.calendar)
    return Centre(keys=[*found, *more], calendar=calendar)


def _centre(config: Path | None, more: list[StationKey], stack: ExitStack) -> Centre:
    """Return what register and witness of noc.toml have."""
    from dataclasses import replace

    from qos_agent.archive.bundle.centre import Centre
    from qos_agent.noc.register.keys import KeyRegister
    from qos_agent.noc.register.store import Register
    from qos_agent.noc.settings import load

    settings = load(config)
    centre = Centre(keys=more, calendar=_calendar(settings.election.calendar))
    path = settings.folder / "register.sqlite3"
    if path.exists():
        keys = stack.enter_context(closing(KeyRegister(path)))
        register = stack.enter_context(closing(Register(path)))
        centre = replace(
            centre,
            keys=[*map(_station_key, keys.history()), *more],
            stations=lambda codes: _stations(register, codes),
        )
    return _with_witness(centre, settings, stack)


def _with_witness(centre: Centre, settings: NocSettings, stack: ExitStack) -> Centre:
    from dataclasses import replace

    from qos_agent.evidence import notes
    from qos_agent.noc.service.witness import DATABASE, load_public_key
    from qos_agent.noc.witness import root
    from qos_agent.noc.witness.records import RESUMED
    from qos_agent.noc.witness.store import WitnessStore

    path = settings.folder / DATABASE
    if not path.exists():
        return centre
    store = stack.enter_context(closing(WitnessStore(path)))
    name, public = settings.witness.name, load_public_key(settings.folder)
    kinds = (notes.ED25519, notes.COSIGNATURE)
    texts = (f"{notes.verifier_key(name, public.raw, kind)}\n" for kind in kinds)

    def cosigned(origin: str) -> list[bytes]:
        found = (root.cosigned_note(s, name, public) for s in store.seals(origin))
        return [note.to_bytes() for note in found]

    centre = replace(
        centre,
        witness="".join(texts),
        cosigned=cosigned,
        resumed=lambda origin: store.statements(origin, RESUMED),
        signer=_signer(settings),
    )

    def prover(one: Root) -> Callable[[str], bytes | None]:
        proof = root.prover(store, one, name, public)
        return lambda origin: None if (p := proof(origin)) is None else p.to_bytes()

    roots = [
        _root_file(one, settings.folder, partial(prover, one))
        for one in root.newest_with_proofs(store)
    ]
    return replace(centre, roots=roots)


def _root_file(
    one: Root, folder: Path, prover: Callable[[], Callable[[str], bytes | None]]
) -> RootFile:
    """Return the file of a root, and its timestamp if it is the published one."""
    from qos_agent.archive.bundle.centre import RootFile
    from qos_agent.noc.witness import root, timestamps
    from qos_agent.system.files import read_bytes

    name = time.strftime("%Y%m%dT%H%M%SZ.txt", time.gmtime(one.at_s))
    note, published = one.note.to_bytes(), folder / root.FILE_NAME
    path = folder / f"{root.FILE_NAME}{timestamps.SUFFIX}"
    stamp = None
    if path.exists() and read_bytes(published, _ROOT_MAX_BYTES) == note:
        stamp = read_bytes(path, _ROOT_MAX_BYTES)
    return RootFile(name, note, prover, stamp)


def _signer(settings: NocSettings) -> tuple[str, Signer] | None:
    """Return the key of the centre if this user may read it."""
    from qos_agent.noc.service.witness import key_path, load_signer

    if not os.access(key_path(settings.folder), os.R_OK):
        return None
    return settings.witness.name, load_signer(settings.folder)


def _calendar(name: str | None) -> bytes | None:
    from qos_agent.config.calendar_file import find
    from qos_agent.system.files import read_bytes

    return read_bytes(find(name), _CALENDAR_MAX_BYTES) if name else None


def _stations(register: Register, codes: Iterable[str]) -> bytes | None:
    """Return the rows of stations without contacts, which are personal data.

    A witness of another institution has keys and no stations, so there is no file.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    found = [row for code in codes for row in register.history(code)]
    if not found:
        return None
    for row in found:
        operators = {link[1] for link in json.loads(str(row["links"]))}
        values = {**row, "operators": " ".join(sorted(operators))}
        table.writerow(values[name] for name in _COLUMNS)
    return text.getvalue().encode()
