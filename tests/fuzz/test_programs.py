"""Files of the centre, variables, commands and damaged journals, as mutations."""

from __future__ import annotations

import gzip
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from qos_agent.config.loading import load
from qos_agent.config.sources import Sources
from qos_agent.journal import carving, wal
from qos_agent.model.errors import InvalidConfigError
from qos_agent.noc import settings as noc_settings
from qos_agent.noc.simulator import scenario
from qos_agent.probes.registry import PROBES
from qos_agent.system.network import resolver_commands
from tests.fuzz.mutations import fuzz, seeds
from tests.fuzz.test_parsers import file_of

pytestmark = pytest.mark.slow

_JOURNAL = Path(__file__).parent.parent / "golden/journal.sqlite3.gz"


@fuzz(seeds("noc_settings"), 200)
def test_settings_of_the_centre(data: bytes) -> None:
    """Settings are accepted or refused with a text for each error."""
    with file_of(data, "noc.toml") as path, suppress(InvalidConfigError):
        noc_settings.load(path)


@fuzz(seeds("scenario"), 200)
def test_scenarios(data: bytes) -> None:
    """A scenario is accepted or refused with a text for each error."""
    with file_of(data, "drill.toml") as path, suppress(InvalidConfigError):
        scenario.load(str(path))


@fuzz(seeds("environment"), 200)
def test_variables(data: bytes) -> None:
    """A value of any bytes is a setting, or refused with a text for each error."""
    text = data.replace(b"\0", b"").decode("utf-8", "surrogateescape")
    for name in ("LINKS", "COLLECTOR", "LATENCY__COUNT", "STATION__ID"):
        with suppress(InvalidConfigError):
            load(Sources(None, {f"QOS_AGENT_{name}": text}, None), PROBES)


@fuzz(seeds("commands"), 300)
def test_commands_that_name_resolvers(data: bytes) -> None:
    """Whatever resolvectl, nmcli and mmcli print becomes words or nothing."""
    text = data.decode("utf-8", "replace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolver_commands, "_output", lambda *_, **__: text)
        for servers, command in resolver_commands.servers_by_command("lo"):
            assert all(isinstance(server, str) for server in servers), command


@fuzz([gzip.decompress(_JOURNAL.read_bytes())], 150)
def test_damaged_journals(data: bytes) -> None:
    """The remains of a damaged journal or of its log are found, and nothing raises."""
    with file_of(data, "journal.sqlite3") as path:
        for point in carving.carve(path):
            assert point.seq >= 0
        wal.log_path(path).write_bytes(data)
        list(carving.carve(path))
        with suppress(sqlite3.DatabaseError):
            wal.check(path)
