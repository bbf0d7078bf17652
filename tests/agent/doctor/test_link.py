"""Checks of a link, in the laboratory and with folders as root."""

from __future__ import annotations

import json
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from qos_agent.agent.doctor import link as checks
from qos_agent.agent.doctor import servers
from qos_agent.agent.doctor.check import Health
from qos_agent.model import Link
from qos_agent.probes.throughput import BACKENDS
from tests.agent.doctor.support import of

MAIN = Link("main", "unknown", None, None)


def test_a_missing_interface_is_renamed_by_its_fix(tmp_path: Path) -> None:
    """The result lists what exists, and the command changes the configuration."""
    file = tmp_path / "agent.toml"
    file.write_text('[[links]]\nname = "main"\ninterface = "nonesuch0"\n')
    link = replace(MAIN, interface="nonesuch0")
    check = checks.binding(link, replace(of(tmp_path), file=file))
    assert check.health is Health.BAD
    assert "there is no interface nonesuch0" in check.result
    if check.fix.startswith("plug in"):
        pytest.skip("this machine has no other interface")
    command = check.fix.replace("sudo ", "")
    subprocess.run(command, shell=True, check=True)
    assert "nonesuch0" not in file.read_text()


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("run/NetworkManager", "sudo nmcli device connect wwan0"),
        ("run/systemd/netif/links/7", "networkctl reconfigure wwan0"),
        ("run/dhcpcd", "sudo systemctl restart dhcpcd"),
        ("run/network/ifstate", "sudo ifup --force wwan0"),
        ("nothing", "sudo systemctl enable --now systemd-networkd"),
    ],
)
def test_the_program_that_configures_interfaces_is_used(
    path: str, command: str, tmp_path: Path
) -> None:
    """The fix lasts over a reboot, because that program starts at boot."""
    index = tmp_path / "sys/class/net/wwan0/ifindex"
    index.parent.mkdir(parents=True)
    index.write_text("7\n")
    (tmp_path / path).mkdir(parents=True)
    assert command in checks.reconnect("wwan0", tmp_path)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("run/systemd/resolve", "/etc/systemd/resolved.conf.d/qos-agent.conf"),
        ("run/NetworkManager", "/etc/NetworkManager/conf.d/qos-agent.conf"),
        ("nothing", "sudo tee /etc/resolv.conf"),
    ],
)
def test_the_resolver_is_set_where_it_lasts(
    path: str, text: str, tmp_path: Path
) -> None:
    """A file of the program that owns resolv.conf is written, not resolv.conf."""
    (tmp_path / path).mkdir(parents=True)
    assert text in checks.resolver_fix(tmp_path)


@pytest.mark.parametrize(
    ("backends", "health"),
    [
        (["iperf3"], Health.BAD),
        (["http", "iperf3"], Health.WARN),
        (["http"], Health.OK),
    ],
)
def test_throughput_reports_licences_and_missing_programs(
    backends: list[str],
    health: Health,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The result has each backend's licence, and a missing iperf3 has a fix."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = f"http://127.0.0.1:{listening.getsockname()[1]}"
        values = {"server": server, "backends": backends}
        examined = of(tmp_path, throughput={**values, "iperf3_server": "127.0.0.1"})
        check = servers.throughput(replace(MAIN, interface="lo"), examined)
    assert check.health is health, check
    for backend in backends:
        assert BACKENDS[backend].licence in check.result
    assert check.fix == ("" if health is Health.OK else "sudo apt-get install iperf3")


def test_a_measurement_server_that_is_down_is_named(tmp_path: Path) -> None:
    """A connection is tried over the link."""
    examined = of(tmp_path, throughput={"server": "http://127.0.0.1:9"})
    check = servers.throughput(replace(MAIN, interface="lo"), examined)
    assert check.health is Health.BAD
    assert "http://127.0.0.1:9: refused" in check.result


def test_a_silent_reflector_is_bad(tmp_path: Path) -> None:
    """The check sends authenticated packets as the probe does."""
    target = {"name": "far", "host": "127.0.0.1", "layer": "anchor", "port": 9}
    examined = of(tmp_path, targets=[{**target, "method": "stamp"}])
    check = checks.reflectors(replace(MAIN, interface="lo"), examined)
    assert check.health is Health.BAD
    assert json.dumps(check.result).startswith('"no answer: far ')


@pytest.mark.parametrize(
    ("interface", "named", "expected"),
    [("wwan0", [], True), ("eth0", [], False), ("eth0", [{"link": "main"}], True)],
)
def test_a_modem_is_named_by_the_settings_or_by_its_interface(
    interface: str, named: list[dict[str, str]], expected: bool, tmp_path: Path
) -> None:
    """Nobody is sent to a SIM that the link does not have."""
    links = [{"name": "main", "interface": interface}]
    examined = of(tmp_path, links=links, signal={"modems": named})
    link = replace(MAIN, interface=interface)
    assert checks.has_modem(link, examined) is expected
    gateway = checks.gateway(replace(link, interface=f"{interface}9"), examined)
    assert gateway.health is Health.BAD
    assert ("data package" in gateway.result) is expected


def test_a_wired_link_without_internet_names_the_router(tmp_path: Path) -> None:
    """The gateway answers and nothing else does."""
    near = {"name": "near", "host": "127.0.0.1", "layer": "gateway"}
    far = {"name": "far", "host": "127.0.0.1", "layer": "anchor"}
    tcp = {"method": "tcp", "port": 9}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        answering = {"method": "tcp", "port": listening.getsockname()[1]}
        examined = of(tmp_path, targets=[near | answering, far | tcp])
        check = checks.targets(replace(MAIN, interface="lo"), examined)
    assert check.health is Health.BAD
    assert check.fix.startswith("check the connection of the router behind lo")
