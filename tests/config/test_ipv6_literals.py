"""IPv6 addresses in URLs and servers, in every setting that has one."""

from __future__ import annotations

import pytest

from qos_agent.config.settings import CollectorSection, FormSection, Settings
from qos_agent.config.targets import TargetSection
from qos_agent.config.throughput import ThroughputSection
from qos_agent.noc.settings import NocSettings

URLS = [
    "http://[2001:db8::1]:8086",
    "https://[2001:db8::1]",
    "http://[::1]:80/path?q=1",
    "http://[::ffff:192.0.2.1]/",
    "http://[fe80::1%25wwan0]:8086",
    "http://user@[2001:db8::1]:8086/",
]
WRONG_URLS = [
    "http://2001:db8::1",
    "http://[2001:db8::1",
    "http://[2001:db8::1]8086",
    "http://[2001:db8::1]:x",
    "http://[2001:db8::1]:99999",
    "http://[]:80",
    "http://[example.org]",
    "http://[192.0.2.1]",
    "http://[2001:db8::g]",
    "http://a[2001:db8::1]",
]


@pytest.mark.parametrize("url", URLS)
def test_urls_are_accepted(url: str) -> None:
    """Agent and operations centre accept the same URLs."""
    assert CollectorSection.model_validate({"url": url}).url == url
    assert FormSection.model_validate({"url": url}).url == url
    page = {"pages": [{"name": "a", "url": url}]}
    throughput = {"server": url, "speedtest_server": url}
    values = {"web": page, "throughput": throughput, "collector": {"url": url}}
    assert Settings.model_validate(values).web.pages[0].url == url
    assert NocSettings.model_validate({"collectors": [{"url": url}]}).collectors


def test_the_scheme_of_a_url_may_have_capital_letters() -> None:
    """RFC 3986, 3.1: schemes are the same in either case; they are stored in lower."""
    for url in ("HTTP://[2001:db8::1]:8086", "Http://[2001:db8::1]:8086"):
        section = CollectorSection.model_validate({"url": url})
        assert section.url == "http://[2001:db8::1]:8086"
    with pytest.raises(ValueError, match="brackets around IPv6"):
        CollectorSection.model_validate({"url": "http://2001:db8::1:8086"})


@pytest.mark.parametrize("url", WRONG_URLS)
def test_other_urls_are_refused(url: str) -> None:
    """No address is accepted that would fail at its first use."""
    with pytest.raises(ValueError, match=r"followed by a host|valid host name"):
        CollectorSection.model_validate({"url": url})


@pytest.mark.parametrize(
    "server", ["[2001:db8::1]", "[2001:db8::1]:5201", "host.test:5201", "192.0.2.1"]
)
def test_servers_of_iperf3(server: str) -> None:
    """An address without brackets is refused, because a port may follow it."""
    section = ThroughputSection.model_validate({"iperf3_server": server})
    assert section.iperf3_server == server
    for wrong in ("2001:db8::1", "2001:db8::1:5201", "host:99999", "[::1]:"):
        with pytest.raises(ValueError, match=r"brackets|65535"):
            ThroughputSection.model_validate({"iperf3_server": wrong})


def test_targets_may_have_brackets() -> None:
    """The probes get the address without them."""
    values = {"name": "a", "layer": "anchor"}
    for host in ("2001:db8::1", "[2001:db8::1]"):
        target = TargetSection.model_validate(values | {"host": host})
        assert target.host == "2001:db8::1"
    with pytest.raises(ValueError, match="without a port"):
        TargetSection.model_validate(values | {"host": "[2001:db8::1]:862"})
