"""`qos-agent export`: the earlier name of `archive export --source journal`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from qos_agent.cli.options import ConfigOption

_NOTICE = (
    "qos-agent export: this name will be removed in the next release. Use: qos-agent"
    " archive export --source journal --out FOLDER"
)


def export(
    folder: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FOLDER", help="Write the files into this folder."
        ),
    ],
    config: ConfigOption = None,
) -> int:
    """Export the journal as CSV files with checksums.

    The same as `archive export --source journal`, for one more release. The exit status
    is 1 if damaged lines are missing in the CSV files.
    """
    from qos_agent.cli.archive import Format, export_journal

    status = export_journal(config, Format.CSV, folder)
    print(_NOTICE, file=sys.stderr)
    return status
