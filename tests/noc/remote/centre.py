"""An operations centre with keys, a source folder and a published folder."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from qos_agent.config.remote.index import Index
from qos_agent.config.remote.section import RemoteSection
from qos_agent.evidence import keys
from qos_agent.evidence.key_set import KeySet, NamedKey
from qos_agent.evidence.library import LibrarySigner
from qos_agent.noc.remote import changes, signing
from qos_agent.noc.remote.publishing import Publisher
from qos_agent.noc.settings import NocSettings

NOW_S = 1_800_000_000
VALID_S = 30 * 86400
STATION = "3171010001001"
_NAMES = ("config-1", "config-2", "emergency-a", "emergency-b", "emergency-c")


@dataclass(frozen=True, slots=True)
class Centre:
    """The folders of a centre; its keys are named as in `_NAMES`."""

    folder: Path
    signers: dict[str, LibrarySigner] = field(default_factory=dict)

    @property
    def settings(self) -> NocSettings:
        """The settings that noc.toml would have."""
        remote = {"url": "http://127.0.0.1/config", "key_file": self.key("config-1")}
        return NocSettings.model_validate({"folder": self.folder, "remote": remote})

    @property
    def publisher(self) -> Publisher:
        """The commands of the centre."""
        return Publisher(self.settings)

    @property
    def published(self) -> Path:
        """The folder that the web server serves."""
        return self.folder / "published"

    def key(self, name: str) -> Path:
        """Return the file of a private key."""
        return self.folder / f"{name}.pem"

    def create_keys(self, *names: str) -> None:
        """Create private keys."""
        for name in names:
            keys.create_key(self.key(name))
            self.signers[name] = LibrarySigner.of(self.key(name))

    def named(self, name: str) -> NamedKey:
        """Return a public key."""
        return NamedKey(name, self.signers[name].public_key)

    def key_set(self, number: int, configuration: tuple[str, ...]) -> KeySet:
        """Return a key set with all emergency keys."""
        emergency = tuple(name for name in self.signers if "emergency" in name)
        return KeySet(
            number,
            tuple(map(self.named, configuration)),
            tuple(map(self.named, emergency)),
        )

    def add_set(
        self,
        number: int,
        configuration: tuple[str, ...],
        signers: tuple[str, ...] = ("emergency-a", "emergency-b"),
    ) -> None:
        """Sign a key set and publish it."""
        path = self.folder / f"set-{number}.note"
        path.write_text(self.key_set(number, configuration).text())
        for name in signers:
            signing.sign_file(path, self.signers[name], name)
        self.publisher.add_keys(path, NOW_S)

    def write(self, name: str, text: str) -> None:
        """Write a file of the source folder."""
        path = self.folder / "config" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def publish(self, percent: float = 100.0, now_s: int = NOW_S) -> int:
        """Publish the source folder and return the version."""
        return self.publisher.content(percent, now_s, None).version

    def withdraw(self, now_s: int = NOW_S) -> int:
        """Withdraw the present content and return the version."""
        return self.publisher.change(changes.withdrawal, now_s, None).version

    def index(self, province: str = "31") -> Index:
        """Return the published index of a province."""
        return self.publisher.state()[province]

    def note(self, province: str = "31") -> bytes:
        """Return the published note of a province."""
        return (self.published / f"{province}.note").read_bytes()

    def section(self, url: str = "http://127.0.0.1:1/config") -> RemoteSection:
        """Return the table `[remote]` of a device with the newest key set."""
        newest = self.publisher.keys()
        return RemoteSection(
            url=url,
            key_set=newest.number,
            keys=tuple(key.text() for key in newest.configuration),
            emergency_keys=tuple(key.text() for key in newest.emergency),
        )


def make_centre(folder: Path) -> Centre:
    """Return a centre with keys and an empty source folder."""
    template = _template()
    shutil.copytree(template.folder, folder)
    return Centre(folder, dict(template.signers))


@cache
def _template() -> Centre:
    """Create the keys once, because each needs two child processes."""
    folder = Path(tempfile.mkdtemp(prefix="qos-centre-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    centre = Centre(folder)
    centre.create_keys(*_NAMES)
    centre.add_set(1, ("config-1", "config-2"))
    (folder / "config").mkdir()
    return centre
