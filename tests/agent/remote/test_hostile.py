"""Hostile configuration servers over real sockets: nothing changes on the device."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from qos_agent.agent.remote.watch import Fetcher
from qos_agent.config.settings import CollectorSection
from qos_agent.influx.documents import DocumentClient
from qos_agent.model import Link
from qos_agent.schedule.allowance_account import Grant, Refusal
from tests.agent.remote.device import Device
from tests.noc.remote.centre import Centre, make_centre
from tests.servers.hostile import HTTP, Talk, fixed, gzip_bomb, head, hostile
from tests.servers.raw import response
from tests.servers.static import static_server

IS_FULL = os.environ.get("QOS_FAULTS") == "full"
LINK = Link("main", "telkomsel")
_TIMEOUT_S = 0.5
# The long form runs all of them.
_QUICK = (
    "10 GB, accepted",
    "endless chunks",
    "endless headers",
    "gzip bomb, accepted",
    "slow body",
    "redirected",
    "no HTTP",
)


class _Account:
    """An account that allows everything, and adds up what was moved."""

    def __init__(self, *, refuses: str | None = None) -> None:
        self.spent_bytes = 0
        self._refuses = refuses

    def reserve(self, link: Link, probe: str, worst_case_bytes: int) -> Grant | Refusal:
        """Grant, or refuse with the reason."""
        if self._refuses:
            return Refusal(self._refuses)
        return Grant(1, link.name, worst_case_bytes)

    def settle(self, _: Grant, spent_bytes: int) -> None:
        """Count the bytes."""
        self.spent_bytes += spent_bytes


def _fetcher(url: str, account: _Account, *links: Link) -> Fetcher:
    client = DocumentClient(CollectorSection(), lambda: None)
    used = links or (LINK,)
    return Fetcher(url, client, account, used, lambda: "main", _TIMEOUT_S)


@pytest.fixture
def centre(tmp_path: Path) -> Centre:
    """Return a centre that has published version 1."""
    made = make_centre(tmp_path / "noc")
    made.write("nation/settings.toml", '[schedule.voting]\nthroughput = "30m"\n')
    made.publish()
    return made


@pytest.fixture
def device(centre: Centre, tmp_path: Path) -> Device:
    """Return a device that has loaded version 1."""
    made = Device(centre, tmp_path / "device")
    assert made.run().apply
    return made


def _cases(centre: Centre) -> Mapping[str, Talk]:
    note = centre.note()
    chosen = HTTP if IS_FULL else {name: HTTP[name] for name in _QUICK}
    gzip = b"Content-Encoding: gzip"
    return {
        **chosen,
        "gzip bomb in place of the index": gzip_bomb(head("200 OK", gzip), note[:200]),
        "index, cut off": fixed(response("200 OK", note)[:-20]),
        "index, twice": fixed(response("200 OK", note + note)),
        "index in the year 9999": fixed(
            response("200 OK", note, b"Date: Fri, 31 Dec 9999 23:59:59 GMT")
        ),
        "not modified, with a body": fixed(response("304 Not Modified", b"x" * 100)),
    }


@pytest.mark.slow
def test_no_misbehaviour_changes_a_device(centre: Centre, device: Device) -> None:
    """Version, settings and pauses stay, each check ends in time and is counted."""
    changed: dict[str, object] = {}
    for name, talk in _cases(centre).items():
        account = _Account()
        with hostile(talk) as server:
            device.get = _fetcher(server.url(), account)
            device.restart()
            began_s = time.monotonic()
            result = device.run()
            took_s = time.monotonic() - began_s
        index = device.check.index
        if result.apply or index is None or index.version != 1 or index.pause:
            changed[name] = result
        if took_s > 4 * _TIMEOUT_S + 2:
            changed[name] = took_s
        if not 0 <= account.spent_bytes < 400_000:
            changed[name] = account.spent_bytes
    assert changed == {}
    assert device.interval_s() == 1800.0


def test_a_check_without_data_left_sends_nothing(
    centre: Centre, device: Device
) -> None:
    """A link without allowance is not used, and the next check tries again."""
    with static_server(centre.published) as server:
        device.get = _fetcher(server.url, _Account(refuses="allowance"))
        device.restart()
        assert not device.run().reached
        assert server.requests == []


def test_another_link_is_tried_if_no_server_answers(
    centre: Centre, device: Device
) -> None:
    """The second link is bound to its interface, and reaches the server."""
    with static_server(centre.published) as server:
        other = Link("spare", "xl", interface="lo")
        account = _Account()
        fetch = _fetcher("http://127.0.0.1:9", account, LINK, other)
        assert fetch("31.note") is None
        assert str(fetch.failure).startswith("spare: refused")
        fetch = _fetcher(server.url, account, other)
        fetch._uplink = lambda: "spare"
        answer = fetch("31.note")
        assert answer is not None
        assert answer.body == centre.note()


def test_checks_share_one_open_connection(centre: Centre, device: Device) -> None:
    """Ten checks over the uplink's connections open no other one."""
    import urllib3

    manager = urllib3.PoolManager(maxsize=1)
    client = DocumentClient(CollectorSection(), lambda: manager)
    with static_server(centre.published) as server:
        account = _Account()
        fetch = Fetcher(server.url, client, account, (LINK,), lambda: "main")
        device.get = fetch
        device.restart()
        for _ in range(10):
            assert device.run().reached
        assert [status for _, status in server.requests] == [200] + [304] * 9
        assert server.connections == 1
        assert account.spent_bytes < 10 * 2000
        manager.clear()
