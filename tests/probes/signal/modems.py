"""Helpers for tests of modems: recordings, a fake mmcli, a fake serial port."""

from __future__ import annotations

import json
import os
import pty
import re
import threading
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from qos_agent.config.settings import ModemSection, SignalSection
from qos_agent.model import Link, Task, Value
from qos_agent.model.errors import ProbeError
from qos_agent.probes.signal.probe import Signal
from qos_agent.probes.signal.radio import Radio
from tests.probes.time_left import TimeLeft

CAPTURES = Path(__file__).parents[2] / "captures"
MMCLI = sorted((CAPTURES / "mmcli").glob("*.json"))
AT = sorted((CAPTURES / "at").glob("*.json"))
LINK = Link("sim1", "telkomsel", interface="wwan0")
TASK = Task("signal", 0, LINK)
NUMBER = "000000000000001"  # the IMEI of every capture
FICTITIOUS = {NUMBER, "0" * 40, "62000000000001", "179769313486231570000"}
# IMEI, IMSI and ICCID have 15 to 20 digits; a MAC address has six octets.
IDENTITY = re.compile(r"\d{14,}|(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", re.I)

# A fake mmcli that prints files of a folder and appends its arguments to `calls`.
FAKE = """#!/bin/sh
echo "$*" >> "{folder}/calls"
case "$*" in
  *-L*) cat "{folder}/list" ;;
  *--signal-setup*) cp "{folder}/signal-after" "{folder}/signal"
     echo "successfully setup extended signal information" ;;
  *--signal-get*) cat "{folder}/signal" || exit 1 ;;
  *--location-get*) cat "{folder}/location" || exit 1 ;;
  *--get-cell-info*) cat "{folder}/cells" || exit 1 ;;
  *"-m /M/"*) cat "{folder}/modem$(basename "$3")" ;;
esac
"""


NO_MANAGER = """
echo "error: couldn't find the ModemManager process in the bus" >&2
exit 1"""


def capture(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((CAPTURES / "mmcli" / name).read_text())
    return loaded


def radio_fields(radio: Radio) -> dict[str, object]:
    values = asdict(radio)
    return {k: v for k, v in values.items() if v is not None and k != "reader"}


class FakeMmcli:
    """A program named mmcli, first on PATH, that prints the files of a folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.script(FAKE.format(folder=folder))
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def script(self, text: str) -> None:
        program = self.folder / "mmcli"
        program.write_text(text)
        program.chmod(0o755)

    def answer(
        self,
        *modems: Any,
        signal: Any = None,
        location: Any = None,
        cells: Any = None,
    ) -> None:
        paths = [f"/M/{number}" for number in range(len(modems))]
        self.put("list", {"modem-list": paths})
        for number, modem in enumerate(modems):
            self.put(f"modem{number}", modem)
        files = {"signal": signal, "location": location, "cells": cells}
        for name, content in files.items():
            if content is not None:
                self.put(name, content)

    def put(self, name: str, content: Any) -> None:
        (self.folder / name).write_text(json.dumps(content))


def measured(section: SignalSection | None = None) -> Mapping[str, Value]:
    probe = Signal(section or SignalSection())
    (sample,) = probe.measure(TASK, TimeLeft(15)).samples
    return {**sample.fields, **sample.tags}


def cause(section: SignalSection | None = None, seconds: float = 15) -> str:
    with pytest.raises(ProbeError) as raised:
        Signal(section or SignalSection()).measure(TASK, TimeLeft(seconds))
    assert NUMBER not in str(raised.value)
    return raised.value.cause


def talkative(answers: Mapping[str, str]) -> Callable[[str], bytes]:
    """Return the replies of a modem that adds its identity to every answer."""
    identity = f"+CGSN: {NUMBER}\r\nIMEI: {NUMBER}\r\n+CCID: 8900{NUMBER}\r\n"

    def reply(command: str) -> bytes:
        answer = answers.get(command, "OK\n").replace("\n", "\r\n")
        return f"\r\n{identity}{answer}".encode()

    return reply


@contextmanager
def serial_modem(reply: Callable[[str], bytes]) -> Iterator[tuple[Path, list[str]]]:
    """Answer commands on a pseudo-terminal; yield its path and the commands."""
    controller, port = pty.openpty()
    tty.setraw(port)
    commands: list[str] = []

    def serve() -> None:
        received = b""
        while True:
            try:
                received += os.read(controller, 100)
            except OSError:
                return
            while b"\r" in received:
                command, _, received = received.partition(b"\r")
                commands.append(command.decode())
                os.write(controller, reply(command.decode()))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield Path(os.ttyname(port)), commands
    finally:
        os.close(port)
        thread.join(5)
        os.close(controller)


def no_mmcli(port: Path, monkeypatch: pytest.MonkeyPatch) -> SignalSection:
    monkeypatch.setenv("PATH", "/nonexistent")
    return SignalSection(modems=(ModemSection(link="sim1", serial_port=port),))
