"""`qos-agent noc config`: the keys that sign the configuration, and signing offline."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from qos_agent.cli.noc_options import NocConfigOption

KeyOption = Annotated[
    Path, typer.Option("--key", metavar="FILE", help="The private key.")
]
OutOption = Annotated[Path, typer.Option("--out", metavar="FILE", help="New file.")]
ConfigurationOption = Annotated[
    list[str],
    typer.Option(
        "--configuration",
        metavar="KEY",
        help="A public configuration key or its file: the current one, then the next.",
    ),
]
EmergencyOption = Annotated[
    list[str],
    typer.Option(
        "--emergency", metavar="KEY", help="A public emergency key or its file."
    ),
]
NumberOption = Annotated[
    int, typer.Option(min=1, metavar="NUMBER", help="Number of the set.")
]
NameOption = Annotated[
    str,
    typer.Option(
        "--name", metavar="NAME", help="Name of the key; by default that of its file."
    ),
]
PathArgument = Annotated[
    Path, typer.Argument(help="A folder that --prepare wrote, or a key set.")
]


def new_key(
    name: Annotated[str, typer.Argument(help="Name that the key signs with.")],
    out: OutOption,
) -> int:
    """Create a key and print its public part.

    The key is for configuration or for emergencies. Create emergency keys on a
    computer without a network, one for each person.
    """
    from qos_agent.evidence.keys import create_key
    from qos_agent.evidence.notes import is_key_name, verifier_key
    from qos_agent.model.errors import ConfigError

    if not is_key_name(name):
        problem, fix = "must have no space and no plus", "use a name such as config-1"
        raise ConfigError("NAME", repr(name), problem, fix)
    print(verifier_key(name, create_key(out).public_key.raw))
    return 0


def new_set(
    configuration: ConfigurationOption,
    emergency: EmergencyOption,
    number: NumberOption,
    out: OutOption,
) -> int:
    """Write a key set that two people must sign.

    The number is that of the set before, plus one.
    """
    from qos_agent.evidence.key_set import KeySet, NamedKey
    from qos_agent.model.errors import ConfigError

    try:
        keys = KeySet(
            number,
            tuple(NamedKey.parsed(_key_text(key)) for key in configuration),
            tuple(NamedKey.parsed(_key_text(key)) for key in emergency),
        )
    except ValueError as error:
        fix = "copy the keys that new-key printed"
        raise ConfigError("key set", None, str(error), fix) from error
    out.write_text(keys.text(), encoding="utf-8")
    print(f"written: key set {number} in {out}; two emergency keys must sign it")
    return 0


def _key_text(text: str) -> str:
    """Return a public key that is an argument, or in the file of that name."""
    if "+" not in text and (path := Path(text)).is_file():
        return path.read_text(encoding="utf-8").strip()
    return text


def sign(path: PathArgument, key: KeyOption, name: NameOption = "") -> int:
    """Sign a prepared folder or a key set.

    Do it on a computer without a network.
    """
    from qos_agent.evidence.library import fastest_signer
    from qos_agent.model.errors import OperatorError
    from qos_agent.noc.remote.signing import sign_file

    signer = fastest_signer(key)
    if signer is None:
        raise OperatorError(f"{key}: there is no key. Fix: correct the path.")
    paths = sorted(path.glob("*.note")) if path.is_dir() else [path]
    counts = [sign_file(file, signer, name or key.stem) for file in paths]
    print(f"signed: {len(counts)} file(s), {min(counts, default=0)} signature(s) each")
    return 0 if counts else 1


def add_set(path: PathArgument, config: NocConfigOption = None) -> int:
    """Publish a key set that two people have signed.

    All indexes are signed again with the configuration key.
    """
    from qos_agent.noc.remote.publishing import Publisher
    from qos_agent.noc.settings import load

    publisher = Publisher(load(config))
    with publisher.alone():
        keys = publisher.add_keys(path, int(time.time()))
    print(f"published: key set {keys.number}")
    return 0


def keys(config: NocConfigOption = None) -> None:
    """Print the table `[remote]` of devices.

    It has the URL and the keys that they trust.
    """
    from qos_agent.noc.remote.device_table import table
    from qos_agent.noc.settings import load

    print(table(load(config)), end="")
