"""Engines that run the expressions: DuckDB by default, and Spark.

An engine reads the Parquet files of an archive and fills a table of DuckDB with the
result, which has at most a few rows for each station. Sail is an engine that Spark's
own client speaks to, so it needs no code here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from qos_agent.archive.columns import READINGS, columns
from qos_agent.archive.database import quoted, text
from qos_agent.model.errors import OperatorError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Files = Mapping[str, Sequence[Path]]
_SPARK_TYPES = {
    "BIGINT": "BIGINT",
    "DOUBLE": "DOUBLE",
    "VARCHAR": "STRING",
    "BLOB": "BINARY",
}


class Engine(Protocol):
    """Runs a query over the chosen readings of one measurement."""

    def fill(self, name: str, sql: str, measurement: str) -> None:
        """Create the table `name` in DuckDB with the rows of a query."""


def need_ibis() -> None:
    """Raise OperatorError if Ibis is not installed."""
    try:
        import ibis  # noqa: F401  a device does not have it
    except ImportError:
        fix = "pip install 'qos-agent[report]'"
        message = f"ibis-framework: this package is missing. Fix: {fix}."
        raise OperatorError(message) from None


@dataclass(slots=True)
class DuckDbEngine:
    """The engine of one computer."""

    db: DuckDBPyConnection
    files: Files
    condition: str
    _views: set[str] = field(default_factory=set)

    def fill(self, name: str, sql: str, measurement: str) -> None:
        """Create the table `name` in DuckDB with the rows of a query."""
        if measurement not in self._views:
            self._add_view(measurement)
        self.db.execute(f"CREATE OR REPLACE TEMP TABLE {quoted(name)} AS {sql}")

    def _add_view(self, measurement: str) -> None:
        """Make the files readable, with NULL for columns that were added later."""
        kinds = columns(READINGS[measurement]).items()
        typed = ", ".join(f"NULL::{kind} AS {quoted(name)}" for name, kind in kinds)
        listed = ", ".join(map(text, self.files[measurement]))
        self.db.execute(
            f"CREATE OR REPLACE TEMP VIEW {quoted(measurement)} AS"
            f" SELECT * FROM (SELECT {typed} WHERE false UNION ALL BY NAME"
            f" SELECT * FROM read_parquet([{listed}], union_by_name = true,"
            f" hive_partitioning = false)) WHERE {self.condition}"
        )
        self._views.add(measurement)


@dataclass(slots=True)
class SparkEngine:
    """A Spark session, of PySpark or of a Spark Connect server.

    The server must see the files under the same paths. `folder` takes the results.
    """

    db: DuckDBPyConnection
    files: Files
    condition: str
    session: Any
    folder: Path
    _views: set[str] = field(default_factory=set)

    def fill(self, name: str, sql: str, measurement: str) -> None:
        """Create the table `name` in DuckDB with the rows of a query."""
        if measurement not in self._views:
            self._add_view(measurement)
        target = self.folder / name
        self.session.sql(spark_sql(sql)).write.mode("overwrite").parquet(str(target))
        listed = text(target / "*.parquet")
        self.db.execute(
            f"CREATE OR REPLACE TEMP TABLE {quoted(name)} AS"
            f" SELECT * FROM read_parquet({listed}, hive_partitioning = false)"
        )

    def _add_view(self, measurement: str) -> None:
        """Make the files readable, with NULL for columns that were added later."""
        kinds = columns(READINGS[measurement]).items()
        schema = ", ".join(f"`{name}` {_SPARK_TYPES[kind]}" for name, kind in kinds)
        paths = [str(path.absolute()) for path in self.files[measurement]]
        frame = self.session.read.schema(schema).parquet(*paths)
        frame.where(self.condition).createOrReplaceTempView(measurement)
        self._views.add(measurement)


@cache
def spark_sql(sql: str) -> str:
    """Return a query of DuckDB for Spark.

    The compiler of Ibis for Spark needs a session. That for DuckDB does not, and the
    few functions that the expressions use have the same meaning in both.
    """
    import sqlglot

    return sqlglot.transpile(sql, read="duckdb", write="spark")[0]


def spark_session(address: str) -> Any:
    """Return a session of a master (`local[2]`) or a server (`sc://HOST:PORT`).

    Raises OperatorError if PySpark is not installed.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        fix = "pip install 'pyspark>=4,<4.1'"
        message = f"pyspark: this package is missing. Fix: {fix}."
        raise OperatorError(message) from None
    builder = SparkSession.builder.appName("qos-agent report")
    if address.startswith("sc://"):
        session = builder.remote(address).getOrCreate()
    else:
        session = builder.master(address).getOrCreate()
    # A sum above 64 bits must be an error and not another number.
    session.conf.set("spark.sql.ansi.enabled", "true")
    return session
