"""Texts of a server or a library, without the token that they may repeat. Pure.

A broken server, or a proxy for debugging, may repeat the headers of a request in its
error. Such a text becomes part of an event, of the log and of the status file.
"""

from __future__ import annotations

from qos_agent.config.faults import masked
from qos_agent.config.settings import CollectorSection

_HIDDEN = "***"
# A shorter password may be an ordinary word of a message.
_MIN_CHARACTERS = 4


def without_token(token: str | None, text: str) -> str:
    """Return a text without the token, and without the password of USER:PASSWORD."""
    password = (token or "").partition(":")[2]
    for secret in (token or "", password):
        if len(secret) >= _MIN_CHARACTERS:
            text = text.replace(secret, _HIDDEN)
    return text


def shown_url(section: CollectorSection) -> str:
    """Return the URL of a server for a message, without a user name in it."""
    return masked(str(section.url))
