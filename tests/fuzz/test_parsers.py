"""Every parser of bytes from outside, on mutations of the committed corpus."""

from __future__ import annotations

import csv
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple
from pathlib import Path

import pytest

from qos_agent.agent import status as status_file
from qos_agent.config import calendar_file, thresholds
from qos_agent.config.loading import load
from qos_agent.config.sources import Sources
from qos_agent.model import Identity, Phase
from qos_agent.model.calendar import Calendar
from qos_agent.model.errors import InvalidConfigError, ProbeError, StorageError
from qos_agent.model.line_protocol import decode, encode
from qos_agent.noc.register import spreadsheet
from qos_agent.noc.register.faults import InvalidRegisterError
from qos_agent.noc.register.rows import read
from qos_agent.probes.host import sensors
from qos_agent.probes.latency import stamp_packets
from qos_agent.probes.registry import PROBES
from qos_agent.probes.signal import at, mmcli
from qos_agent.probes.signal.radio import Radio
from qos_agent.probes.throughput import iperf3, speedtest
from qos_agent.probes.throughput.backend import Order
from qos_agent.schedule.control import Pauses
from qos_agent.system.child_process import ChildResult
from tests.fuzz.mutations import CAPTURES, answers, at_seeds, fuzz, seeds
from tests.support.clocks import FakeClock

pytestmark = pytest.mark.slow

ORDER = Order(None, None, "server.test", {"down": 10**6}, 10.0)
KEY = b"k" * 32


@contextmanager
def file_of(data: bytes, name: str = "file") -> Iterator[Path]:
    """Write a file in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        yield path


def finite(values: object) -> None:
    """Check that no number is NaN or infinite, which no point can store."""
    for value in astuple(values):  # type: ignore[call-overload]
        assert not isinstance(value, float) or math.isfinite(value)


@fuzz(seeds("line_protocol"))
def test_lines_of_the_journal(data: bytes) -> None:
    """A line is canonical or a ValueError."""
    with suppress(ValueError):
        assert encode(decode(data)) == data


@fuzz(seeds("register"))
def test_spreadsheets(data: bytes) -> None:
    """Rows become stations or faults with a text."""
    with (
        file_of(data) as path,
        suppress(InvalidRegisterError, csv.Error),
        spreadsheet.opened(path) as lines,
    ):
        for row in read(lines, "stations.csv"):
            assert all(map(str, row))


@fuzz(at_seeds())
def test_answers_of_modems(data: bytes) -> None:
    """Whatever a modem answers becomes a reading, or is left out."""
    finite(at.parse(answers(data)))
    at.sim_problem(answers(data))


@fuzz(seeds("iperf3", CAPTURES / "mmcli"))
def test_output_of_mmcli(data: bytes) -> None:
    """A document of any shape becomes a reading, and other text a ProbeError."""
    with suppress(ProbeError):
        document = mmcli._parsed(data)
        mmcli.out_of_service(document)
        radio: Radio = mmcli.parse(document, document, document, document)
        finite(radio)


@fuzz(seeds("iperf3"))
def test_output_of_iperf3(data: bytes) -> None:
    """A report becomes a rate that can be stored, or a ProbeError."""
    with suppress(ProbeError):
        report = iperf3._report(ChildResult(0, None, data, b"", None))
        rate = iperf3._rate(report, "server.test", None)
        finite(rate)
        assert all(v == v for v in rate.fields().values())  # noqa: PLR0124  NaN


@fuzz(seeds("speedtest"))
def test_output_of_speedtest(data: bytes) -> None:
    """A report becomes a rate that can be stored, or a ProbeError."""
    with suppress(ProbeError):
        rate = speedtest._results(data, ORDER)["down"]
        if not isinstance(rate, ProbeError):
            finite(rate)


@fuzz(seeds("stamp"))
def test_stamp_packets(data: bytes) -> None:
    """A packet of either side, with and without a key."""
    for parse in (stamp_packets.parse_request, stamp_packets.parse_reply):
        for key in (None, KEY):
            with suppress(ProbeError):
                parse(data, key)


@fuzz(seeds("calendar"))
def test_calendars(data: bytes) -> None:
    """A calendar is refused, or gives a phase at every moment of every zone."""
    with file_of(data) as path, suppress(InvalidConfigError):
        calendar: Calendar = calendar_file.load(path)
        for zone in ("Asia/Jakarta", "Asia/Jayapura"):
            timeline = calendar.timeline(Identity("demo", "31", "3171", zone, "pi"))
            assert timeline.phase_at(1_700_000_000 * 10**9) in Phase
            timeline.next_change(0)


@fuzz(seeds("thresholds"))
def test_thresholds(data: bytes) -> None:
    """Thresholds are refused, or have finite windows."""
    with file_of(data) as path, suppress(InvalidConfigError):
        for threshold in thresholds.load(path).values():
            assert math.isfinite(threshold.window_s)


@fuzz(seeds("settings"))
def test_settings(data: bytes) -> None:
    """Settings are accepted or refused with a text for each error."""
    with file_of(data, "agent.toml") as path, suppress(InvalidConfigError):
        load(Sources(path, {}, None), PROBES)


@fuzz(seeds("pause"))
def test_pause_files(data: bytes) -> None:
    """A damaged file pauses nothing and never stops the scheduler."""
    with file_of(data, "pause-throughput.json") as path:
        pauses = Pauses(path.parent, FakeClock())
        assert pauses.is_paused("throughput") in {True, False}
        pauses.changes()
        pauses.active()


@fuzz(seeds("pause"))
def test_status_files(data: bytes) -> None:
    """A status of another program is refused."""
    with file_of(data, status_file.FILE_NAME) as path, suppress(StorageError):
        status_file.read(path.parent)


@fuzz(seeds("sensors"))
def test_sensors(data: bytes) -> None:
    """Sensors have plausible values or none."""
    with tempfile.TemporaryDirectory() as name:
        sys = Path(name)
        for file in _SENSORS:
            (sys / file).parent.mkdir(parents=True, exist_ok=True)
            (sys / file).write_bytes(data)
        for kind in ("class/thermal/thermal_zone0", "class/thermal/cooling_device0"):
            (sys / kind / "type").write_text("cpu processor")
        (sys / "class/power_supply/BAT0/type").write_text("Battery")
        celsius = sensors.processor_temperature_c(sys)
        assert celsius is None or -40 < celsius < 150
        assert sensors.throttled(sys) in {True, False, None}
        assert sensors.undervoltage(sys) in {True, False, None}
        share = sensors.power(sys).charge_share
        assert share is None or 0 <= share <= 1


_SENSORS = (
    "class/thermal/thermal_zone0/temp",
    "class/thermal/cooling_device0/cur_state",
    "class/hwmon/hwmon0/name",
    "class/hwmon/hwmon0/temp1_input",
    "class/hwmon/hwmon0/in0_lcrit_alarm",
    "devices/platform/soc/soc:firmware/get_throttled",
    "class/power_supply/BAT0/capacity",
    "class/power_supply/BAT0/status",
    "class/power_supply/AC/online",
    "class/power_supply/AC/scope",
)
