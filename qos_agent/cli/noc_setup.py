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
        metavar="NAME",
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
StartOption = Annotated[
    bool, typer.Option("--start", help="Also start everything with systemd.")
]
InfluxOption = Annotated[
    Literal["1.8", "2", "3"],
    typer.Option("--influxdb", metavar="VERSION", help="InfluxDB 1.8, 2 or 3."),
]
FolderOption = Annotated[
    Path,
    typer.Option("--folder", metavar="FOLDER", help="Folder of the configuration."),
]


def setup(
    names: NamesArgument = None,
    databases: DatabasesOption = False,
    certificates: CertificatesOption = False,
    start: StartOption = False,
    influxdb: InfluxOption = "1.8",
    folder: FolderOption = Path("/etc/qos-agent"),
) -> None:
    """Write the files of a centre on one machine.

    These are configuration, secrets, certificates and nginx.conf. Existing files stay,
    except nginx.conf, which follows noc.toml. The command can be repeated, for example
    after a change of the collectors.
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
    if start:
        from qos_agent.noc.installation import starting
        from qos_agent.noc.settings import load

        settings = load(layout.config / "noc.toml")
        starting.start(certificates=settings.enrolment.certificates)
        print(f"started: {starting.TARGET}")


def _create_databases(layout: Layout) -> None:
    from qos_agent.noc.installation.databases import RAW, ROLLUP, create_databases

    create_databases(layout)
    print(f"databases: {RAW}, {ROLLUP}")
