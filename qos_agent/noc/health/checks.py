"""All checks of a centre, in the order of the pipeline."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from qos_agent.influx.writer import Writer
from qos_agent.model.errors import OperatorError
from qos_agent.noc.authority import Authority
from qos_agent.noc.certificates import read_certificate
from qos_agent.noc.health import servers
from qos_agent.noc.health.part import Part
from qos_agent.noc.sections import BackupSection
from qos_agent.noc.settings import NocSettings

# The census writes each minute, and the witness every five minutes.
_NEWEST = "WHERE time > now() - 1d ORDER BY time DESC LIMIT 1"
_CENSUS = f'SELECT "census_s" FROM "pipeline" {_NEWEST}'
_WITNESS = f'SELECT "stations" FROM "witness" {_NEWEST}'
_CENSUS_LIMIT_S, _WITNESS_LIMIT_S = 180.0, 660.0
_RENEW = "qos-agent noc ca renew"
BACKUPS = ("centre-*.tar.gz", "influxdb/*.manifest")


def checked(settings: NocSettings) -> Iterator[Part]:
    """Check all parts of a centre. No part that fails stops the others."""
    endpoint = settings.health.gateway or settings.provision.endpoint
    if endpoint is not None:
        trusted = settings.enrolment.ca_file
        yield from servers.gateway(str(endpoint), trusted, settings.ca.warn)
    yield from (servers.collector(found, "collector") for found in settings.collectors)
    if settings.rollup.url is not None:
        yield servers.collector(settings.rollup, "rollup")
        yield servers.newest(settings.rollup, "census", _CENSUS, _CENSUS_LIMIT_S)
        if _has_journals(settings.folder / "witness.sqlite3"):
            yield servers.newest(settings.rollup, "witness", _WITNESS, _WITNESS_LIMIT_S)
    if (settings.folder / "provision.sqlite3").exists():
        yield servers.enrolment(settings)
    yield from _certificates(settings)
    for folder in dict.fromkeys((settings.folder, *settings.health.disks)):
        yield _disk(folder, settings.health.disk_share)
    if settings.backup.folder is not None:
        yield from _backups(settings.backup, settings.backup.folder)


def write(settings: NocSettings, parts: list[Part], at_ns: int) -> None:
    """Write a point for each part. Raises WriteError."""
    writer = Writer(settings.rollup)
    try:
        writer.write([part.line(at_ns) for part in parts])
    finally:
        writer.close()


def _has_journals(path: Path) -> bool:
    """Return True if the witness has cosigned something, so that it writes counts."""
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            query = "SELECT EXISTS (SELECT 1 FROM journal)"
            return bool(database.execute(query).fetchone()[0])
    except sqlite3.Error:
        # The age of its points will show that something is wrong.
        return True


def _certificates(settings: NocSettings) -> Iterator[Part]:
    authority = Authority(settings.ca.folder or settings.folder / "ca")
    for path in authority.certificates():
        is_server = path == authority.server_certificate
        fix = _RENEW if is_server else "qos-agent noc ca replace"
        try:
            ends_s = read_certificate(path).ends_s
        except OperatorError as error:
            yield Part("certificate", path.stem, str(error))
            continue
        yield servers.certificate_part(path.stem, ends_s, settings.ca.warn, fix)


def _disk(folder: Path, limit: float) -> Part:
    name = str(folder).strip("/").replace("/", "-") or "root"
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        return Part("disk", name, f"{folder}: {error.strerror}. Fix: create the folder")
    share = 1 - usage.free / usage.total
    full = f"{folder}: {share:.0%} of the disk is in use. Fix: enlarge it"
    figures = {"used_share": round(share, 4), "free_bytes": usage.free}
    return Part("disk", name, full if share > limit else "", figures)


def _backups(section: BackupSection, folder: Path) -> Iterator[Part]:
    certificate = section.recovery_cert_file
    if certificate is not None and not certificate.exists():
        problem = "have no configuration and keys. Fix: qos-agent noc ca recovery FILE"
        yield Part("backup", "keys", f"the backups {problem}")
    names = ("centre", "influxdb") if section.influxdb else ("centre",)
    for name, pattern in zip(names, BACKUPS, strict=False):
        times = [path.stat().st_mtime for path in folder.glob(pattern)]
        fix = "journalctl -u qos-noc-backup -n 20"
        if not times:
            yield Part("backup", name, f"{folder}: there is no backup. Fix: {fix}")
            continue
        age_s = max(0.0, time.time() - max(times))
        old = f"{folder}: the newest backup is {age_s / 3600:.0f} h old. Fix: {fix}"
        late = age_s > section.age
        yield Part("backup", name, old if late else "", {"age_s": round(age_s, 1)})
