"""Requirements of tests: without them a test is skipped, or fails in CI."""

from __future__ import annotations

import os

import pytest


def require(condition: bool, what: str, command: str) -> None:
    """Skip the test if `what` is missing; fail instead with QOS_REQUIRE_ALL=1.

    CI sets the variable, so that no laboratory or server test is skipped there.
    """
    if condition:
        return
    message = f"{what} is missing. Fix: {command}"
    if os.environ.get("QOS_REQUIRE_ALL") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
