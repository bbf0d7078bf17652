"""`qos-agent enrol`: makes this device the agent of a station, or creates its key."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.options import ConfigOption, JsonOption, load_configuration
from qos_agent.model.errors import ConfigError, OperatorError
from qos_agent.system.files import write_atomically

if TYPE_CHECKING:
    from qos_agent.config.settings import Settings

PUBLIC_NAME = "device-key.pub"
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


def enrol(
    code: CodeArgument = None,
    centre: CentreOption = None,
    ca_file: CaFileOption = None,
    interface: InterfaceOption = None,
    config: ConfigOption = None,
    alone: SelfOption = False,
    new_key: NewKeyOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make this device the agent of a station.

    Creates the key with which the device seals its journal, if there is none. Sends
    the public key and the code to the centre. Writes the token, the configuration and
    the calendar that the centre returns, and starts the service. The private key never
    leaves the device. With --self it only creates the key, and writes the public key
    to a file for `noc register import-keys`.
    """
    if alone == (code is not None):
        problem = "needs an enrolment code, or the option --self"
        raise ConfigError("enrol", None, problem, "add the code of the label")
    if alone:
        _create_only(config, new_key, as_json)
    elif centre is None:
        problem, fix = "missing", "add --centre with the URL on the label"
        raise ConfigError("--centre", None, problem, fix)
    else:
        result = _enrolled(
            _typed(code or ""), centre, ca_file, interface, config, new_key
        )
        _print(result, as_json)


def _typed(code: str) -> str:
    """Return the code without typing errors. Raises ConfigError."""
    from qos_agent.model.enrolment_code import checked_code

    return checked_code(sys.stdin.readline().strip() if code == "-" else code)


def _enrolled(
    code: str,
    centre: str,
    ca_file: Path | None,
    interface: list[str] | None,
    config: Path | None,
    new_key: bool,
) -> dict[str, str]:
    from qos_agent.agent import enrolling
    from qos_agent.config.sources import DEFAULT_PATH

    path = config or DEFAULT_PATH
    if path == DEFAULT_PATH and os.geteuid() != 0:
        raise OperatorError("enrol: needs root. Fix: sudo qos-agent enrol CODE.")
    interfaces = _interfaces(interface or [])
    before = _settings(path)
    folder, device = before.journal.folder, before.station.device
    now = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    signer = enrolling.device_signer(folder, new_key=now if new_key else None)
    answer = enrolling.ask(centre, ca_file, code, device, signer)
    enrolling.install(answer, path, device, interfaces)
    # Only the file in its place has the folders of the installed service.
    enrolling.move_key(folder, _settings(path).journal.folder)
    return {
        "station": answer.station,
        "device": device,
        "fingerprint": signer.public_key.fingerprint,
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
        return "not started"
    return start_service() or "started"


def _print(result: dict[str, str], as_json: bool) -> None:
    if as_json:
        print(json.dumps(result))
        return
    print(f"enrolled: station {result['station']}, device {result['device']}")
    print(f"key: {result['fingerprint']}")
    print(f"configuration: {result['config']}")
    print(f"service: {result['service']}")
    print("Check it: qos-agent doctor")


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
