"""The interface counter of a test goes on if a driver resets its counters."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qos_agent.model.errors import ProbeError
from qos_agent.probes.throughput import interface_counter
from qos_agent.probes.throughput.interface_counter import InterfaceCounter
from qos_agent.system.network import InterfaceCount


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Return files that replace the counters of eth0, which has received 1000 bytes."""
    received, sent = tmp_path / "rx_bytes", tmp_path / "tx_bytes"
    received.write_text("1000\n")
    sent.write_text("50\n")
    monkeypatch.setattr(
        interface_counter,
        "interface_count",
        lambda name: InterfaceCount(name, 2, 1000, 50),
    )
    monkeypatch.setattr(
        interface_counter,
        "_open_counters",
        lambda _: [os.open(path, os.O_RDONLY) for path in (received, sent)],
    )
    return received, sent


def test_a_reset_loses_no_byte_and_the_limit_holds(files: tuple[Path, Path]) -> None:
    """The total is what was counted before and after the reset; it never decreases."""
    received, _ = files
    with InterfaceCounter("eth0") as counter:
        received.write_text("5000\n")
        assert (counter.received(), counter.moved()) == (4000, 4000)
        received.write_text("300\n")
        assert counter.received() == 4300
        received.write_text("700\n")
        assert counter.received() == 4700


def test_a_counter_of_32_bits_wraps(files: tuple[Path, Path]) -> None:
    """Kernels and drivers of 32 bits count on from zero after 4.3 GB."""
    received, _ = files
    with InterfaceCounter("eth0") as counter:
        received.write_text(f"{2**32 - 1000}\n")
        before = counter.received()
        received.write_text("500\n")
        assert counter.received() == before + 1500


def test_a_counter_without_a_number_is_a_lost_interface(
    files: tuple[Path, Path],
) -> None:
    """A file that is empty or has other text is like an interface that is gone."""
    received, _ = files
    with InterfaceCounter("eth0") as counter:
        received.write_text("n/a\n")
        with pytest.raises(ProbeError, match="link_down"):
            counter.received()
