"""An enrolment endpoint in a thread, with issues that need no InfluxDB."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from qos_agent.noc.provision.answers import Desk, Limiter
from qos_agent.noc.provision.configuration import device_config
from qos_agent.noc.provision.ledger import FILE_NAME, Draft, Ledger
from qos_agent.noc.provision.server import Server
from qos_agent.noc.provision.vault import KEY_NAME, Codes, Vault
from qos_agent.noc.register.keys import KeyRegister
from qos_agent.noc.register.store import Entry
from qos_agent.noc.settings import ShardSection

ONE, OTHER = "3171010001001", "3171010001002"
CALENDAR = (
    Path(__file__).parents[3] / "qos_agent/config/elections/2024-02-14.toml"
).read_text()


@dataclass(frozen=True, slots=True)
class Issuer:
    """Issues without a server: the token names the station."""

    folder: Path

    def issue(self, station: str, valid_s: int = 3600) -> str:
        """Issue for a station and return its code."""
        ledger, vault = (
            Ledger(self.folder / FILE_NAME),
            Vault.of(self.folder / KEY_NAME),
        )
        codes = Codes.of(ledger, vault)

        def draft(code: str, serial: int) -> Draft:
            text = device_config(_entry(code), _SHARD, "")
            return Draft(f"st-{code}", text, codes.hash(codes.code(code, serial)))

        now_s = int(time.time())
        ((issue),) = ledger.begin([station], draft, now_s, "tester")
        sealed = vault.seal(f"st-{station}:secret-{issue.serial}")
        ledger.finish([(issue.id, sealed)], now_s + valid_s, now_s)
        code = codes.code(station, issue.serial)
        ledger.close()
        return code

    def desk(self) -> Desk:
        """Return the desk of an endpoint."""
        ledger, vault = (
            Ledger(self.folder / FILE_NAME),
            Vault.of(self.folder / KEY_NAME),
        )
        return Desk(ledger, self.keys(), vault, Limiter(5, 1000), CALENDAR)

    def keys(self) -> KeyRegister:
        """Return the keys of the devices."""
        return KeyRegister(self.folder / "register.sqlite3", any_thread=True)

    def ledger(self) -> Ledger:
        """Return the ledger."""
        return Ledger(self.folder / FILE_NAME)


_SHARD = ShardSection.model_validate({"url": "https://collector.example.id"})


def _entry(code: str) -> Entry:
    links = (("main", "telkomsel", ""), ("second", "xl", ""))
    return Entry(code, "TPS", "31", "3171", -6.1, 106.8, "Asia/Jakarta", None, links)


@contextmanager
def endpoint(
    desk: Desk,
    tls: ssl.SSLContext | None = None,
    request_s: float = 10.0,
) -> Iterator[int]:
    """Run an endpoint on this host and yield its port."""
    ports: list[int] = []
    ready, loop = Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        server = Server(desk, request_s)
        listening = await server.start("127.0.0.1", 0, tls)
        ports.append(listening.sockets[0].getsockname()[1])
        ready.set()
        await stop.wait()
        listening.close()
        server.close()

    def run() -> None:
        loop.run_until_complete(serve())
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    thread = Thread(target=run)
    thread.start()
    assert ready.wait(20)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
