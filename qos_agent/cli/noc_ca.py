"""`qos-agent noc ca`: the centre's own certificate authority."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.noc_options import NocConfigOption
from qos_agent.cli.options import JsonOption
from qos_agent.model.errors import ConfigError

if TYPE_CHECKING:
    from qos_agent.noc.authority import Authority
    from qos_agent.noc.certificates import Certificate

ca = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Create and renew the certificates of the centre.",
)
NamesArgument = Annotated[
    list[str],
    typer.Argument(metavar="NAME...", help="Host names and addresses of the gateway."),
]
_RELOAD = "Make nginx read it: sudo systemctl reload qos-gateway"


@ca.command()
def create(config: NocConfigOption = None) -> None:
    """Create an authority and the next one.

    Devices trust both. Move the key of the next authority to a stick in a safe.
    """
    from qos_agent.noc import authority as authorities

    authority = _authority(config)
    authorities.create(authority)
    _print_trusted(authority)


@ca.command()
def replace(config: NocConfigOption = None) -> None:
    """Replace a lost or stolen authority by the next one.

    Copy the key of the next authority from the safe first. Then issue the certificate
    of the gateway again.
    """
    from qos_agent.noc import authority as authorities

    authority = _authority(config)
    authorities.replace(authority)
    _print_trusted(authority)
    print("Issue the certificate of the gateway again: qos-agent noc ca renew --now")


@ca.command()
def server(names: NamesArgument, config: NocConfigOption = None) -> None:
    """Issue the certificate of the gateway, with a new key."""
    from qos_agent.noc import authority as authorities

    _print_issued(authorities.issue_server(_authority(config), names))


@ca.command()
def renew(
    now: Annotated[
        bool, typer.Option("--now", help="Renew it before its time.")
    ] = False,
    config: NocConfigOption = None,
) -> None:
    """Renew the certificate of the gateway, if it ends soon.

    The names stay. The limit is `ca.warn` in noc.toml. A timer may run this command.
    """
    from qos_agent.noc import authority as authorities
    from qos_agent.noc.certificates import read_certificate
    from qos_agent.noc.settings import load

    authority = _authority(config)
    present = read_certificate(authority.server_certificate)
    if not now and present.left_s(time.time()) > load(config).ca.warn:
        print(f"{present.path}: valid until {present.ends}, not renewed")
        return
    _print_issued(authorities.renew_server(authority))


@ca.command()
def recovery(
    file: Annotated[Path, typer.Argument(help="File for the key, on a stick.")],
    config: NocConfigOption = None,
) -> None:
    """Create the recovery key of the backups.

    They encrypt the keys of the centre with it. Keep the file on two sticks in two
    safes. Only a restore needs it.
    """
    from qos_agent.noc.backup_config import create_recovery_key
    from qos_agent.noc.settings import load

    settings = load(config)
    certificate = settings.backup.recovery_cert_file
    if certificate is None:
        name, fix = "backup.recovery_cert_file", "set it in noc.toml"
        raise ConfigError(name, None, "missing", fix)
    create_recovery_key(file, certificate)
    print(f"keep in a safe: {file}")
    print(f"backups use: {certificate}")


@ca.command()
def show(config: NocConfigOption = None, as_json: JsonOption = False) -> int:
    """List the certificates. The exit status is 1 if one ends soon."""
    from qos_agent.noc.certificates import read_certificate
    from qos_agent.noc.settings import load

    section, authority = load(config).ca, _authority(config)
    paths = authority.certificates()
    found = [read_certificate(path) for path in paths]
    if as_json:
        print(json.dumps([_values(certificate) for certificate in found]))
    else:
        for certificate in found:
            print(f"{certificate.path}: {_text(certificate)}")
    now_s = time.time()
    return int(any(certificate.left_s(now_s) < section.warn for certificate in found))


def _authority(config: Path | None) -> Authority:
    from qos_agent.noc.authority import Authority
    from qos_agent.noc.settings import load

    settings = load(config)
    return Authority(settings.ca.folder or settings.folder / "ca")


def _print_trusted(authority: Authority) -> None:
    print(f"devices trust: {authority.trusted}")
    print(f"move to a stick in a safe: {authority.next_key}")


def _print_issued(certificate: Certificate) -> None:
    print(f"{certificate.path}: {_text(certificate)}")
    print(_RELOAD)


def _text(certificate: Certificate) -> str:
    names = f" for {', '.join(certificate.names)}" if certificate.names else ""
    return f"{certificate.subject}{names}, valid until {certificate.ends}"


def _values(certificate: Certificate) -> dict[str, object]:
    return {
        "file": str(certificate.path),
        "subject": certificate.subject,
        "names": certificate.names,
        "valid_to": certificate.ends,
    }
