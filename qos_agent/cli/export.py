"""`qos-agent export`: the journal as CSV with its dictionary and a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from qos_agent.cli.options import ConfigOption, load_configuration


def export(
    folder: Annotated[Path, typer.Option("--out", help="Folder to write into.")],
    form: Annotated[Literal["csv"], typer.Option("--format", help="csv")] = "csv",  # noqa: ARG001
    config: ConfigOption = None,
) -> None:
    """Export the journal: a CSV for each measurement, dictionary, SHA-256 of each."""
    from qos_agent.archive.csv import export_csv
    from qos_agent.journal.reader import EVERY_SEQ, reading

    settings = load_configuration(config).settings
    with reading(settings.journal.folder) as journal:
        exported = export_csv(journal.lines(EVERY_SEQ), folder)
    for name, count in sorted(exported.points.items()):
        print(f"{name}: {count} points")
    print(f"written to {folder}; check with: cd {folder} && sha256sum -c SHA256SUMS")
