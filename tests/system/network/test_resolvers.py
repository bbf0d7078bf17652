"""The DNS servers of a link are found in the files of every program that sets them."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.model import Link
from qos_agent.system.network import resolver_commands, resolvers
from qos_agent.system.network.resolvers import (
    Resolvers,
    _leased,
    _valid,
    resolvers_of,
)

NAME = "lo"
INDEX = socket.if_nametoindex(NAME)
LINK = Link("main", "x", NAME)
STUB = "# systemd-resolved\nnameserver 127.0.0.53\noptions edns0\nsearch lan\n"
ADDRESS = next(
    a.address for a in psutil.net_if_addrs()[NAME] if a.family == socket.AF_INET
)
LEASE = 'lease {{\n  interface "{}";\n  fixed-address {};\n  option {} {};\n}}\n'


def lease(servers: str, address: str = ADDRESS, name: str = NAME) -> str:
    return LEASE.format(name, address, "domain-name-servers", servers)


SOURCES = {
    f"run/systemd/resolve/netif/{INDEX}": "# private\nSERVERS=10.0.0.1 10.0.0.2\n",
    f"run/systemd/netif/links/{INDEX}": "STATE=up\nDNS=10.0.0.1 10.0.0.2#dns.test\n",
    f"run/systemd/netif/leases/{INDEX}": "ADDRESS=10.0.0.9\nDNS=10.0.0.1 10.0.0.2\n",
    f"run/dhcpcd/hook-state/resolv.conf/{NAME}.dhcp": "nameserver 10.0.0.1\n"
    "nameserver 10.0.0.2\n",
    f"run/resolvconf/interface/{NAME}.dhclient": "nameserver 10.0.0.1\n"
    "domain lan\nnameserver 10.0.0.2\n",
    f"var/lib/dhcp/dhclient.{NAME}.leases": lease("10.9.9.9")
    + lease("10.0.0.1, 10.0.0.2")
    + lease("10.8.8.8", "10.1.2.3")
    + lease("10.7.7.7", ADDRESS, "wlan9"),
    "run/systemd/resolve/resolv.conf": "nameserver 10.0.0.1\nnameserver 10.0.0.2\n",
    "run/NetworkManager/no-stub-resolv.conf": "nameserver 10.0.0.1\n"
    "nameserver 10.0.0.2\n",
    "run/dnsmasq/resolv.conf": "nameserver 10.0.0.1\nnameserver 10.0.0.2\n",
}


def write(root: Path, **files: str | bytes) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)


@pytest.mark.parametrize("source", SOURCES)
def test_the_servers_behind_a_forwarder_are_found(source: str, tmp_path: Path) -> None:
    """Each program's file counts before the forwarder in /etc/resolv.conf."""
    write(tmp_path, **{"etc/resolv.conf": STUB, source: SOURCES[source]})
    servers = ("10.0.0.1", "10.0.0.2")
    assert resolvers_of(LINK, tmp_path) == Resolvers(servers, f"/{source}")


def test_the_servers_of_the_link_come_before_those_of_the_device(
    tmp_path: Path,
) -> None:
    """Another link's servers may not answer over this link."""
    link_file = f"run/systemd/netif/links/{INDEX}"
    device_file = "run/systemd/resolve/resolv.conf"
    device = "nameserver 10.5.5.5\nnameserver 10.0.0.1\n"
    write(tmp_path, **{link_file: SOURCES[link_file], device_file: device})
    assert resolvers_of(LINK, tmp_path).source == f"/{link_file}"
    assert resolvers_of(None, tmp_path).servers == ("10.5.5.5", "10.0.0.1")


@pytest.mark.parametrize("forwarder", ["127.0.0.53", "127.0.0.1", "::1", "0.0.0.0"])
def test_a_forwarder_alone_is_outside_the_link(forwarder: str, tmp_path: Path) -> None:
    """It is known, and marked as outside."""
    write(tmp_path, **{"etc/resolv.conf": f"nameserver {forwarder}\n"})
    expected = Resolvers((forwarder,), "/etc/resolv.conf", outside=True)
    assert resolvers_of(LINK, tmp_path) == expected


def test_a_server_next_to_a_forwarder_counts_alone(tmp_path: Path) -> None:
    """A forwarder is not part of the link."""
    text = "nameserver 127.0.0.1\nnameserver 10.0.0.1\n"
    write(tmp_path, **{"etc/resolv.conf": text})
    assert resolvers_of(LINK, tmp_path).servers == ("10.0.0.1",)


def test_without_any_file_there_is_no_server(tmp_path: Path) -> None:
    """Also folders and broken links in the place of files are no error."""
    (tmp_path / "etc/resolv.conf").mkdir(parents=True)
    (tmp_path / "run").symlink_to("nowhere")
    assert resolvers_of(LINK, tmp_path) == Resolvers()


def test_odd_files_are_read_as_far_as_they_are_valid(tmp_path: Path) -> None:
    """Bytes that are no text, names and zones of other interfaces are left out."""
    text = (
        b"nameserver 10.0.0.1 \xff\nnameserver \xff\xfe\nnameserver dns.test\n"
        b"nameserver\nnameserver fe80::1%wlan9\nnameserver fe80::2\n"
        b"nameserver 10.0.0.1\nnameserver fe80::3%lo\r\n" + b"#" * 200_000
    )
    write(tmp_path, **{"etc/resolv.conf": text + b"\nnameserver 10.0.0.7\n"})
    servers = ("10.0.0.1", "fe80::2%lo", "fe80::3%lo")
    assert resolvers_of(LINK, tmp_path).servers == servers


