"""`qos-agent noc register export`: the stations as CSV, for reports and for imports."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from qos_agent.cli.noc_options import NocConfigOption, moment_s
from qos_agent.model.errors import OperatorError

OutArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="The CSV file to write.")
]
AtOption = Annotated[
    str | None,
    typer.Option(
        metavar="MOMENT",
        help="The moment to export, for example 2024-02-14T07:00:00+07:00."
        " Default: now.",
    ),
]


def export(
    path: OutArgument, at: AtOption = None, config: NocConfigOption = None
) -> None:
    """Export the stations of a moment as CSV.

    `qos-agent report --register` and `import` read the file. It also has the stations
    that are not selected.
    """
    from qos_agent.noc.register.exporting import write_stations
    from qos_agent.noc.register.store import Register
    from qos_agent.noc.settings import load

    source = load(config).folder / "register.sqlite3"
    if not source.exists():
        fix = "name the centre's configuration with -c, or import stations first"
        raise OperatorError(f"{source}: there is no register. Fix: {fix}.")
    at_s = moment_s(at, "--at") if at else int(time.time())
    with closing(Register(source)) as store:
        try:
            count = write_stations(store, path, at_s)
        except OSError as error:
            fix = "name a file in a writable folder"
            message = f"{path}: cannot be written: {error.strerror}. Fix: {fix}."
            raise OperatorError(message) from error
    print(f"{path}: {count} stations")
