"""`qos-agent enrol`: makes this device the agent of a station, or creates its key."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from qos_agent.cli.options import ConfigOption, JsonOption, load_configuration
from qos_agent.model.errors import ConfigError, OperatorError
from qos_agent.system.files import write_atomically

if TYPE_CHECKING:
    from qos_agent.agent.offline import Pending
    from qos_agent.config.settings import Settings
    from qos_agent.evidence.signer import Signer

PUBLIC_NAME = "device-key.pub"
_NOT_STARTED = "not started"
CodeArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="CODE",
        help="Enrolment code of the station's label; - reads it from standard input.",
    ),
]
CentreOption = Annotated[
    str | None,
    typer.Option("--centre", metavar="URL", help="URL of the centre, on the label."),
]
CaFileOption = Annotated[
    Path | None,
    typer.Option(
        "--ca-file",
        metavar="FILE",
        help="Trust only these authorities for the centre (PEM).",
    ),
]
InterfaceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--interface",
        metavar="LINK=NAME",
        help="Network interface of a link, such as main=wwan0. Repeat for several.",
    ),
]
SelfOption = Annotated[
    bool,
    typer.Option(
        "--self", help="Create the device key on this device, without a centre."
    ),
]
NewKeyOption = Annotated[
    bool,
    typer.Option(
        "--new-key",
        help="Replace an existing key. The old one stays to sign the hand-over.",
    ),
]


StickOption = Annotated[
    Path | None,
    typer.Option(
        "--stick",
        metavar="FOLDER",
        help="Enrol without a network, with the file in this folder. CODE is then the "
        "station, if the folder has several files.",
    ),
]
FingerprintOption = Annotated[
    str | None,
    typer.Option(
        metavar="HEX",
        help="Fingerprint of the centre's key, from its letter. Needed once.",
    ),
]
PendingOption = Annotated[
    bool,
    typer.Option("--pending", help="Complete an enrolment that began with --stick."),
]


def enrol(  # noqa: PLR0913, PLR0917  one for each option
    code: CodeArgument = None,
    centre: CentreOption = None,
    ca_file: CaFileOption = None,
    interface: InterfaceOption = None,
    stick: StickOption = None,
    fingerprint: FingerprintOption = None,
    config: ConfigOption = None,
    alone: SelfOption = False,
    pending: PendingOption = False,
    new_key: NewKeyOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make this device the agent of a station.

    Creates the key with which the device seals its journal, if there is none. Sends
    the public key and the code to the centre. Writes the token, the configuration and
    the calendar that the centre returns, and starts the service. The private key never
    leaves the device. With --stick the device measures at once, and enrols when it
    reaches the centre. With --self it only creates the key, and writes the public key
    to a file for `noc register import-keys`.
    """
    modes = alone + pending + (stick is not None or code is not None)
    if modes != 1:
        problem = "needs an enrolment code, or one of --stick, --pending and --self"
        raise ConfigError("enrol", None, problem, "add the code of the label")
    if alone:
        _create_only(config, new_key, as_json)
    elif pending:
        _print(_completed(_path(config)), as_json)
    elif stick is not None:
        device = _Device.of(_path(config), interface, new_key)
        _print_pending(_from_stick(device, stick, code, fingerprint), as_json)
    elif centre is None:
        problem, fix = "missing", "add --centre with the URL on the label"
        raise ConfigError("--centre", None, problem, fix)
    else:
        typed = _typed(code or "")
        device = _Device.of(_path(config), interface, new_key)
        _print(_enrolled(device, typed, centre, ca_file), as_json)


def _typed(code: str) -> str:
    """Return the code without typing errors. Raises ConfigError."""
    from qos_agent.model.enrolment_code import checked_code

    return checked_code(sys.stdin.readline().strip() if code == "-" else code)


def _path(config: Path | None) -> Path:
    """Return the file of the configuration. Raises OperatorError without the rights."""
    from qos_agent.config.sources import DEFAULT_PATH

    path = config or DEFAULT_PATH
    if path == DEFAULT_PATH and os.geteuid() != 0:
        raise OperatorError("enrol: needs root. Fix: sudo qos-agent enrol CODE.")
    return path


@dataclass(frozen=True, slots=True)
class _Device:
    """This device before its enrolment, with its key."""

    path: Path
    name: str
    folder: Path
    interfaces: dict[str, str]
    signer: Signer

    @classmethod
    def of(cls, path: Path, interface: list[str] | None, new_key: bool) -> Self:
        """Return this device. Raises ConfigError, OperatorError or SigningError."""
        from qos_agent.agent import enrolling

        interfaces = _interfaces(interface or [])
        before = _settings(path)
        folder = before.journal.folder
        now = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        signer = enrolling.device_signer(folder, new_key=now if new_key else None)
        return cls(path, before.station.device, folder, interfaces, signer)

    def move_key(self) -> None:
        """Move the key to the folder of the new configuration."""
        from qos_agent.agent import enrolling

        # Only the file in its place has the folders of the installed service.
        enrolling.move_key(self.folder, _settings(self.path).journal.folder)


