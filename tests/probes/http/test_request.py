"""Requests of the web probes: the target in a URL."""

from __future__ import annotations

from qos_agent.probes.http.request import RequestTarget


def test_target_with_an_international_name() -> None:
    """A name outside ASCII becomes punycode, as DNS and TLS require."""
    target = RequestTarget.of("https://münchen.example.id/")
    assert (target.host, target.port) == ("xn--mnchen-3ya.example.id", 443)
