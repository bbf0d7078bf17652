"""Hosts and ports in texts, with IPv6 addresses in brackets."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.model.addresses import in_url, split_host_port


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("iperf.example", "iperf.example", None),
        ("iperf.example:5202", "iperf.example", 5202),
        ("192.0.2.1:1", "192.0.2.1", 1),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("[2001:db8::1]:5201", "2001:db8::1", 5201),
        ("[::ffff:192.0.2.1]:5201", "::ffff:192.0.2.1", 5201),
        ("[fe80::1%wwan0]:5201", "fe80::1%wwan0", 5201),
    ],
)
def test_host_and_port(text: str, host: str, port: int | None) -> None:
    """The host is without brackets, ready for a socket."""
    assert split_host_port(text) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":1",
        "a:b",
        "a:0",
        "a:65536",
        "a:1:2",
        "[]",
        "[a]",
        "[192.0.2.1]",
        "a b",
        "a/b",
        "2001:db8::1",
        "2001:db8::1:5201",
        "[2001:db8::1",
        "[2001:db8::1]5201",
        "[::1]:",
        "[",
    ],
)
def test_other_texts_are_errors(text: str) -> None:
    """An IPv6 address without brackets is ambiguous if a port follows."""
    with pytest.raises(ValueError, match=r"brackets|from 1 to 65535"):
        split_host_port(text)


@given(st.text() | st.from_regex(r"\[?[0-9a-f:.%]+\]?(:[0-9]+)?", fullmatch=True))
def test_every_text_is_a_host_or_an_error(text: str) -> None:
    """A host and a port that were read can be written again."""
    with suppress(ValueError):
        host, port = split_host_port(text)
        again = in_url(host) if port is None else f"{in_url(host)}:{port}"
        assert split_host_port(again) == (host, port)
