"""What a test needs of the machine: a skip that says how to get it, or a failure."""

from __future__ import annotations

import os

import pytest


def require(condition: bool, what: str, command: str) -> None:
    """Skip the test where `what` is missing; fail instead with QOS_REQUIRE_ALL=1.

    CI sets the variable: there, a skipped laboratory or server test is a failure.
    """
    if condition:
        return
    message = f"{what} is missing; get it: {command}"
    if os.environ.get("QOS_REQUIRE_ALL") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
