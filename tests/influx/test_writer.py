"""Lines to a database that refuses some of them: all the others are written."""

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


def refusing(
    written: list[bytes], *, refused: bool
) -> Callable[[Sequence[bytes]], None]:
    """A write that fails on the first and the second part."""

    def write(part: Sequence[bytes]) -> None:
        if part in PARTS[:2]:
            raise WriteError("sums", str(part[0]), refused=refused)
        written.extend(part)

    return write


def test_past_a_refused_part_the_others_are_written_and_the_first_is_told() -> None:
    """One bad point of a minute costs no other, and none of them is forgotten."""
    written: list[bytes] = []
    with pytest.raises(WriteError, match="b'a'"):
        write_each(refusing(written, refused=True), PARTS)
    assert written == [b"d"]


def test_a_database_that_takes_nothing_is_not_tried_with_the_rest() -> None:
    """Each part would wait for it, and a minute has no time for that."""
    written: list[bytes] = []
    parts = iter(PARTS)
    with pytest.raises(WriteError, match="b'a'"):
        write_each(refusing(written, refused=False), parts)
    assert (written, list(parts)) == ([], PARTS[1:])


def test_what_is_written_is_counted_by_the_line() -> None:
    """Parts have any number of lines."""
    written: list[bytes] = []
    assert write_each(written.extend, PARTS) == len(written) == 4


def test_where_the_first_half_is_refused_the_second_is_written(
    influxdb: Database, front: MakeFront
) -> None:
    """A body too large is halved; a point that is refused then stops no other."""
    between = front(influxdb.url)
    refusal = Status(400, b'{"error": "no"}', {"Content-Type": "application/json"})
    between.script(Status(413), refusal, Pass())
    given = {**influxdb.section, "url": between.url}
    writer = Writer(CollectorSection.model_validate(given), wait=lambda _: None)
    with pytest.raises(WriteError) as told:
        writer.write([nation.beat(s, START_NS) for s in (ONE, OTHER)])
    writer.close()
    assert told.value.refused
    assert [row["station"] for row in influxdb.rows("agent")] == [OTHER]
