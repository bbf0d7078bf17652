"""Deeply nested JSON from outside is a wrong output, and no internal error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from qos_agent.agent import status
from qos_agent.model.errors import ProbeError, StorageError
from qos_agent.probes.signal import mmcli
from qos_agent.probes.throughput import iperf3, speedtest
from qos_agent.schedule.control import Pauses
from qos_agent.system.child_process import ChildResult
from tests.probes.throughput.test_conformance import order
from tests.support.clocks import FakeClock

NESTED = b"[" * 100_000


def _iperf3() -> object:
    return iperf3._report(ChildResult(0, None, NESTED, b"", None))


def _speedtest() -> object:
    return speedtest._results(NESTED, order("http://127.0.0.1"))


def _mmcli() -> object:
    return mmcli._parsed(NESTED)


@pytest.mark.parametrize("read", [_iperf3, _speedtest, _mmcli])
def test_output_of_a_child_process(read: Callable[[], object]) -> None:
    """The reading fails with the cause for unusable output."""
    with pytest.raises(ProbeError, match="child_output"):
        read()


def test_files_of_the_runtime_folder(tmp_path: Path) -> None:
    """A damaged file pauses nothing, and `status` reports it."""
    (tmp_path / "pause-all.json").write_bytes(NESTED)
    (tmp_path / status.FILE_NAME).write_bytes(NESTED)
    assert list(Pauses(tmp_path, FakeClock()).active()) == []
    with pytest.raises(StorageError, match="damaged"):
        status.read(tmp_path)
