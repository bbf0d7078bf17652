"""Where a simulated nation's points go: a file, or collectors at a bounded rate."""

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


def write_key(made: Nation, path: Path) -> None:
    """The planted events, as JSON."""
    path.write_text(json.dumps(made.answer_key(), indent=1), encoding="utf-8")


def to_file(made: Nation, path: Path, stop: threading.Event) -> Iterator[Batch]:
    """Write the lines in the order of their arrival, until told to stop."""
    with path.open("wb") as file:
        for batch in made.parts():
            for lines in batch.lines.values():
                file.writelines(line + b"\n" for line in lines)
            yield batch
            if stop.is_set():
                return


def to_collectors(
    made: Nation,
    settings: NocSettings,
    rate: float,
    speed: float,
    stop: threading.Event,
    now_mono: Callable[[], float] = time.monotonic,
) -> Iterator[Batch]:
    """Deliver each minute when it has passed; `speed` 0 does not wait for it.

    `rate` is the most points a second. What was measured before the start is not waited
    for. While one part is on its way the next is made. Told to stop, it sends no more;
    what was yielded is written. Raises WriteError.
    """
    began_mono = now_mono()
    with Delivery(settings, stop.wait) as delivery:
        for batch in made.parts():
            if speed and batch.minute >= 0:
                due_s = (batch.minute + 1) * 60 / speed
                stop.wait(max(0.0, due_s - (now_mono() - began_mono)))
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
    """Writes to the collector of each province, one part behind."""

    def __init__(self, settings: NocSettings, wait: Callable[[float], object]) -> None:
        self._settings = settings
        self._writers = {shard: Writer(shard, wait) for shard in settings.collectors}
        self._hand = ThreadPoolExecutor(1)
        self._under_way: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hand.shutdown(wait=True)
        for writer in self._writers.values():
            writer.close()

    def finish(self) -> None:
        """Wait until what was sent is written. Raises WriteError."""
        if self._under_way is not None:
            self._under_way.result()

    def send(self, lines: Lines) -> None:
        """Start to write, when what was sent before is written. Raises WriteError."""
        self.finish()
        self._under_way = self._hand.submit(self._write, lines)

    def _write(self, lines: Lines) -> None:
        for province, some in lines.items():
            shard: ShardSection | None = self._settings.shard_of(province)
            if shard is not None:
                self._writers[shard].write(some)