def test_a_file_with_many_servers_leaves_each_enough_time(tmp_path: Path) -> None:
    """The first six count; resolv.conf(5) itself allows three."""
    lines = "".join(f"nameserver 10.0.0.{n}\n" for n in range(1, 200))
    write(tmp_path, **{"etc/resolv.conf": lines})
    servers = tuple(f"10.0.0.{n}" for n in range(1, 7))
    assert resolvers_of(LINK, tmp_path).servers == servers


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%1", "fe80::1%lo"),
        ("fe80::1%99999999999", None),
        ("224.0.0.251", None),
        ("255.255.255.255", None),
        ("240.0.0.1", None),
        ("0.0.0.7", None),
        ("ff02::fb", None),
        ("ff02::fb%lo", None),
        ("10.0.0.1%lo", "10.0.0.1"),
        ("10.0.0.1%1#dns.test", "10.0.0.1"),
        ("10.0.0.1:53", None),
        ("[fd00::1]", None),
    ],
)
def test_addresses_as_sockets_use_them(written: str, used: str | None) -> None:
    """A zone may be a number; addresses of no host are left out."""
    assert _valid([written], NAME) == ((used,) if used else ())


def test_a_link_local_server_without_any_interface_cannot_be_used() -> None:
    """The kernel would not know where to send the query."""
    assert _valid(["fe80::1", "fe80::1%lo"], None) == ("fe80::1%lo",)


@given(st.text(max_size=200))
def test_any_text_is_survived(text: str) -> None:
    """Files of other programs may contain anything."""
    assert _valid(text.split(), NAME) is not None
    assert _leased([f"lease {{ {text}"], NAME) is not None


MMCLI = """case "$*" in
*-L) echo '{"modem-list": ["/m/0"]}' ;;
*-m*) echo '{"modem": {"generic": {"bearers": ["/b/0", "/b/1"]}}}' ;;
*-b*0) echo '{"bearer": {"status": {"interface": "wwan9"}}}' ;;
*-b*1) echo '{"bearer": {"status": {"interface": "lo"},
 "ipv4-config": {"dns": ["10.0.0.1"]}, "ipv6-config": {"dns": ["fd00::1"]}}}' ;;
esac"""
COMMANDS = {
    "resolvectl": "echo 'Link 2 (lo): 10.0.0.1 fd00::1'",
    "nmcli": "echo '10.0.0.1 | fd00\\:\\:1'",
    "mmcli": MMCLI,
}


def install(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_report_the_servers_of_a_link(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """resolved, NetworkManager and ModemManager are asked if no file names servers."""
    install(tmp_path, name, COMMANDS[name])
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    reported = [servers for servers, _ in resolver_commands.servers_by_command(NAME)]
    assert [servers for servers in reported if servers] == [["10.0.0.1", "fd00::1"]]


@pytest.mark.parametrize(
    "script", ["exit 1", "echo '{'", "echo '[[[['", "echo '{\"modem-list\": 1}'", "yes"]
)
def test_commands_that_fail_report_nothing(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Output without end, without sense and an error are all no servers."""
    for name in COMMANDS:
        install(tmp_path, name, script)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for servers, _ in resolver_commands.servers_by_command(NAME):
        assert _valid(servers, NAME) == ()


def test_a_link_among_several_asks_the_commands_before_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the whole device then mixes the servers of all links."""
    write(tmp_path, **{"etc/resolv.conf": "nameserver 10.5.5.5\n"})
    install(tmp_path, "nmcli", "echo '10.0.0.1'")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(resolvers, "ROOT", tmp_path)
    for interfaces, servers in (
        ({NAME}, ("10.5.5.5",)),
        ({NAME, "wlan9"}, ("10.0.0.1",)),
    ):
        monkeypatch.setattr(resolvers, "default_interfaces", lambda i=interfaces: i)
        assert resolvers_of(LINK, tmp_path).servers == servers


def test_commands_that_hang_take_a_limited_time_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One limit holds for all of them, so that a task still has time to measure."""
    for name in COMMANDS:
        install(tmp_path, name, "exec sleep 9")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(resolver_commands, "_TOTAL_S", 0.3)
    start_s = time.monotonic()
    assert not any(s for s, _ in resolver_commands.servers_by_command(NAME))
    assert time.monotonic() - start_s < 2


def test_the_last_lease_of_a_long_file_counts(tmp_path: Path) -> None:
    """dhclient appends each lease, and writes IPv6 ones in a form of their own."""
    write(tmp_path, **{"etc/resolv.conf": STUB})
    old = lease("10.9.9.9") * 1000
    last = lease("10.0.0.1")
    write(tmp_path, **{f"var/lib/dhcp/dhclient.{NAME}.leases": old + last})
    assert resolvers_of(LINK, tmp_path).servers == ("10.0.0.1",)


def test_a_lease_of_ipv6_names_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of the interface is in a block within the lease."""
    monkeypatch.setattr(
        resolvers, "interface_addresses", lambda: {NAME: ["2001:db8::9"]}
    )
    text = """lease6 {
  interface "lo";
  ia-na 12:34:56:78 {
    starts 1700000000;
    iaaddr 2001:db8::9 {
      preferred-life 3600;
    }
  }
  option dhcp6.name-servers 2001:db8::53,2001:db8::54;
}"""
    expected = ["2001:db8::53", "2001:db8::54"]
    assert _leased(text.splitlines(), NAME) == expected
    assert _leased(text.replace('"lo"', '"wlan9"').splitlines(), NAME) == []
