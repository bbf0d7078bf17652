"""Files of the centre, variables, secrets, commands and figures of the system."""

from __future__ import annotations

import math
import tempfile
import uuid
import warnings
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from qos_agent.config import key_file
from qos_agent.config.loading import load
from qos_agent.config.sources import Sources
from qos_agent.config.token import read_token
from qos_agent.model.errors import ConfigError, InvalidConfigError, ProbeError
from qos_agent.noc import settings as noc_settings
from qos_agent.noc.simulator import scenario
from qos_agent.probes.registry import PROBES
from qos_agent.system import clock, machine
from qos_agent.system.network import counters, resolver_commands
from tests.fuzz.mutations import fuzz, seeds
from tests.fuzz.test_parsers import file_of

pytestmark = pytest.mark.slow


@fuzz(seeds("noc_settings"))
def test_settings_of_the_centre(data: bytes) -> None:
    """Settings are accepted or refused with a text for each error."""
    with file_of(data, "noc.toml") as path, suppress(InvalidConfigError):
        noc_settings.load(path)


@fuzz(seeds("scenario"))
def test_scenarios(data: bytes) -> None:
    """A scenario is accepted or refused with a text for each error."""
    with file_of(data, "drill.toml") as path, suppress(InvalidConfigError):
        scenario.load(str(path))


@fuzz(seeds("environment"))
def test_variables(data: bytes) -> None:
    """A value of any bytes is a setting, or refused with a text for each error."""
    text = data.replace(b"\0", b"").decode("utf-8", "surrogateescape")
    for name in ("LINKS", "COLLECTOR", "LATENCY__COUNT", "STATION__ID"):
        with suppress(InvalidConfigError):
            load(Sources(None, {f"QOS_AGENT_{name}": text}, None), PROBES)


@fuzz(seeds("commands"))
def test_commands_that_name_resolvers(data: bytes) -> None:
    """Whatever resolvectl, nmcli and mmcli print becomes words or nothing."""
    text = data.decode("utf-8", "replace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolver_commands, "_output", lambda *_, **__: text)
        for servers, command in resolver_commands.servers_by_command("lo"):
            assert all(isinstance(server, str) for server in servers), command


@fuzz(seeds("secret"))
def test_secrets(data: bytes) -> None:
    """A token or a key of any bytes can be used, or is refused."""
    with file_of(data) as path:
        with suppress(ConfigError):
            read_token(path).encode("ascii")
        with suppress(ConfigError):
            assert len(key_file.read_key(path)) >= 16


@fuzz(seeds("proc"))
def test_figures_of_the_system(data: bytes) -> None:
    """Counters, processor time, memory and the boot's name are plausible or missing."""
    with (
        tempfile.TemporaryDirectory() as name,
        pytest.MonkeyPatch.context() as patch,
        warnings.catch_warnings(),
    ):
        # psutil warns of lines that are missing.
        warnings.simplefilter("ignore", RuntimeWarning)
        folder = Path(name)
        (folder / "eth0/statistics").mkdir(parents=True)
        for file in _FIGURES:
            (folder / file).write_bytes(data)
        patch.setattr(psutil, "PROCFS_PATH", name)
        patch.setattr(machine, "_STAT", folder / "stat")
        patch.setattr(machine, "_MEMORY", folder / "meminfo")
        patch.setattr(counters, "_INTERFACES", folder)
        patch.setattr(clock, "_BOOT_ID", folder / "boot_id")
        if (spent := machine.processor_time()) is not None:
            assert math.isfinite(spent.busy_s)
            assert math.isfinite(spent.total_s)
        if (memory := machine.memory()) is not None:
            assert 0 <= memory.available_bytes <= memory.total_bytes
        with suppress(ProbeError):
            assert 0 <= counters.interface_count("eth0").received_bytes < 2**63
        uuid.UUID(clock._boot_id())


_FIGURES = (
    "stat",
    "meminfo",
    "boot_id",
    "eth0/ifindex",
    "eth0/statistics/rx_bytes",
    "eth0/statistics/tx_bytes",
)
