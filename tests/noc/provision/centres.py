"""An operations centre with a register, whose collector is a real InfluxDB 1.8."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from qos_agent.noc.provision.ledger import FILE_NAME, Issue, Ledger, State
from qos_agent.noc.provision.vault import KEY_NAME, Codes, Vault
from qos_agent.noc.register.store import Register
from tests.noc.commands import Centre
from tests.noc.register.registers import GOOD, csv_of, imported
from tests.servers.influxdb import InfluxDB

_TOML = """\
folder = {folder}
[[collectors]]
url = {url}
bucket = "qos"
admin_token_file = {token}
[provision]
rate = 1000
patience = "20s"
{more}
"""


def codes_of(count: int, first: int = 3171010001001) -> list[str]:
    """Return the codes of some stations in Jakarta."""
    return [str(first + number) for number in range(count)]


def centre_with(folder: Path, server: InfluxDB, count: int, more: str = "") -> Centre:
    """Return a centre with some stations and the administrator's token in a file."""
    token = folder / "admin.token"
    token.write_text(server.token + "\n")
    path = folder / "noc.toml"
    values = {"folder": folder, "url": server.url, "token": token}
    quoted = {name: json.dumps(str(value)) for name, value in values.items()}
    path.write_text(_TOML.format(**quoted, more=more))
    rows = [GOOD | {"station": code, "name": code} for code in codes_of(count)]
    with closing(Register(folder / "register.sqlite3")) as register:
        imported(register, csv_of(folder, *rows), 0)
    return Centre(path)


def ledger_of(folder: Path) -> Ledger:
    """Return the ledger of a centre."""
    return Ledger(folder / FILE_NAME)


def tokens_of(folder: Path, *states: State) -> dict[str, str]:
    """Return the decrypted token of each station's issue in some states."""
    vault = Vault.of(folder / KEY_NAME)
    rows = ledger_of(folder).database.execute(
        "SELECT station, sealed, state FROM issue"
    )
    wanted = states or (State.ISSUED, State.USED)
    return {s: vault.unseal(sealed) for s, sealed, state in rows if state in wanted}


def code_of(folder: Path, issue: Issue) -> str:
    """Return the enrolment code of an issue."""
    vault = Vault.of(folder / KEY_NAME)
    return Codes.of(ledger_of(folder), vault).code(issue.station, issue.serial)


def write_status(server: InfluxDB, token: str) -> int:
    """Write a point with a device's token and return the status."""
    return replace(server.view, token=token).write(b"latency,station=1 rtt=1").status


def users(server: InfluxDB) -> set[str]:
    """Return the users of a server but the administrator."""
    return {row["user"] for row in server.query("SHOW USERS") if not row["admin"]}
