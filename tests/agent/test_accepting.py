"""When a device that was set up is accepted."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from qos_agent.agent.accepting import judge, receipt
from qos_agent.agent.doctor import Check, Health
from qos_agent.agent.status import Latest

GOOD = Latest("latency", {"link": "main"}, 1, "ok", None, {})
FAILED = Latest("latency", {"link": "main"}, 1, "failed", "timeout", {})
OK = Check("disk", Health.OK, "ok")
WARNING = Check("clock", Health.WARN, "not synchronised")
BAD = Check("gateway main", Health.BAD, "no default route", "ip route")


def test_good_checks_and_a_good_reading_are_accepted() -> None:
    """A warning does not prevent the acceptance."""
    result = judge([OK, WARNING], [GOOD], ["main"], "seed")
    assert result.failing is None
    assert result.detail() == f"accepted, receipt {result.receipt}"


def test_the_first_failing_line_is_the_reason() -> None:
    """A bad check comes before a missing reading, and its fix is part of the line."""
    result = judge([OK, BAD], [], ["main"], "seed")
    assert result.failing == "gateway main: no default route. Fix: ip route"
    assert result.detail().startswith("not accepted, receipt ")


def test_each_link_needs_a_good_reading() -> None:
    """Failed readings and readings of another link do not count."""
    assert judge([OK], [GOOD, FAILED], ["main", "second"], "").failing == (
        "second: no measurement succeeded. Fix: qos-agent doctor"
    )
    assert judge([OK], [FAILED], ["main"], "").failing is not None


@given(text=st.text())
def test_a_receipt_has_no_characters_that_people_confuse(text: str) -> None:
    """Eight characters in two groups, the same for the same text."""
    assert re.fullmatch(r"[2-9A-HJKMNP-Z]{4}-[2-9A-HJKMNP-Z]{4}", receipt(text))
    assert receipt(text) == receipt(text)
