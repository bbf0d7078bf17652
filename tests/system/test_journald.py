"""Entries of systemd's journal, as its socket receives them."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.agent.log_line import log_fields
from qos_agent.system.journald import JournalHandler, _encoded, is_connected
from tests.support.readings import latency
from tests.support.requirement import require


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    """Return a socket like that of systemd-journald."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "socket"))
        sock.settimeout(5)
        yield sock


@pytest.fixture
def log(journal: socket.socket) -> Iterator[logging.Logger]:
    """Return a logger whose records go to the socket."""
    logger = logging.Logger("qos_agent.test")
    handler = JournalHandler(io.StringIO(), Path(journal.getsockname()))
    logger.addHandler(handler)
    yield logger
    handler.close()


def decoded(entry: bytes) -> dict[str, str]:
    """Return the fields of an entry, read as the protocol describes it."""
    fields = {}
    while entry:
        head, _, entry = entry.partition(b"\n")
        name, equals, value = head.partition(b"=")
        if not equals:
            size = int.from_bytes(entry[:8], "little")
            value, entry = entry[8 : 8 + size], entry[8 + size + 1 :]
        fields[name.decode()] = value.decode()
    return fields


def test_a_record_is_an_entry(journal: socket.socket, log: logging.Logger) -> None:
    """The level is a priority, and the place in the program has fields."""
    log.warning("uplink: %s", "slow", extra={"fields": {"link": "main"}})
    fields = decoded(journal.recv(10_000))
    assert fields["MESSAGE"] == "uplink: slow"
    assert (fields["PRIORITY"], fields["QOS_LINK"]) == ("4", "main")
    assert fields["SYSLOG_IDENTIFIER"] == "qos-agent"
    assert fields["CODE_FILE"] == __file__


def test_a_traceback_is_one_entry(journal: socket.socket, log: logging.Logger) -> None:
    """Its lines stay together, and cannot forge a field."""
    log.error("census: bug", exc_info=ValueError("bad\nPRIORITY=0\n"))
    fields = decoded(journal.recv(10_000))
    assert fields["MESSAGE"].startswith("census: bug\nValueError: bad")
    assert "PRIORITY=0" in fields["MESSAGE"]
    assert fields["PRIORITY"] == "3"


def test_a_reading_has_fields() -> None:
    """Journalctl finds it by measurement, link, outcome and cause."""
    fields = log_fields(latency(received=0))
    assert fields["measurement"] == "latency"
    assert (fields["outcome"], fields["cause"]) == ("failed", "timeout")
    assert {"link", "target"} <= fields.keys()


@given(st.text(), st.text())
def test_any_text_is_one_field(first: str, second: str) -> None:
    """No value changes another field."""
    entry = _encoded("A", first) + _encoded("B", second)
    cleaned = [text.encode("utf-8", "replace").decode() for text in (first, second)]
    assert list(decoded(entry).values()) == cleaned


def test_a_long_message_is_cut(journal: socket.socket, log: logging.Logger) -> None:
    """A datagram has a limit, and a cut entry is better than none."""
    log.error("a" * 1_000_000)
    fields = decoded(journal.recv(100_000))
    assert set(fields["MESSAGE"]) == {"a"}
    assert fields["CODE_LINE"]


def test_without_a_journal_the_stream_gets_the_line(tmp_path: Path) -> None:
    """A journal that restarts loses no line, and blocks nothing."""
    stream, logger = io.StringIO(), logging.Logger("test")
    handler = JournalHandler(stream, tmp_path / "missing")
    logger.addHandler(handler)
    logger.error("kept")
    handler.close()
    assert stream.getvalue() == "kept\n"


def test_a_stopped_journal_does_not_block(
    journal: socket.socket, log: logging.Logger
) -> None:
    """Nobody reads the socket; its queue is full after some entries."""
    for _ in range(5000):
        log.info("line")
    assert journal.recv(10_000)


def test_only_the_stream_to_the_journal_counts(tmp_path: Path) -> None:
    """A child that was redirected inherits the variable, but not the descriptor."""
    with (tmp_path / "output").open("w") as file:
        status = os.fstat(file.fileno())
        name = f"{status.st_dev}:{status.st_ino}"
        assert is_connected(file.fileno(), {"JOURNAL_STREAM": name})
        assert not is_connected(file.fileno(), {"JOURNAL_STREAM": "1:2"})
        assert not is_connected(file.fileno(), {})
        handle = file.fileno()
    assert not is_connected(handle, {"JOURNAL_STREAM": name})


DAEMON = Path("/lib/systemd/systemd-journald")
# A journal of its own: nothing outside this mount namespace changes.
SCRIPT = """
set -e
mount --make-rprivate /
mount -t tmpfs none /run
echo 0123456789abcdef0123456789abcdef > /run/machine-id
[ -e /etc/machine-id ] || touch /etc/machine-id
mount --bind /run/machine-id /etc/machine-id
mkdir -p /run/systemd/journal /run/log/journal
"$1" & daemon=$!
for _ in $(seq 100); do [ -S /run/systemd/journal/socket ] && break; sleep 0.05; done
"$2" -c "$3"
for _ in $(seq 100); do
    found=$(journalctl -D /run/log/journal -q --no-pager -o json QOS_LINK=main || true)
    [ -n "$found" ] && break
    sleep 0.05
done
kill $daemon
echo "$found"
"""
SENDS = """
import logging, sys
from qos_agent.system.journald import JournalHandler
log = logging.Logger("qos_agent.test")
log.addHandler(JournalHandler(sys.stderr))
log.warning("two\\nlines", extra={"fields": {"link": "main"}})
"""


@pytest.mark.lab
def test_the_journal_of_systemd_finds_an_entry_by_its_field() -> None:
    """The real daemon stores the entry, and journalctl finds it."""
    require(os.geteuid() == 0, "root", "run the tests as root")
    require(DAEMON.exists(), "systemd-journald", "apt-get install systemd")
    shell = ["unshare", "-m", "bash", "-c", SCRIPT, "bash"]
    command = [*shell, str(DAEMON), sys.executable, SENDS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    entry = json.loads(done.stdout)
    assert (entry["MESSAGE"], entry["PRIORITY"]) == ("two\nlines", "4")
    assert (entry["QOS_LINK"], entry["SYSLOG_IDENTIFIER"]) == ("main", "qos-agent")
