"""Delivery of simulated points to a file, or to collectors at a limited rate."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

from qos_agent.influx.writer import Writer
from qos_agent.noc.settings import NocSettings, ShardSection
from qos_agent.noc.simulator.run import Batch, Lines, Nation


def write_key(nation: Nation, path: Path) -> None:
    """Write the injected faults as JSON."""
    path.write_text(json.dumps(nation.answer_key(), indent=1), encoding="utf-8")


def to_file(nation: Nation, path: Path, stop: threading.Event) -> Iterator[Batch]:
    """Write the lines in the order of their arrival, until `stop` is set."""
    with path.open("wb") as file:
        for batch in nation.parts():
            for lines in batch.lines.values():
                file.writelines(line + b"\n" for line in lines)
            yield batch
            if stop.is_set():
                return


def to_collectors(
    nation: Nation,
    settings: NocSettings,
    rate: float,
    speed: float,
    stop: threading.Event,
    now_mono: Callable[[], float] = time.monotonic,
) -> Iterator[Batch]:
    """Deliver each minute when it has passed, at most `rate` points per second.

    `speed` is a factor on real time; 0 does not wait. Minutes before the start of the
    scenario are delivered without waiting. The next part is calculated while one is
    being sent. Once `stop` is set nothing more is sent, and every batch that was
    yielded is written. Raises WriteError.
    """
    started_mono = now_mono()
    with Delivery(settings, stop.wait) as delivery:
        for batch in nation.parts():
            if speed and batch.minute >= 0:
                due_s = (batch.minute + 1) * 60 / speed
                stop.wait(max(0.0, due_s - (now_mono() - started_mono)))
            if stop.is_set():
                break
            sent_mono = now_mono()
            delivery.send(batch.lines)
            stop.wait(max(0.0, batch.count / rate - (now_mono() - sent_mono)))
            yield batch
            if stop.is_set():
                break
        delivery.finish()


class Delivery:
    """Writes lines to the collector of their province while the next are calculated."""

    def __init__(self, settings: NocSettings, wait: Callable[[float], object]) -> None:
        self._settings = settings
        self._writers = {shard: Writer(shard, wait) for shard in settings.collectors}
        self._executor = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(wait=True)
        for writer in self._writers.values():
            writer.close()

    def finish(self) -> None:
        """Wait until all lines are written. Raises WriteError."""
        if self._writing is not None:
            self._writing.result()

    def send(self, lines: Lines) -> None:
        """Write lines after the previous ones, in the background. Raises WriteError."""
        self.finish()
        self._writing = self._executor.submit(self._write, lines)

    def _write(self, lines: Lines) -> None:
        for province, province_lines in lines.items():
            shard: ShardSection | None = self._settings.shard_of(province)
            if shard is not None:
                self._writers[shard].write(province_lines)
