"""Trains over STAMP: loss in each direction, and invalid replies."""

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
    """The loss of each direction matches the packets that the router dropped."""
    net = lab(Shape(loss=0.1, loss_back=0.2))
    start_reflector(net)
    probe = short(count=200, spacing_s=0.002)
    result = measure(net, probe, address, "stamp")
    values = fields(result)
    forward = net.udp("forward", stamp_packets.PORT, "dropped")
    backward = net.udp("back", stamp_packets.PORT, "dropped")
    lost_wake = int("wake_ms" not in values)
    assert values["lost"] == forward + backward - lost_wake
    split = int(values["lost_forward"]) + int(values["lost_backward"])
    # Loss before the first reply and after the last has no direction.
    assert 0 <= int(values["lost"]) - split <= 10
    assert 0 <= forward - int(values["lost_forward"]) <= 10
    assert 0 <= backward - int(values["lost_backward"]) <= 10
    assert (values["stamps"], values["method"]) == ("kernel", "stamp")


@pytest.mark.parametrize("address", [SERVER, SERVER_IPV6], ids=["v4", "v6"])
def test_authenticated_trains_need_the_same_key(
    lab: MakeLab, tmp_path: Path, address: str
) -> None:
    """With the reflector's key all probes get replies; with another or none, none."""
    net, path, other = lab(Shape()), tmp_path / "key", tmp_path / "other"
    path.write_bytes(KEY)
    other.write_bytes(b"the key of another server")
    start_reflector(net, ["--key-file", str(path)])
    causes: list[tuple[str | None, Value]] = []
    for key in (path, other, None):
        probe = replace(short(count=5), key_file=key)
        result = measure(net, probe, address, "stamp")
        causes.append((result.cause, fields(result)["received"]))
    assert causes == [(None, 5), ("timeout", 0), ("timeout", 0)]


def test_no_reflector_is_refused(lab: MakeLab) -> None:
    """A server without a reflector refuses at once, and that is the cause."""
    net = lab(Shape())
    net.run(["sysctl", "-qw", "net.ipv4.icmp_ratelimit=0"], "server")
    result = measure(net, short(count=5, wait_s=30), SERVER, "stamp")
    assert (result.cause, fields(result)["icmp_errors"]) == ("refused", 5)


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
    """Invalid replies are not counted, and the reading has the cause."""
    net = lab(Shape())
    with nothing_left(5), answering(net, answer):
        result = measure(net, short(count=5), SERVER, "stamp")
    assert (result.cause, counts(result)) == (cause, (5, 0, 5))


def signed(data: bytes, key: bytes | None = KEY, timestamp: int | None = None) -> bytes:
    """Return an authenticated reply, with `timestamp` instead of the sender's."""
    request = stamp_packets.parse_request(data, KEY)
    if timestamp is not None:
        request = replace(request, stamp=timestamp)
    reflection = stamp_packets.Reflection(7, 0, 0, 64)
    return stamp_packets.reply(request, reflection, 112, key)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda data: [signed(data)], None),
        (lambda data: [signed(data)[:111]], "bad_answer"),
        (lambda data: [signed(data)[:44]], "bad_answer"),
        (lambda data: [signed(data, key=None)], "forged"),
        (lambda data: [signed(data, key=b"the key of another server")], "forged"),
        (lambda data: [signed(data)[:100] + bytes(12)], "forged"),
        (lambda data: [signed(data, timestamp=1)], "forged"),
    ],
    ids=["good", "short", "plain", "unsigned", "other key", "cut", "replayed"],
)
def test_bad_answers_to_authenticated_trains(
    lab: MakeLab, tmp_path: Path, answer: Answer, cause: str | None
) -> None:
    """Replies without the key, and replayed authenticated replies, do not count."""
    net, path = lab(Shape()), tmp_path / "key"
    path.write_bytes(KEY)
    with answering(net, answer):
        probe = replace(short(count=3), key_file=path)
        result = measure(net, probe, SERVER, "stamp")
    received = 3 if cause is None else 0
    assert (result.cause, counts(result)) == (cause, (3, received, 3 - received))


def test_replayed_answers_are_duplicates(lab: MakeLab) -> None:
    """A copy of a reply changes no round trip and no loss."""
    net = lab(Shape())
    with answering(net, lambda data: [stateless(data)] * 2):
        result = measure(net, short(count=5), SERVER, "stamp")
    assert counts(result) == (5, 5, 0)
    assert int(fields(result)["duplicates"]) >= 4


def test_answers_of_an_earlier_train_are_forged(lab: MakeLab) -> None:
    """Replayed replies to an earlier train do not count."""
    net = lab(Shape())
    replies: list[bytes] = []

    def record(data: bytes) -> list[bytes]:
        replies.append(stateless(data))
        return [replies[-1]]

    with answering(net, record):
        assert measure(net, short(count=5), SERVER, "stamp").cause is None
    by_number = {stamp_packets.parse_reply(reply).number: reply for reply in replies}
    with answering(
        net, lambda data: [by_number[stamp_packets.parse_request(data).number]]
    ):
        result = measure(net, short(count=5), SERVER, "stamp")
    assert (result.cause, counts(result)) == ("forged", (5, 0, 5))


def test_answers_from_elsewhere_are_not_answers(lab: MakeLab) -> None:
    """A valid reply from another port of the same server is ignored."""
    net = lab(Shape())
    elsewhere = net.call("server", lambda: socket.socket(type=socket.SOCK_DGRAM))
    service = net.call("server", lambda: socket.socket(type=socket.SOCK_DGRAM))
    net.call("server", lambda: service.bind((SERVER, stamp_packets.PORT)))
    service.settimeout(0.1)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                data, source = service.recvfrom(2048)
            except TimeoutError:
                continue
            elsewhere.sendto(stateless(data), source)

    with elsewhere, service:
        thread = threading.Thread(target=serve)
        thread.start()
        result = measure(net, short(count=5), SERVER, "stamp")
        stop.set()
        thread.join()
    assert (result.cause, counts(result)) == ("timeout", (5, 0, 5))


def test_a_stateless_reflector_gives_no_direction(lab: MakeLab) -> None:
    """With a reflector that does not count, loss has no direction."""
    net = lab(Shape(loss=0.2))
    with answering(net, lambda data: [stateless(data)]):
        values = fields(measure(net, short(count=50), SERVER, "stamp"))
    assert int(values["lost"]) > 0
    assert "lost_forward" not in values
