"""Addresses that can never be measured are refused by the check of the settings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from qos_agent.config.loading import load
from qos_agent.config.settings import Settings
from qos_agent.config.sources import Sources
from qos_agent.model.errors import InvalidConfigError
from qos_agent.noc.settings import NocSettings
from qos_agent.probes.registry import PROBES

NO_HOSTS = {
    "0.0.0.0": "address of no host",
    "0.1.2.3": "address of no host",
    "::": "address of no host",
    "::ffff:0.0.0.0": "address of no host",
    "255.255.255.255": "broadcast",
    "240.0.0.1": "broadcast or reserved",
    "::ffff:255.255.255.255": "broadcast",
    "224.0.0.251": "multicast",
    "ff02::1": "multicast",
    "ff02::1%wwan0": "multicast",
    "::ffff:224.0.0.1": "multicast",
    "2001:db8::1%wwan0": "must not have a zone",
    "::1%lo": "must not have a zone",
    "fe80::1%a b": "must",
    "fe80::1%../x": "must",
    "fe80::1%0": "name of a network interface",
    "fe80::1%-option": "name of a network interface",
    "fe80::1%sixteencharacter": "name of a network interface",
}
LINKS = '[{"name": "main", "interface": "wwan0"}]'


def settings(**environment: str) -> Settings:
    """Read the settings as `config check` does."""
    names = {f"QOS_AGENT_{key}": value for key, value in environment.items()}
    return load(Sources(None, names, None), PROBES).settings


def target(**values: str) -> str:
    return json.dumps([{"name": "a", "layer": "anchor", **values}])


def url_of(host: str) -> str:
    return f"http://[{host.replace('%', '%25')}]/" if ":" in host else f"http://{host}"


def places(host: str) -> dict[str, dict[str, str]]:
    """Return the variables that give each setting this host."""
    in_brackets = f"[{host}]" if ":" in host else host
    return {
        "targets.0.host": {"TARGETS": target(host=host)},
        "targets.0.host_ipv6": {"TARGETS": target(host="192.0.2.1", host_ipv6=host)},
        "web.pages.0.url": {
            "WEB__PAGES": json.dumps([{"name": "a", "url": url_of(host)}])
        },
        "form.url": {"FORM__URL": url_of(host)},
        "throughput.server": {"THROUGHPUT__SERVER": url_of(host)},
        "throughput.speedtest_server": {"THROUGHPUT__SPEEDTEST_SERVER": url_of(host)},
        "throughput.iperf3_server": {
            "THROUGHPUT__IPERF3_SERVER": f"{in_brackets}:5201"
        },
        "collector.url": {"COLLECTOR__URL": url_of(host)},
        "fallback.url": {"FALLBACK__URL": url_of(host)},
    }


@pytest.mark.parametrize(("host", "problem"), NO_HOSTS.items())
def test_an_address_of_no_host_is_refused(host: str, problem: str) -> None:
    """Every setting with a host gives one line with the key."""
    for key, variables in places(host).items():
        with pytest.raises(InvalidConfigError) as caught:
            settings(LINKS=LINKS, **variables)
        faults = caught.value.faults
        assert [fault.key for fault in faults] == [key]
        assert problem in faults[0].problem or "valid host name" in faults[0].problem
        assert "\n" not in str(faults[0])


@pytest.mark.parametrize(("host", "problem"), NO_HOSTS.items())
def test_a_source_address_of_no_host_is_refused(host: str, problem: str) -> None:
    """No packet can have such an address as its source."""
    links = json.dumps([{"name": "main", "source_address": host}])
    with pytest.raises(InvalidConfigError, match=problem):
        settings(LINKS=links)


@pytest.mark.parametrize(
    "key", [k for k in places("fe80::1") if not k.endswith(".url")]
)
def test_a_link_local_address_needs_an_interface(key: str) -> None:
    """The interface is that of the link, or the zone of the address."""
    without_zone, with_zone = places("fe80::1")[key], places("fe80::1%wwan0")[key]
    with pytest.raises(InvalidConfigError, match="link default has no interface") as e:
        settings(**without_zone)
    assert e.value.faults[0].key == key
    assert "fe80::1%INTERFACE" in e.value.faults[0].fix
    settings(LINKS=LINKS, **without_zone)
    settings(LINKS=LINKS, **with_zone)
    settings(**with_zone)
    settings(LINKS=LINKS, **places("fe80::1%2")[key])
    with pytest.raises(InvalidConfigError, match=r"its zone: wwan0 \(found: .*wwan9"):
        settings(LINKS=LINKS, **places("fe80::1%wwan9")[key])


@pytest.mark.parametrize("key", ["web.pages.0.url", "form.url"])
def test_a_link_local_address_in_a_url_needs_an_interface(key: str) -> None:
    """Pages and uploads have the same rules as targets."""
    with pytest.raises(InvalidConfigError, match="link default has no interface"):
        settings(**places("fe80::1")[key])
    settings(LINKS=LINKS, **places("fe80::1")[key])
    settings(**places("fe80::1%wwan0")[key])


def test_a_server_of_one_link_needs_the_interface_of_this_link() -> None:
    """The interface of another link does not count."""
    other = {"name": "other", "interface": "eth0"}
    for host, is_valid in (("fe80::1", True), ("fe80::1%wwan0", False)):
        server = {"throughput": {"server": url_of(host)}}
        links = json.dumps([{"name": "main", "interface": "wwan0"}, other | server])
        if is_valid:
            settings(LINKS=links)
            continue
        with pytest.raises(InvalidConfigError, match="its zone: eth0") as caught:
            settings(LINKS=links)
        assert caught.value.faults[0].key == "links.1.throughput.server"


def test_one_of_several_links_may_have_the_zone() -> None:
    """The other links cannot measure this target, which their readings report."""
    links = '[{"name": "a", "interface": "wwan0"}, {"name": "b", "interface": "eth0"}]'
    settings(LINKS=links, TARGETS=target(host="fe80::1%eth0"))


@pytest.mark.parametrize("key", ["collector.url", "fallback.url"])
def test_a_collector_needs_a_zone(key: str) -> None:
    """The system connects to it, without the interface of a link."""
    with pytest.raises(InvalidConfigError, match="must have the interface as a zone"):
        settings(LINKS=LINKS, **places("fe80::1")[key])
    settings(LINKS=LINKS, **places("fe80::1%eth0")[key])
    noc: dict[str, Any] = {"collectors": [{"url": "http://[fe80::1]:8086"}]}
    with pytest.raises(ValueError, match="must have the interface as a zone"):
        NocSettings.model_validate(noc)


def test_a_source_address_needs_an_interface_or_a_zone() -> None:
    """The kernel refuses a link-local source without one."""
    link = {"name": "main", "source_address": "fe80::1"}
    with pytest.raises(InvalidConfigError, match="must have a zone"):
        settings(LINKS=json.dumps([link]))
    settings(LINKS=json.dumps([link | {"interface": "wwan0"}]))
    settings(LINKS=json.dumps([link | {"source_address": "fe80::1%wwan0"}]))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "::1",
        "169.254.1.1",
        "10.0.0.255",
        "100.64.0.1",
        "::ffff:192.0.2.1",
        "64:ff9b::192.0.2.1",
        "fd00::1",
        "2001:db8::1",
    ],
)
def test_addresses_of_hosts_are_accepted(host: str) -> None:
    """Also NAT64, private networks and IPv4 that is mapped into IPv6."""
    for variables in places(host).values():
        settings(**variables)


@pytest.mark.parametrize(
    ("source", "stored"),
    [("::ffff:192.0.2.1", "192.0.2.1"), ("2001:DB8:0:0::01", "2001:db8::1")],
)
def test_a_source_address_has_its_usual_form(source: str, stored: str) -> None:
    """It is compared with the addresses that the interfaces have."""
    links = json.dumps([{"name": "main", "source_address": source}])
    assert settings(LINKS=links).link_list()[0].source_address == stored
