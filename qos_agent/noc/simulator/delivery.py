"""Where a simulated nation's points go: a file, or collectors at a bounded rate."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from qos_agent.noc.settings import NocSettings
from qos_agent.noc.simulator.run import Batch, Nation
from qos_agent.noc.writing import Writer


def write_key(made: Nation, path: Path) -> None:
    """The planted events, as JSON."""
    path.write_text(json.dumps(made.answer_key(), indent=1), encoding="utf-8")


def to_file(made: Nation, path: Path) -> Iterator[Batch]:
    """Write the lines in the order of their arrival."""
    with path.open("wb") as file:
        for batch in made.run():
            for lines in batch.lines.values():
                file.writelines(line + b"\n" for line in lines)
            yield batch


def to_collectors(
    made: Nation,
    settings: NocSettings,
    rate: float,
    speed: float,
    wait: Callable[[float], object] = time.sleep,
) -> Iterator[Batch]:
    """Deliver each minute when it has passed; `speed` 0 does not wait for it.

    `rate` is the most points a second. Raises WriteError.
    """
    writers = {shard: Writer(shard) for shard in settings.collectors}
    began_mono = time.monotonic()
    for batch in made.run():
        if speed:
            due_s = (batch.minute + 1) * 60 / speed
            wait(max(0.0, due_s - (time.monotonic() - began_mono)))
        sent_mono = time.monotonic()
        for province, lines in batch.lines.items():
            shard = settings.shard_of(province)
            if shard is not None:
                writers[shard].write(lines)
        wait(max(0.0, batch.count / rate - (time.monotonic() - sent_mono)))
        yield batch
