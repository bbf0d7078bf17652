"""The result of one transfer, shared by page loads and form uploads."""

from __future__ import annotations

from collections.abc import Callable

from qos_agent.model import ProbeResult, Sample, Value
from qos_agent.model.errors import ProbeError


def result_of(transfer: Callable[[dict[str, Value]], None]) -> ProbeResult:
    """Run a transfer, which fills a dict of fields, and return them as one sample.

    After a ProbeError the sample contains the fields that were filled before it.
    """
    fields: dict[str, Value] = {}
    try:
        transfer(fields)
    except ProbeError as error:
        return ProbeResult((Sample({}, fields),), error.cause, error.detail)
    return ProbeResult((Sample({}, fields),))
