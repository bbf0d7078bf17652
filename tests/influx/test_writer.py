"""If a database rejects some lines, all the others are still written."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.writer import WriteError, Writer, write_each
from tests.noc import nation
from tests.noc.nation import START_NS
from tests.servers.answers import Pass, Status
from tests.servers.database import Database
from tests.servers.fixtures import MakeFront

ONE, OTHER = "3171010001001", "3171010001002"
PARTS = [[b"a"], [b"b", b"c"], [b"d"]]


def failing(
    written: list[bytes], *, refused: bool
) -> Callable[[Sequence[bytes]], None]:
    """Return a write function that fails for the first and the second part."""

    def write(part: Sequence[bytes]) -> None:
        if part in PARTS[:2]:
            raise WriteError("rollups", str(part[0]), refused=refused)
        written.extend(part)

    return write


def test_after_a_rejected_part_the_others_are_written() -> None:
    """The first rejection is raised at the end."""
    written: list[bytes] = []
    with pytest.raises(WriteError, match="b'a'"):
        write_each(failing(written, refused=True), PARTS)
    assert written == [b"d"]


def test_after_a_failed_part_the_others_are_not_tried() -> None:
    """Waiting for each part would take longer than a minute."""
    written: list[bytes] = []
    parts = iter(PARTS)
    with pytest.raises(WriteError, match="b'a'"):
        write_each(failing(written, refused=False), parts)
    assert (written, list(parts)) == ([], PARTS[1:])


def test_written_lines_are_counted() -> None:
    """Parts may have different numbers of lines."""
    written: list[bytes] = []
    assert write_each(written.extend, PARTS) == len(written) == 4


def test_the_second_half_is_written_if_the_first_is_rejected(
    influxdb: Database, front: MakeFront
) -> None:
    """A body that is too large is halved, and each half is sent."""
    between = front(influxdb.url)
    rejection = Status(
        400, b'{"error": "field type conflict"}', {"Content-Type": "application/json"}
    )
    between.script(Status(413), rejection, Pass())
    section = {**influxdb.section, "url": between.url}
    writer = Writer(CollectorSection.model_validate(section), wait=lambda _: None)
    with pytest.raises(WriteError) as error:
        writer.write([nation.beat(s, START_NS) for s in (ONE, OTHER)])
    writer.close()
    assert error.value.refused
    assert [row["station"] for row in influxdb.rows("agent")] == [OTHER]
