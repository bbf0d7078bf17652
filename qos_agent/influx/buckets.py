"""Retention of a bucket of InfluxDB 2.x, read by influxdb-client's BucketsApi."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from influxdb_client import InfluxDBClient


def retention_s(
    client: InfluxDBClient, bucket: str, org: str, timeout_s: float
) -> float | None:
    """Return how long a bucket keeps its points.

    Return None if the response does not contain it. Infinity means permanently. 1.8
    and 3.x have no buckets, so a 404 is infinity too. Raises urllib3's errors if there
    is no response.
    """
    from influxdb_client.rest import ApiException

    try:
        buckets = client.buckets_api().find_buckets(
            name=bucket,
            org=org,
            _request_timeout=timeout_s * 1000,
            urlopen_kw={"redirect": False},
        )
        rules = buckets.buckets[0].retention_rules
        kept_s = float(rules[0].every_seconds if rules else 0) or math.inf
    except ApiException as error:
        return math.inf if error.status == HTTPStatus.NOT_FOUND else None
    except (
        ArithmeticError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
    ):
        return None
    return kept_s if kept_s > 0 else None
