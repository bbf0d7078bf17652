"""`qos-agent noc backup` and `noc restore`: the databases of the centre."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.noc_options import ApplyOption, NocConfigOption
from qos_agent.cli.options import JsonOption

if TYPE_CHECKING:
    from qos_agent.noc.backup import Copy

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A tar.gz file.")]


def backup(
    file: FileArgument, config: NocConfigOption = None, as_json: JsonOption = False
) -> None:
    """Write the databases of the centre to a file.

    The services go on. The file has the register, the ledger of provisioning and the
    database of the witness. It does not have the keys of the centre.
    """
    from qos_agent.noc import backup as backups
    from qos_agent.noc.settings import load

    _print(backups.backup(load(config).folder, file), as_json)


def restore(
    file: FileArgument,
    apply: ApplyOption = False,
    config: NocConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a backup, and put its databases in place.

    Stop the services first. The present databases are kept with the suffix
    `.before-restore`. Add --apply to apply the changes.
    """
    from qos_agent.noc import backup as backups
    from qos_agent.noc.settings import load

    folder = load(config).folder
    copies = backups.restore(file, folder) if apply else backups.check(file)
    _print(copies, as_json)
    if not apply and not as_json:
        print("The backup is complete. To restore it, add --apply.")


def _print(copies: list[Copy], as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(copy) for copy in copies]))
        return
    for copy in copies:
        print(copy)
