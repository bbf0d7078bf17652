"""`qos-agent enrol --self`: creates the key that seals this device's journal."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from qos_agent.cli.options import ConfigOption, JsonOption, load_configuration
from qos_agent.model.errors import ConfigError
from qos_agent.system.files import write_atomically

PUBLIC_NAME = "device-key.pub"
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
    config: ConfigOption = None,
    alone: SelfOption = False,
    new_key: NewKeyOption = False,
    as_json: JsonOption = False,
) -> None:
    """Create the key with which this device seals its journal.

    Prints the public key, and writes it to a file for `noc register import-keys`. The
    private key never leaves the device. Restart the agent afterwards.
    """
    if not alone:
        raise ConfigError("enrol", None, "needs the option --self", "add --self")
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
