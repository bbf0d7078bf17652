"""Many devices enrol while the endpoint is killed and the network is cut.

None enrols twice and none is lost.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from qos_agent.evidence import enrolment
from qos_agent.evidence.signer import PublicKey
from qos_agent.noc.provision.ledger import Draft, State
from qos_agent.noc.provision.vault import KEY_NAME, Codes, Vault
from tests.noc.commands import Centre
from tests.noc.provision.centres import codes_of
from tests.noc.provision.endpoints import Issuer
from tests.servers.namespace import free_port

_FULL = os.environ.get("QOS_FAULTS") == "full"
_DEVICES = 10_000 if _FULL else 40
_KILLS = 30 if _FULL else 2
# The network is cut after this share of the requests, before the answer is read.
_CUT_SHARE = 0.1
_LIMIT_S = 3600.0 if _FULL else 60.0
_RAW = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)


@dataclass(frozen=True, slots=True)
class _Key:
    """A key in memory: ten thousand child processes would measure the clients."""

    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public_key(self) -> PublicKey:
        return PublicKey(self.private.public_key().public_bytes(*_RAW))

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)


def _issued(folder: Path) -> dict[str, str]:
    """Issue for all stations, and return their codes."""
    issuer = Issuer(folder)
    issuer.issue("9999999999999")
    ledger, vault = issuer.ledger(), Vault.of(folder / KEY_NAME)
    codes = Codes.of(ledger, vault)

    def draft(code: str, serial: int) -> Draft:
        return Draft(code, f"# {code}\n", codes.hash(codes.code(code, serial)))

    now_s = int(time.time())
    issues = ledger.begin(codes_of(_DEVICES), draft, now_s, "tester")
    sealed = vault.seal("st:secret")
    ledger.finish([(i.id, sealed) for i in issues], now_s + 10**6, now_s)
    return {i.station: codes.code(i.station, i.serial) for i in issues}


class _Endpoint:
    """The process of the endpoint, which is killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port("127.0.0.1", None)
        path = folder / "noc.toml"
        limits = "failures = 100000\nrequests = 1000000"
        table = f"[enrolment]\nport = {self.port}\n{limits}\n"
        path.write_text(f'folder = "{folder}"\n{table}')
        self._centre = Centre(path)
        self._start()

    def _start(self) -> None:
        self._process = self._centre.start("enrolment")
        # Its log would fill the pipe and block it.
        self._reader = threading.Thread(target=self._process.communicate)
        self._reader.start()

    def kill(self) -> None:
        """Kill it at once."""
        self._process.kill()
        self._reader.join()

    def restart(self) -> None:
        """Kill it at once, and start it again."""
        self.kill()
        self._start()


def _enrolled(port: int, station: str, code: str, end_mono: float) -> tuple[str, int]:
    """Enrol a device; it asks again until it has its answer. Return the requests."""
    body = enrolment.signed(code, f"pi-{station}", "1", _Key(), int(time.time()))
    requests = 0
    choose = random.Random(station)
    while time.monotonic() < end_mono:
        requests += 1
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("POST", enrolment.PATH, body)
            if choose.random() < _CUT_SHARE:
                continue
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError):
            threading.Event().wait(0.1)
            continue
        finally:
            connection.close()
        assert response.status == 200, answer
        return answer["station"], requests
    raise AssertionError(f"{station} was not enrolled in time")


def _killing(endpoint: _Endpoint, done: list[str]) -> Iterator[int]:
    """Kill the endpoint after each of equal parts of the devices."""
    for number in range(1, _KILLS + 1):
        while len(done) < number * _DEVICES // (_KILLS + 1):
            time.sleep(0.05)
        endpoint.restart()
        yield number


def test_many_devices_enrol_despite_kills_and_cuts(tmp_path: Path) -> None:
    """Each device has its own station and key, and no code is used twice."""
    codes = _issued(tmp_path)
    endpoint = _Endpoint(tmp_path)
    end_mono = time.monotonic() + _LIMIT_S
    done: list[str] = []
    requests: list[int] = []

    def enrol(station: str) -> None:
        given, count = _enrolled(endpoint.port, station, codes[station], end_mono)
        assert given == station
        done.append(station)
        requests.append(count)

    started_mono = time.monotonic()
    try:
        with ThreadPoolExecutor(8) as devices:
            tasks = devices.map(enrol, codes)
            kills = sum(1 for _ in _killing(endpoint, done))
            list(tasks)
    finally:
        endpoint.kill()
    taken_s = time.monotonic() - started_mono
    issuer = Issuer(tmp_path)
    assert issuer.ledger().counts()[State.USED] == _DEVICES
    keys = issuer.keys().history()
    assert [key.station for key in keys] == sorted(codes)
    assert len({key.key.raw for key in keys}) == _DEVICES
    counts = f"{_DEVICES} devices, {sum(requests)} requests, {kills} kills"
    print(f"{counts}, {_CUT_SHARE:.0%} of the requests cut, {taken_s:.0f} s")
