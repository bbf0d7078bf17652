"""`qos-agent export`: writes the journal as CSV files with checksums."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qos_agent.cli.options import ConfigOption, load_configuration
from qos_agent.cli.pending import notice_of


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

    Writes one CSV file per measurement, the data dictionary, and SHA256SUMS. The exit
    status is 1 if damaged lines are missing in the CSV files.
    """
    from qos_agent.archive.csv import export_csv
    from qos_agent.journal.reader import EVERY_SEQ, reading

    settings = load_configuration(config).settings
    with reading(settings.journal.folder) as journal:
        exported = export_csv(journal.lines(EVERY_SEQ), folder)
        notice = notice_of(journal)
    for name, count in sorted(exported.points.items()):
        print(f"{name}: {count} points")
    if notice is not None:
        print(notice)
    print(f"Wrote {folder}. To check: cd {folder} && sha256sum -c SHA256SUMS")
    if not exported.damaged:
        return 0
    missing = f"{exported.damaged} damaged lines are only in points.lp"
    print(f"{missing}. To see the faults: qos-agent journal verify")
    return 1
