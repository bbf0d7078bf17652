"""Real agent processes that check a published folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from qos_agent.config.remote.index import Pause, toml_text
from qos_agent.journal.reader import EVERY_SEQ, reading
from qos_agent.model import Record
from qos_agent.model.errors import OperatorError
from qos_agent.model.line_protocol import decode
from qos_agent.noc.remote import changes
from tests.noc.remote.centre import Centre

_CONFIG = """
targets = []
[station]
id = "{station}"
province = "{province}"
regency = "{regency}"
device = "{name}"
[[links]]
name = "main"
operator = "telkomsel"
interface = "lo"
[schedule.idle]
throughput = "{every}"
form = "{every}"
host = "{every}"
latency = "off"
web = "off"
signal = "off"
[throughput]
server = "http://127.0.0.1:9"
time_limit = "1s"
[form]
url = "http://127.0.0.1:9/"
time_limit = "1s"
[journal]
folder = "{folder}"
commit_every = "1s"
{remote}
"""


@dataclass(frozen=True, slots=True)
class AgentProcess:
    """A running agent and its folder."""

    process: subprocess.Popen[bytes]
    folder: Path

    def records(self) -> list[Record]:
        """Return the records of its journal so far."""
        with suppress(OperatorError), reading(self.folder) as journal:
            return [decode(line) for line in journal.lines(EVERY_SEQ)]
        return []

    def stop(self) -> int:
        """End the agent and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def config(
    centre: Centre,
    folder: Path,
    url: str,
    station: str,
    cycle_s: float = 1.0,
    every: str = "1s",
) -> Path:
    """Write the configuration of an agent and return its path."""
    values = centre.section(url).model_dump(exclude_unset=True)
    values |= {"check": f"{cycle_s}s", "check_voting": f"{cycle_s}s"}
    path = folder / "agent.toml"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(
        _CONFIG.format(
            station=station,
            every=every,
            province=station[:2],
            regency=station[:4],
            name=folder.name,
            folder=folder / "journal",
            remote="[remote]\n" + toml_text(values),
        )
    )
    return path


@contextmanager
def running(path: Path) -> Iterator[AgentProcess]:
    """Run an agent with a configuration file."""
    command = [sys.executable, "-m", "qos_agent", "run", "-c", str(path)]
    log = path.with_name("log").open("wb")
    process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ))
    try:
        yield AgentProcess(process, path.parent / "journal")
    finally:
        process.kill()
        process.wait(20)
        log.close()


def pause_all(centre: Centre, for_s: float, **scope: tuple[str, ...]) -> Pause:
    """Publish a pause from now on, for a number of seconds."""
    now = datetime.now(UTC).replace(microsecond=0)
    pause = Pause(
        name="national",
        probes=("throughput", "form"),
        start=now,
        end=now + timedelta(seconds=for_s),
        **scope,
    )
    publisher = centre.publisher
    now_s = int(now.timestamp())
    publisher.change(lambda s, t: changes.pause(s, pause, t), now_s, None)
    return pause
