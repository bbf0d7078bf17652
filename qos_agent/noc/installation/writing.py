"""Writes the files of a centre: configurations, secrets, certificates, nginx.conf.

Files that people edit and all secrets are written once. The configuration of nginx is
written each time, because it follows noc.toml.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

from qos_agent.evidence import keys
from qos_agent.model.errors import ConfigError
from qos_agent.noc import authority as authorities
from qos_agent.noc.certificates import read_certificate
from qos_agent.noc.installation.gateway import gateway_config, template
from qos_agent.noc.installation.layout import Layout
from qos_agent.noc.provision.sticks import SIGNING_KEY_NAME
from qos_agent.noc.provision.vault import Vault
from qos_agent.noc.service.witness import KEY_NAME, create_key
from qos_agent.noc.settings import load
from qos_agent.system.files import create_private, write_atomically

# The census reads the points of the devices and writes its own.
CENSUS_FILES = ("collector-read.token", "rollup-write.token")
_PASSWORD_BYTES = 24
_EDITED = ("noc.toml", "witness.toml", "enrolment.toml")


def write(
    layout: Layout, names: Sequence[str], *, certificates: bool = False
) -> list[Path]:
    """Write what is missing and the configuration of nginx. Return the new files.

    With `certificates` each device gets one, and the gateway requires it. Without
    names, the gateway keeps those of its certificate. Raises ConfigError,
    OperatorError, InvalidConfigError, SigningError or OSError.
    """
    layout.config.mkdir(parents=True, exist_ok=True)
    layout.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    layout.published.mkdir(parents=True, exist_ok=True)
    layout.source.mkdir(parents=True, exist_ok=True)
    before = set(layout.config.rglob("*"))
    is_own = not layout.authority.server_certificate.exists() or (
        layout.authority.certificate.exists()
    )
    names = _certified(layout, names)
    _write_secrets(layout)
    _create_keys(layout, names[0])
    values = _values(layout, names[0])
    values["CA_FILE"] = _ca_file(layout, is_own=is_own)
    values["CERTIFICATES"] = "true" if certificates else "false"
    for name in _EDITED:
        if not (layout.config / name).exists():
            write_atomically(layout.config / name, filled(template(name), values))
    if layout.version == "1.8" and not (layout.config / "influxdb.conf").exists():
        text = filled(template("influxdb.conf"), values)
        write_atomically(layout.config / "influxdb.conf", text)
    write_gateway(layout, names)
    if certificates and not load(layout.config / "noc.toml").enrolment.certificates:
        problem = "is not set in noc.toml, which is never replaced"
        fix = "set it to true in noc.toml and in enrolment.toml"
        raise ConfigError("enrolment.certificates", "false", problem, fix)
    return sorted({*layout.config.rglob("*")} - before)


def write_gateway(layout: Layout, names: Sequence[str]) -> None:
    """Write nginx.conf for the collectors of noc.toml."""
    settings = load(layout.config / "noc.toml")
    required = settings.enrolment.certificates
    text = gateway_config(layout, settings.collectors, names, certificates=required)
    write_atomically(layout.config / "station.lua", template("station.lua"))
    write_atomically(layout.config / "nginx.conf", text)


def filled(text: str, values: dict[str, str]) -> str:
    """Return a template with its values."""
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def _certified(layout: Layout, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the gateway; create its certificate if there is none."""
    authority = layout.authority
    if not authority.certificate.exists():
        # With a certificate of the ministry it issues those of the devices only.
        authorities.create(authority)
    if authority.server_certificate.exists():
        present = read_certificate(authority.server_certificate).names
        if not names or set(names) <= set(present):
            return present
        if not authorities.is_own(authority, authority.server_certificate):
            problem = f"is not in the certificate {authority.server_certificate}"
            fix = "ask its issuer for one with this name, or remove the file"
            missing = min(set(names) - set(present))
            raise ConfigError("NAME", repr(missing), problem, fix)
    if not names:
        fix = "name the host by which devices reach the gateway"
        raise ConfigError("NAME", None, "missing", fix)
    return authorities.issue_server(authority, names).names


def _ca_file(layout: Layout, *, is_own: bool) -> str:
    """Return the line with the authorities that devices trust for the gateway."""
    if is_own:
        line = f'ca_file = "{layout.authority.trusted}"'
        return f"{line}  # devices will trust only these"
    return (
        "# ca_file = FILE  # without it, devices trust the authorities of their system"
    )


def _write_secrets(layout: Layout) -> None:
    """Create a token for each account of the centre, unless there is one."""
    admin = layout.config / "admin.token"
    if not admin.exists():
        create_private(admin, f"{_token('admin')}\n".encode())
    first, *others = (layout.config / name for name in CENSUS_FILES)
    if not first.exists():
        create_private(first, f"{_token('census')}\n".encode())
    for path in others:
        if not path.exists():
            create_private(path, first.read_bytes())
    environment = layout.config / "grafana.env"
    if not environment.exists():
        values = {
            **_values(layout, "-"),
            "GRAFANA_TOKEN": secrets.token_urlsafe(_PASSWORD_BYTES),
            "GRAFANA_ADMIN": secrets.token_urlsafe(_PASSWORD_BYTES),
        }
        text = filled(template("grafana.env"), values)
        create_private(environment, text.encode())


def _create_keys(layout: Layout, name: str) -> None:
    """Create the keys of the centre, unless they are there.

    systemd gives each service a copy of the keys that it needs.
    """
    Vault.of(layout.config / "centre-key.pem")
    signing, witness = layout.config / SIGNING_KEY_NAME, layout.config / KEY_NAME
    if not signing.exists():
        keys.create_key(signing)
    if not witness.exists():
        create_key(layout.state, f"{name}/witness")
        content = (layout.state / KEY_NAME).read_bytes()
        create_private(witness, content)
        (layout.state / KEY_NAME).unlink()


def _token(user: str) -> str:
    return f"{user}:{secrets.token_urlsafe(_PASSWORD_BYTES)}"


def _values(layout: Layout, name: str) -> dict[str, str]:
    return {
        "NAME": name,
        "CONFIG": str(layout.config),
        "STATE": str(layout.state),
        "CA": str(layout.authority.folder),
        "BACKUPS": str(layout.backups),
        "PUBLISHED": str(layout.published),
        "SOURCE": str(layout.source),
        "INFLUXDB": str(layout.influxdb),
        "INFLUXDB_URL": layout.influxdb_url,
        "INFLUXDB_PORT": str(layout.ports.influxdb),
        "INFLUXDB_BACKUP_PORT": str(layout.ports.influxdb_backup),
        "ENROLMENT_PORT": str(layout.ports.enrolment),
        "GRAFANA_PORT": str(layout.ports.grafana),
        "DEVICES_URL": layout.devices_url(name),
    }