def _enrolled(
    device: _Device, code: str, centre: str, ca_file: Path | None
) -> dict[str, str]:
    from qos_agent.agent import enrolling

    body = enrolling.request(code, device.name, device.signer, int(time.time()))
    answer = enrolling.ask(centre, ca_file, body)
    enrolling.install(answer, device.path, device.name, device.interfaces)
    device.move_key()
    return {
        "station": answer.station,
        "device": device.name,
        "fingerprint": device.signer.public_key.fingerprint,
        "config": str(device.path),
        "service": _started(device.path),
    }


def _from_stick(
    device: _Device, stick: Path, station: str | None, fingerprint: str | None
) -> dict[str, str]:
    from qos_agent.agent import offline
    from qos_agent.agent.installation import start_enrolment

    trusted = offline.trusted_centre(device.path)
    file, key = offline.read(offline.find(stick, station), trusted, fingerprint)
    pending = offline.install(
        file,
        key,
        device.path,
        device.signer,
        device.name,
        device.interfaces,
        int(time.time()),
    )
    device.move_key()
    service = _started(device.path)
    if service != _NOT_STARTED:
        service = start_enrolment() or service
    return {
        "station": pending.station,
        "device": device.name,
        "fingerprint": device.signer.public_key.fingerprint,
        "config": str(device.path),
        "request": _request_on(stick, pending),
        "service": service,
    }


def _request_on(stick: Path, pending: Pending) -> str:
    """Return the path of the request on the stick; it may be write-protected."""
    from qos_agent.agent import offline

    try:
        return str(offline.write_request(stick, pending))
    except OSError as error:
        return f"not written: {error.strerror}"


def _completed(path: Path) -> dict[str, str]:
    from qos_agent.agent import offline

    pending = offline.complete(path)
    return {
        "station": pending.station,
        "device": pending.device,
        "config": str(path),
        "service": _started(path),
    }


def _interfaces(options: list[str]) -> dict[str, str]:
    """Return the interface of each link. Raises ConfigError."""
    pairs = [option.partition("=") for option in options]
    for link, _, name in pairs:
        if not link or not name:
            fix = "write for example main=wwan0"
            raise ConfigError("--interface", repr(link), "must be LINK=NAME", fix)
    return {link: name for link, _, name in pairs}


def _settings(path: Path) -> Settings:
    """Return the present settings, or those of a new installation."""
    from qos_agent.config.loading import load
    from qos_agent.config.settings import JournalSection, Settings
    from qos_agent.config.sources import DEFAULT_PATH, INSTALLED_FOLDERS, Sources
    from qos_agent.model.errors import InvalidConfigError
    from qos_agent.probes.registry import PROBES

    try:
        return load(Sources(path, {}, None), PROBES).settings
    except InvalidConfigError:
        # A wrong or missing file is replaced.
        if path == DEFAULT_PATH:
            journal = JournalSection.model_validate(INSTALLED_FOLDERS["journal"])
            return Settings.model_construct(journal=journal)
        return load(Sources(None, {}, None), PROBES).settings


def _started(path: Path) -> str:
    """Start the installed service and return the result."""
    from qos_agent.agent.installation import start_service
    from qos_agent.config.sources import DEFAULT_PATH

    if path != DEFAULT_PATH or not Path("/run/systemd/system").is_dir():
        return _NOT_STARTED
    return start_service() or "started"


def _print(result: dict[str, str], as_json: bool) -> None:
    if as_json:
        print(json.dumps(result))
        return
    print(f"enrolled: station {result['station']}, device {result['device']}")
    _print_values(result)
    print("Check it: qos-agent doctor")


def _print_pending(result: dict[str, str], as_json: bool) -> None:
    if as_json:
        print(json.dumps(result))
        return
    print(f"enrolment pending: station {result['station']}, device {result['device']}")
    _print_values(result)
    print(f"request for the centre: {result['request']}")
    print("The device measures now, and enrols when it reaches the centre.")


def _print_values(result: dict[str, str]) -> None:
    if fingerprint := result.get("fingerprint"):
        print(f"key: {fingerprint}")
    print(f"configuration: {result['config']}")
    print(f"service: {result['service']}")


def _create_only(config: Path | None, new_key: bool, as_json: bool) -> None:
    settings = load_configuration(config).settings
    result = _created(settings.journal.folder, settings.station.device, new_key)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = f"{settings.station.id} {result['public_key']} {now}\n"
    write_atomically(settings.journal.folder / PUBLIC_NAME, line)
    if as_json:
        print(json.dumps(result))
        return
    print(f"device key: {result['path']}")
    print(f"fingerprint: {result['fingerprint']}")
    print(f"public key: {result['public_key']}")
    print(f"file for the centre: {settings.journal.folder / PUBLIC_NAME}")
    print("Restart the agent: sudo systemctl restart qos-agent")


def _created(folder: Path, device: str, new_key: bool) -> dict[str, str]:
    from qos_agent.evidence import checkpoints, keys, notes
    from qos_agent.system.files import may_exist

    path = folder / keys.FILE_NAME
    if new_key and may_exist(path):
        now = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        key = keys.replace_key(path, now).public_key
    else:
        key = keys.create_key(path).public_key
    name = checkpoints.device_name(device)
    return {
        "path": str(path),
        "fingerprint": key.fingerprint,
        "public_key": notes.verifier_key(name, key.raw),
    }
