"""Trains over STAMP: loss that says which way, and answers that are not genuine."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from qos_agent.model import Value
from qos_agent.probes.latency import stamp_packets
from tests.lab.fixtures import MakeLab
from tests.lab.network import SERVER, SERVER_IPV6
from tests.lab.shape import Shape
from tests.probes.latency.bench_of_trains import (
    Answer,
    answering,
    counts,
    fields,
    measure,
    short,
    start_reflector,
    stateless,
    wrong_stamp,
)
from tests.support.children import nothing_left

KEY = b"a key that both sides share"


@pytest.mark.parametrize("address", [SERVER, SERVER_IPV6], ids=["v4", "v6"])
def test_loss_has_a_direction(lab: MakeLab, address: str) -> None:
    """What the router dropped each way is what the reading says of each way."""
    net = lab(Shape(loss=0.1, loss_back=0.2))
    start_reflector(net)
    probe = short(count=200, spacing_s=0.002)
    finding = measure(net, probe, address, "stamp")
    found = fields(finding)
    forward = net.udp("forward", stamp_packets.PORT, "dropped")
    backward = net.udp("back", stamp_packets.PORT, "dropped")
    lost_wake = int("wake_ms" not in found)
    assert found["lost"] == forward + backward - lost_wake
    split = int(found["lost_forward"]) + int(found["lost_backward"])
    # Before the first answer and after the last, loss has no direction.
    assert 0 <= int(found["lost"]) - split <= 10
    assert 0 <= forward - int(found["lost_forward"]) <= 10
    assert 0 <= backward - int(found["lost_backward"]) <= 10
    assert (found["stamps"], found["method"]) == ("kernel", "stamp")


@pytest.mark.parametrize("address", [SERVER, SERVER_IPV6], ids=["v4", "v6"])
def test_authenticated_trains_need_the_same_key(
    lab: MakeLab, tmp_path: Path, address: str
) -> None:
    """With the reflector's key all is answered; with another or none, nothing."""
    net, path, other = lab(Shape()), tmp_path / "key", tmp_path / "other"
    path.write_bytes(KEY)
    other.write_bytes(b"a key that nobody shares")
    start_reflector(net, ["--key-file", str(path)])
    causes: list[tuple[str | None, Value]] = []
    for key in (path, other, None):
        probe = replace(short(count=5), key_file=key)
        finding = measure(net, probe, address, "stamp")
        causes.append((finding.cause, fields(finding)["received"]))
    assert causes == [(None, 5), ("timeout", 0), ("timeout", 0)]


def test_no_reflector_is_refused(lab: MakeLab) -> None:
    """A server that runs none says so at once, and that is the cause."""
    net = lab(Shape())
    net.run(["sysctl", "-qw", "net.ipv4.icmp_ratelimit=0"], "server")
    finding = measure(net, short(count=5, wait_s=30), SERVER, "stamp")
    assert (finding.cause, fields(finding)["icmp_errors"]) == ("refused", 5)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda data: [stateless(data)[:43]], "bad_answer"),
        (lambda data: [b""], "bad_answer"),
        (lambda data: [wrong_stamp(data)], "forged"),
        (lambda data: [], "timeout"),
    ],
    ids=["short", "empty", "forged", "silent"],
)
def test_bad_answers_are_failed_readings(
    lab: MakeLab, answer: Answer, cause: str
) -> None:
    """What is no answer is not counted as one, and the reading says why."""
    net = lab(Shape())
    with nothing_left(5), answering(net, answer):
        finding = measure(net, short(count=5), SERVER, "stamp")
    assert (finding.cause, counts(finding)) == (cause, (5, 0, 5))


def signed(data: bytes, by: bytes | None = KEY, own: int | None = None) -> bytes:
    """An answer in authenticated mode; `own` in place of the stamp that was sent."""
    asked = stamp_packets.parse_request(data, KEY)
    asked = asked if own is None else replace(asked, stamp=own)
    return stamp_packets.reply(asked, stamp_packets.Reflection(7, 0, 0, 64), 112, by)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda data: [signed(data)], None),
        (lambda data: [signed(data)[:111]], "bad_answer"),
        (lambda data: [signed(data)[:44]], "bad_answer"),
        (lambda data: [signed(data, by=None)], "forged"),
        (lambda data: [signed(data, by=b"a key that nobody shares")], "forged"),
        (lambda data: [signed(data)[:100] + bytes(12)], "forged"),
        (lambda data: [signed(data, own=1)], "forged"),
    ],
    ids=["good", "short", "plain", "unsigned", "other key", "cut", "replayed"],
)
def test_bad_answers_to_authenticated_trains(
    lab: MakeLab, tmp_path: Path, answer: Answer, cause: str | None
) -> None:
    """Who does not hold the key, or only kept what its holder said, answers nobody."""
    net, path = lab(Shape()), tmp_path / "key"
    path.write_bytes(KEY)
    with answering(net, answer):
        probe = replace(short(count=3), key_file=path)
        finding = measure(net, probe, SERVER, "stamp")
    received = 3 if cause is None else 0
    assert (finding.cause, counts(finding)) == (cause, (3, received, 3 - received))


def test_replayed_answers_are_duplicates(lab: MakeLab) -> None:
    """A copy of an answer changes no round trip and no loss."""
    net = lab(Shape())
    with answering(net, lambda data: [stateless(data)] * 2):
        finding = measure(net, short(count=5), SERVER, "stamp")
    assert counts(finding) == (5, 5, 0)
    assert int(fields(finding)["duplicates"]) >= 4


def test_answers_of_an_earlier_train_are_forged(lab: MakeLab) -> None:
    """Replaying what another train was answered gets nobody an answer."""
    net = lab(Shape())
    kept: list[bytes] = []

    def keep(data: bytes) -> list[bytes]:
        kept.append(stateless(data))
        return [kept[-1]]

    with answering(net, keep):
        assert measure(net, short(count=5), SERVER, "stamp").cause is None
    numbers = {stamp_packets.parse_reply(old).number: old for old in kept}
    with answering(
        net, lambda data: [numbers[stamp_packets.parse_request(data).number]]
    ):
        finding = measure(net, short(count=5), SERVER, "stamp")
    assert (finding.cause, counts(finding)) == ("forged", (5, 0, 5))


def test_answers_from_elsewhere_are_not_answers(lab: MakeLab) -> None:
    """A good answer from another port of the same server is not taken."""
    net = lab(Shape())
    elsewhere = net.call("server", lambda: socket.socket(type=socket.SOCK_DGRAM))
    here = net.call("server", lambda: socket.socket(type=socket.SOCK_DGRAM))
    net.call("server", lambda: here.bind((SERVER, stamp_packets.PORT)))
    here.settimeout(0.1)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                data, source = here.recvfrom(2048)
            except TimeoutError:
                continue
            elsewhere.sendto(stateless(data), source)

    with elsewhere, here:
        thread = threading.Thread(target=serve)
        thread.start()
        finding = measure(net, short(count=5), SERVER, "stamp")
        over.set()
        thread.join()
    assert (finding.cause, counts(finding)) == ("timeout", (5, 0, 5))


def test_a_stateless_reflector_gives_no_direction(lab: MakeLab) -> None:
    """Loss behind a reflector that does not count is left without a direction."""
    net = lab(Shape(loss=0.2))
    with answering(net, lambda data: [stateless(data)]):
        found = fields(measure(net, short(count=50), SERVER, "stamp"))
    assert int(found["lost"]) > 0
    assert "lost_forward" not in found
