"""`qos-agent noc backup` and `noc restore`: data, keys and settings of the centre."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.noc_options import ApplyOption, NocConfigOption
from qos_agent.cli.options import JsonOption
from qos_agent.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qos_agent.noc.backup import Config, Copy
    from qos_agent.noc.sections import BackupSection

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A tar.gz file.")]
TargetArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE", help="A tar.gz file; by default a new one in backup.folder."
    ),
]
RecoveryOption = Annotated[
    Path | None,
    typer.Option(
        "--recovery-key",
        metavar="FILE",
        help="Also restore configuration and keys, with this key.",
    ),
]
InfluxOption = Annotated[
    Path | None,
    typer.Option(
        "--influxdb",
        metavar="FOLDER",
        help="Also restore InfluxDB from the newest chain in this folder.",
    ),
]


def backup(
    file: TargetArgument = None,
    config: NocConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the databases of the centre to a file.

    The services go on. The file has the register, the ledger of provisioning, the
    database of the witness and the remote configuration. The table [backup] of noc.toml
    adds Grafana, InfluxDB, and configuration with keys in encrypted form. Without FILE
    the oldest backups are removed.
    """
    from qos_agent.noc import backup as backups
    from qos_agent.noc.remote.places import Places
    from qos_agent.noc.settings import load

    settings = load(config)
    section = settings.backup
    target = file or _new_file(section)
    others, places = _others(section), Places.of(settings)
    folder, keys = settings.folder, _config(section)
    copies = backups.backup(folder, target, others, keys, places)
    _print(copies, as_json)
    if file is None and section.folder is not None:
        _copy_influxdb(section, section.folder)
        old = sorted(section.folder.glob("centre-*.tar.gz"))[: -section.keep]
        for path in old:
            path.unlink()


def restore(
    file: FileArgument,
    apply: ApplyOption = False,
    recovery_key: RecoveryOption = None,
    influxdb: InfluxOption = None,
    config: NocConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a backup, and put its databases in place.

    Stop the services first. The present files are kept with the suffix
    `.before-restore`. Add --apply to apply the changes.
    """
    from qos_agent.noc import backup as backups
    from qos_agent.noc.remote.places import Places
    from qos_agent.noc.settings import DEFAULT_PATH, load

    copies = backups.check(file)
    if apply and recovery_key is not None:
        # A new machine has no noc.toml before this.
        backups.restore_config(file, recovery_key, (config or DEFAULT_PATH).parent)
    settings = load(config)
    section = settings.backup
    if apply:
        others = {} if section.grafana is None else {backups.GRAFANA: section.grafana}
        backups.restore(file, settings.folder, others, Places.of(settings))
    _print(copies, as_json)
    if influxdb is not None:
        _restore_influxdb(section, influxdb, apply)
    if not apply and not as_json:
        print("The backup is complete. To restore it, add --apply.")


def _new_file(section: BackupSection) -> Path:
    """Return the file of a backup that has no name. Raises ConfigError."""
    if section.folder is None:
        fix = "name a file, or set backup.folder in noc.toml"
        raise ConfigError("FILE", None, "missing", fix)
    section.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = time.strftime("centre-%Y%m%dT%H%M%SZ.tar.gz", time.gmtime())
    return section.folder / name


def _others(section: BackupSection) -> dict[str, Path]:
    """Return the database of Grafana, if it is configured and exists."""
    from qos_agent.noc.backup import GRAFANA

    path = section.grafana
    return {GRAFANA: path} if path is not None and path.exists() else {}


def _config(section: BackupSection) -> Config | None:
    from qos_agent.noc.backup import Config

    if section.config is None or section.recovery_cert_file is None:
        return None
    if not section.recovery_cert_file.exists():
        note = "without configuration and keys. Fix: qos-agent noc ca recovery FILE"
        print(f"backup: {note}", file=sys.stderr)
        return None
    return Config(section.config, section.recovery_cert_file)


def _copy_influxdb(section: BackupSection, folder: Path) -> None:
    from qos_agent.noc.backup_influxdb import backup_influxdb

    if section.influxdb:
        print(backup_influxdb(section, folder / "influxdb", int(time.time())))


def _restore_influxdb(section: BackupSection, folder: Path, apply: bool) -> None:
    from qos_agent.noc.backup_influxdb import chains, restore_influxdb

    found = chains(folder)
    if not found:
        fix = "name the folder influxdb of the backups"
        raise ConfigError("--influxdb", repr(str(folder)), "has no chain", fix)
    if apply:
        restore_influxdb(found[-1], section.influxdb_folder)
    print(found[-1])


def _print(copies: Sequence[Copy], as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(copy) for copy in copies]))
        return
    for copy in copies:
        print(copy)
