"""The speedtest backend: speedtest-cli itself against a fake of its servers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qos_agent.model.errors import ProbeError
from qos_agent.probes.throughput.backend import Order, Rate
from qos_agent.probes.throughput.speedtest import Speedtest
from tests.probes.throughput.fake_speedtest import FakeSpeedtest, fake_speedtest
from tests.probes.time_left import TimeLeft
from tests.servers.certificates import Authority
from tests.support.children import no_child_left


@pytest.fixture
def fake() -> Iterator[FakeSpeedtest]:
    with fake_speedtest() as running:
        yield running


def order(**changes: object) -> Order:
    """8 MB down and 3 MB up over the loopback.

    Its counter is left alone: other programs of this machine use it too.
    """
    plain = {
        "link": None,
        "interface": None,
        "server": None,
        "limits": {"down": 8_000_000, "up": 3_000_000},
        "time_limit_s": 30.0,
    }
    return Order(**{**plain, **changes})  # type: ignore[arg-type]


def through(fake: FakeSpeedtest) -> Speedtest:
    """The backend with the fake in the place of speedtest.net."""
    return Speedtest(environment=fake.environment, secure=False)


def child(code: str) -> Speedtest:
    """The backend with a few lines of Python in the place of its child."""
    return Speedtest(child=(sys.executable, "-c", code))


def cause(backend: Speedtest, given: Order | None = None) -> str:
    """Why the backend's child failed; nothing of it may be left."""
    with no_child_left(), pytest.raises(ProbeError) as caught:
        backend.run(given or order(), TimeLeft(30))
    return caught.value.cause


def test_both_directions_are_measured_within_their_limits(fake: FakeSpeedtest) -> None:
    """Rates come back, and the bytes moved stay below the limits chosen beforehand."""
    results = through(fake).run(order(), TimeLeft(30))
    for direction, limit in order().limits.items():
        rate = results[direction]
        assert isinstance(rate, Rate)
        assert rate.rate_bps > 1e6
        assert limit / 2 < rate.measured_bytes <= rate.used_bytes <= limit
    assert fake.asked.count("random750x750.jpg") == 6


def test_a_server_of_ones_own_leaves_speedtest_net_alone(fake: FakeSpeedtest) -> None:
    """With a Speedtest Mini server nothing else is asked."""
    results = Speedtest(environment={}).run(order(server=fake.url), TimeLeft(30))
    assert all(isinstance(rate, Rate) for rate in results.values())
    assert "speedtest-config.php" not in fake.asked


def test_speedtest_net_is_asked_over_tls_by_default(tmp_path: Path) -> None:
    """Trusted, its configuration comes through TLS; untrusted, that is the cause."""
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


@pytest.mark.parametrize(
    ("name", "answer", "want"),
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
def test_what_goes_wrong_has_a_cause(
    fake: FakeSpeedtest, name: str, answer: tuple[int, bytes], want: str
) -> None:
    """An error of the servers is told by its own cause, not by a rate of 0."""
    fake.instead[name] = answer
    result = through(fake).run(order(), TimeLeft(30))["down"]
    assert isinstance(result, ProbeError)
    assert result.cause == want


def test_files_that_break_in_the_middle_are_no_rate(fake: FakeSpeedtest) -> None:
    """speedtest-cli passes over resets: what came before them is not its rate."""
    fake.breaks_after = 200_000
    with no_child_left():
        result = through(fake).run(order(), TimeLeft(30))["down"]
    assert isinstance(result, ProbeError)
    assert result.cause == "closed_early"


def test_nothing_listens_at_the_server() -> None:
    """A server that is gone is `refused`, in both directions."""
    server = "http://127.0.0.1:9"
    results = Speedtest(environment={}).run(order(server=server), TimeLeft(30))
    assert {r.cause for r in results.values() if isinstance(r, ProbeError)} == {
        "refused"
    }


def test_a_hanging_child_is_ended() -> None:
    """It is killed when its time is up."""
    hanging = child("import time; time.sleep(60)")
    assert cause(hanging, order(time_limit_s=0.5)) == "deadline"


def test_a_flooding_child_is_ended() -> None:
    """It is killed when it prints more than an answer can be."""
    assert cause(child("while True: print('x' * 1000)")) == "child_output"


def test_a_child_killed_by_a_signal() -> None:
    """The signal is the cause."""
    assert cause(child("import os; os.kill(os.getpid(), 9)")) == "child_signal"


def test_half_an_answer() -> None:
    """Half a JSON is no answer."""
    assert cause(child('print(\'{"server": "x", "down"\')')) == "child_output"


@pytest.mark.parametrize(
    "answer", ["[]", "null", "{}", '{"server": 1, "down": {}, "up": {"cause": 3}}']
)
def test_an_answer_of_the_wrong_shape(answer: str) -> None:
    """JSON that is not what was asked for is no answer either."""
    assert cause(child(f"print({answer!r})")) == "child_output"


def test_a_child_that_ends_with_an_error() -> None:
    """Its status and last words are kept."""
    assert cause(child("raise SystemExit('no more')")) == "child_exit"


def test_the_interface_counter_ends_the_child() -> None:
    """A child that moves more than the order allows is killed for it."""
    flood = (
        "import socket; s = socket.socket(type=socket.SOCK_DGRAM);"
        "s.connect(('127.0.0.1', 9))\n"
        "while True:\n try: s.send(b'x' * 9000)\n except OSError: pass"
    )
    assert cause(child(flood), order(interface="lo")) == "allowance"


def test_an_allowance_too_small_for_any_file(fake: FakeSpeedtest) -> None:
    """Where no file fits, nothing is fetched and the allowance is the cause."""
    result = through(fake).run(order(limits={"down": 600_000}), TimeLeft(30))["down"]
    assert isinstance(result, ProbeError)
    assert result.cause == "allowance"
    assert not any(name.startswith("random") for name in fake.asked)


def test_a_stopping_agent_does_not_wait() -> None:
    """When the agent stops, the child is ended at once."""
    deadline = TimeLeft(30)
    deadline.stop()
    with pytest.raises(ProbeError, match="killed"):
        child("import time; time.sleep(60)").run(order(), deadline)
