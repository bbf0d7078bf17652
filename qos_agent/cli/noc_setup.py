"""`qos-agent noc setup`: the files and databases of a centre on one machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from qos_agent.noc.installation.layout import Layout

NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME]...",
        help="Host names and addresses by which devices reach the gateway.",
    ),
]
DatabasesOption = Annotated[
    bool,
    typer.Option(
        "--databases", help="Create the databases and accounts in the running InfluxDB."
    ),
]
CertificatesOption = Annotated[
    bool,
    typer.Option(
        "--certificates",
        help="Give each device a certificate, and refuse writes without one.",
    ),
]
InfluxOption = Annotated[
    Literal["1.8", "2", "3"],
    typer.Option("--influxdb", help="The version of InfluxDB."),
]
FolderOption = Annotated[
    Path,
    typer.Option("--folder", metavar="FOLDER", help="Folder of the configuration."),
]


def setup(
    names: NamesArgument = None,
    databases: DatabasesOption = False,
    certificates: CertificatesOption = False,
    influxdb: InfluxOption = "1.8",
    folder: FolderOption = Path("/etc/qos-agent"),
) -> None:
    """Write the files of a centre on one machine.

    Configuration, secrets, certificates and the configuration of nginx. Existing files stay, except the last one, which follows noc.toml. The command can be repeated, for
    example after a change of the collectors.
    """
    from qos_agent.noc.installation.layout import Layout

    layout = Layout(config=folder, version=influxdb)
    if databases:
        _create_databases(layout)
        return
    from qos_agent.noc.installation import writing

    for path in writing.write(layout, names or (), certificates=certificates):
        print(f"new: {path}")
    print(f"gateway: {layout.config / 'nginx.conf'}")
    print(f"move to a stick in a safe: {layout.authority.next_key}")


def _create_databases(layout: Layout) -> None:
    from qos_agent.noc.installation.databases import RAW, ROLLUP, create_databases

    create_databases(layout)
    print(f"databases: {RAW}, {ROLLUP}")
