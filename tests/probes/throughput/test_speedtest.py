"""The backend `speedtest`: real speedtest-cli against a fake of its servers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qos_agent.model.errors import ProbeError
from qos_agent.probes.throughput.backend import Order, Rate
from qos_agent.probes.throughput.speedtest import Speedtest
from tests.probes.http_responses import INTERIM
from tests.probes.throughput.fake_speedtest import FakeSpeedtest, fake_speedtest
from tests.probes.time_left import TimeLeft
from tests.servers.certificates import Authority
from tests.support.children import no_child_left

pytestmark = pytest.mark.slow


@pytest.fixture
def fake() -> Iterator[FakeSpeedtest]:
    with fake_speedtest() as running:
        yield running


def order(**changes: object) -> Order:
    """Return an order of 8 MB down and 3 MB up over the loopback interface.

    Its counter is not used, because other programs of this machine also move it.
    """
    defaults = {
        "link": None,
        "interface": None,
        "server": None,
        "limits": {"down": 8_000_000, "up": 3_000_000},
        "time_limit_s": 30.0,
    }
    return Order(**{**defaults, **changes})  # type: ignore[arg-type]


def through(fake: FakeSpeedtest) -> Speedtest:
    """Return the backend with the fake instead of speedtest.net."""
    return Speedtest(environment=fake.environment, secure=False)


def child(code: str) -> Speedtest:
    """Return the backend with a few lines of Python as its child."""
    return Speedtest(child=(sys.executable, "-c", code))


def cause(backend: Speedtest, test_order: Order | None = None) -> str:
    """Return the cause of the failure; assert that no child process is left."""
    with no_child_left(), pytest.raises(ProbeError) as caught:
        backend.run(test_order or order(), TimeLeft(30))
    return caught.value.cause


def test_both_directions_are_measured_within_their_limits(fake: FakeSpeedtest) -> None:
    """Both directions have a rate, and the bytes stay within the limits."""
    results = through(fake).run(order(), TimeLeft(30))
    for direction, limit in order().limits.items():
        rate = results[direction]
        assert isinstance(rate, Rate)
        assert rate.rate_bps > 1e6
        assert limit / 2 < rate.measured_bytes <= rate.used_bytes <= limit
    assert fake.requests.count("random750x750.jpg") == 6


@pytest.mark.parametrize("interim", INTERIM.values(), ids=INTERIM)
def test_interim_responses_and_long_heads_are_valid(
    fake: FakeSpeedtest, interim: str
) -> None:
    """The library alone takes 102 and 103 for the answer, and refuses 100 fields."""
    fake.interim, fake.more_headers = interim.encode(), 150
    results = Speedtest(environment={}).run(order(server=fake.url), TimeLeft(30))
    assert all(isinstance(rate, Rate) for rate in results.values()), results


def test_your_own_server_needs_no_speedtest_net(fake: FakeSpeedtest) -> None:
    """With a Speedtest Mini server there is no request to speedtest.net."""
    results = Speedtest(environment={}).run(order(server=fake.url), TimeLeft(30))
    assert all(isinstance(rate, Rate) for rate in results.values())
    assert "speedtest-config.php" not in fake.requests


def test_speedtest_net_is_used_over_tls_by_default(tmp_path: Path) -> None:
    """A trusted certificate gives a rate; an untrusted one is the cause."""
    authority = Authority(tmp_path)
    context = authority.server_context(names=("www.speedtest.net",))
    with fake_speedtest(context) as fake:
        trusting = {**fake.environment, "SSL_CERT_FILE": str(authority.file)}
        good = Speedtest(environment=trusting).run(order(), TimeLeft(30))
        tunnels = set(fake.tunnels)
        bad = Speedtest(environment=fake.environment).run(order(), TimeLeft(30))
    assert isinstance(good["down"], Rate), good
    assert tunnels == {"www.speedtest.net:443"}
    assert isinstance(bad["down"], ProbeError)
    assert bad["down"].cause == "tls_untrusted"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "response", "expected"),
    [
        ("speedtest-config.php", (403, b""), "http_status"),
        ("speedtest-config.php", (200, b"<html>Log in</html>"), "bad_answer"),
        ("speedtest-config.php", (200, b"half a <"), "bad_answer"),
        ("speedtest-config.php", (302, b""), "bad_answer"),
        ("latency.txt", (200, b"<html>"), "bad_answer"),
        ("random750x750.jpg", (403, b""), "closed_early"),
        ("random750x750.jpg", (200, b"<html>Log in</html>"), "closed_early"),
    ],
)
def test_an_error_of_the_servers_has_a_cause(
    fake: FakeSpeedtest, name: str, response: tuple[int, bytes], expected: str
) -> None:
    """An error of the servers has its cause and is not a rate of 0."""
    fake.instead[name] = response
    result = through(fake).run(order(), TimeLeft(30))["down"]
    assert isinstance(result, ProbeError)
    assert result.cause == expected


def test_files_that_break_in_the_middle_are_an_error(fake: FakeSpeedtest) -> None:
    """speedtest-cli ignores resets; the data before them is not a rate."""
    fake.breaks_after = 200_000
    with no_child_left():
        result = through(fake).run(order(), TimeLeft(30))["down"]
    assert isinstance(result, ProbeError)
    assert result.cause == "closed_early"


def test_a_port_without_a_listener() -> None:
    """A server that is gone is the cause `refused` in both directions."""
    server = "http://127.0.0.1:9"
    results = Speedtest(environment={}).run(order(server=server), TimeLeft(30))
    assert {r.cause for r in results.values() if isinstance(r, ProbeError)} == {
        "refused"
    }


def test_a_hanging_child_is_killed() -> None:
    """A child is killed at the end of its time."""
    hanging = child("import time; time.sleep(60)")
    assert cause(hanging, order(time_limit_s=0.5)) == "deadline"


def test_a_flooding_child_is_killed() -> None:
    """A child is killed when it prints more than a report can be."""
    assert cause(child("while True: print('x' * 1000)")) == "child_output"


def test_a_child_killed_by_a_signal() -> None:
    """The signal is the cause."""
    assert cause(child("import os; os.kill(os.getpid(), 9)")) == "child_signal"


def test_half_a_report() -> None:
    """Incomplete JSON is the cause `child_output`."""
    assert cause(child('print(\'{"server": "x", "down"\')')) == "child_output"


@pytest.mark.parametrize(
    "report", ["[]", "null", "{}", '{"server": 1, "down": {}, "up": {"cause": 3}}']
)
def test_a_report_of_the_wrong_shape(report: str) -> None:
    """JSON without the expected keys is the cause `child_output`."""
    assert cause(child(f"print({report!r})")) == "child_output"


def test_a_short_transfer_is_no_rate() -> None:
    """Less than 20 kB until the time is up describes no link."""
    moved = {"payload_bytes": 19_999, "elapsed_s": 2.0, "threads": 1, "cpu_s": 0}
    report = {"server": "x", "down": moved | {"cut": True}}
    report["up"] = report["down"]
    results = child(f"print({json.dumps(report)!r})").run(order(), TimeLeft(30))
    for result in results.values():
        assert isinstance(result, ProbeError)
        assert (result.cause, result.detail) == ("stalled", "19999 bytes in 2.0 s")


def test_a_child_that_ends_with_an_error() -> None:
    """An error status is the cause `child_exit`."""
    assert cause(child("raise SystemExit('no more')")) == "child_exit"


def test_the_interface_counter_ends_the_child() -> None:
    """A child that moves more than the order allows is killed."""
    flood = (
        "import socket; s = socket.socket(type=socket.SOCK_DGRAM);"
        "s.connect(('127.0.0.1', 9))\n"
        "while True:\n try: s.send(b'x' * 9000)\n except OSError: pass"
    )
    assert cause(child(flood), order(interface="lo")) == "allowance"


def test_an_allowance_too_small_for_any_file(fake: FakeSpeedtest) -> None:
    """If no file fits, no file is fetched, and the cause is `allowance`."""
    result = through(fake).run(order(limits={"down": 600_000}), TimeLeft(30))["down"]
    assert isinstance(result, ProbeError)
    assert result.cause == "allowance"
    assert not any(name.startswith("random") for name in fake.requests)


def test_a_stopping_agent_does_not_wait() -> None:
    """When the agent stops, the child is killed at once."""
    deadline = TimeLeft(30)
    deadline.stop()
    with pytest.raises(ProbeError, match="killed"):
        child("import time; time.sleep(60)").run(order(), deadline)
