"""The agent's start: time of `--help` and of the first reading, memory, processor time.

`python -m bench.startup` prints medians of several runs. It runs in a laboratory, so
that nothing leaves this machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.table import show, spread
from tests.lab.network import Lab
from tests.lab.shape import Shape

_RUNS = 7
_LONG_S = 60


def help_ms() -> float:
    """Return the wall time of `qos-agent --help`."""
    start_s = time.perf_counter()
    command = [str(Path(sys.executable).parent / "qos-agent"), "--help"]
    subprocess.run(command, check=True, capture_output=True)
    return (time.perf_counter() - start_s) * 1000


def _run(lab: Lab, folder: str, for_s: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "qos_agent", "run", "--for", f"{for_s}s"]
    command += ["--without", "throughput"]
    environment = os.environ | {"QOS_AGENT_JOURNAL__FOLDER": folder}
    return lab.popen(command, "client", stdout=subprocess.PIPE, env=environment)


def first_reading_s(lab: Lab) -> tuple[float, float]:
    """Return the time from exec to the first reading and to the first train on disk."""
    with tempfile.TemporaryDirectory() as folder:
        start_s = time.perf_counter()
        agent = _run(lab, folder, 20)
        first = train = None
        assert agent.stdout is not None
        for line in agent.stdout:
            if first is None and b" host " in line:
                first = time.perf_counter() - start_s
            if b" latency " in line:
                train = time.perf_counter() - start_s
                break
        agent.terminate()
        agent.communicate()
    assert first is not None
    assert train is not None
    return first, train


def footprint(lab: Lab) -> tuple[float, float, float]:
    """Return peak MiB, share of a core, and MB written in a run of one minute."""
    with tempfile.TemporaryDirectory() as folder:
        agent = _run(lab, folder, _LONG_S)
        time.sleep(_LONG_S - 5)
        status = Path(f"/proc/{agent.pid}/status").read_text()
        peak_kib = int(status.split("VmHWM:")[1].split()[0])
        ticks = Path(f"/proc/{agent.pid}/stat").read_text().rsplit(")", 1)[1].split()
        used_s = (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
        written = Path(f"/proc/{agent.pid}/io").read_text()
        written_bytes = int(written.split("write_bytes:")[1].split()[0])
        agent.communicate()
    return peak_kib / 1024, used_s / (_LONG_S - 5), written_bytes / 1e6


def main() -> None:
    """Print the table."""
    helps = [help_ms() for _ in range(_RUNS)]
    with Lab(Shape(delay_ms=20)) as lab:
        starts = [first_reading_s(lab) for _ in range(_RUNS)]
        memory_mib, share, written_mb = footprint(lab)
    show(
        "Start and size",
        ("figure", "measured", "goal"),
        [
            ("--help", spread(helps, "ms", 0), "150 ms"),
            ("first reading", spread([s for s, _ in starts], "s", 2), "5 s"),
            ("first train", spread([t for _, t in starts], "s", 2), ""),
            ("peak memory", f"{memory_mib:.1f} MiB (n 1)", "64 MiB"),
            (
                "processor, of one core",
                f"{share:.2%} (n 1, 5 targets every 10 s, one minute with the start)",
                "1 % averaged",
            ),
            ("written", f"{written_mb:.2f} MB in a minute (commit every 1 s)", ""),
        ],
    )


if __name__ == "__main__":
    main()
