"""A device that checks a published folder, without a network between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from qos_agent.agent.remote.check import Check, Get, Result
from qos_agent.config.loading import Loaded, load, load_with
from qos_agent.config.remote.in_force import Remote, store_in
from qos_agent.config.remote.index import toml_text
from qos_agent.config.sources import Sources
from qos_agent.evidence.library import fastest_key
from qos_agent.influx.documents import Document
from qos_agent.model import Identity
from qos_agent.probes.registry import PROBES
from tests.noc.remote.centre import NOW_S, STATION, Centre

_CONFIG = """
[station]
id = "{station}"
province = "{station:.2}"
regency = "{station:.4}"
device = "pi"
[schedule.voting]
throughput = "1h"
[journal]
folder = "{folder}/journal"
[remote]
{remote}
"""


@dataclass
class Device:
    """The settings and the check of one device; `now_s` None is an untrusted clock."""

    centre: Centre
    folder: Path
    station: str = STATION
    now_s: float | None = NOW_S
    asked: list[str] = field(default_factory=list)
    # What a hostile server sends in place of a file.
    instead: dict[str, bytes | None] = field(default_factory=dict)
    get: Get | None = None

    def __post_init__(self) -> None:
        """Write the configuration with the keys of the centre."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._section = self.centre.section()
        remote = toml_text(self._section.model_dump(exclude_unset=True))
        self.config.write_text(
            _CONFIG.format(station=self.station, folder=self.folder, remote=remote)
        )
        self.restart()

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "agent.toml"

    def restart(self) -> None:
        """Forget everything that is not on the disk."""
        journal = self.folder / "journal"
        self.store = store_in(journal, self._section, fastest_key)
        identity = Identity(
            self.station, self.station[:2], self.station[:4], "Asia/Jakarta", "pi"
        )
        self.check = Check(
            self.store,
            identity,
            self.get or self._get,
            lambda: self.now_s,
            self._validate,
        )

    def run(self, *, frozen: bool = False) -> Result:
        """Check once."""
        return self.check.run(frozen=frozen)

    def loaded(self) -> Loaded:
        """Return the settings that the next start loads."""
        return load(Sources(self.config, {}, None), PROBES)

    def interval_s(self) -> float | None:
        """Return the interval of throughput in voting, which the tests change."""
        return self.loaded().settings.schedule.voting.get("throughput")

    def _validate(self, remote: Remote) -> None:
        load_with(Sources(self.config, {}, None), PROBES, remote)

    def _get(self, name: str, etag: str | None = None) -> Document | None:
        self.asked.append(name)
        if name in self.instead:
            content = self.instead[name]
            return None if content is None else Document(200, content, None, 1000)
        path = self.centre.published / name
        if not path.is_file():
            return Document(404, b"", None, 500)
        content = path.read_bytes()
        tag = f'"{hash(content)}"'
        if tag == etag:
            return Document(304, b"", tag, 500)
        return Document(200, content, tag, 500 + len(content))
