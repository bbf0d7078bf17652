"""A line for users who may not send ICMP echoes, with the command that allows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

    from qos_agent.config.settings import Settings
    from qos_agent.system.language import Translator


def print_ping_note(
    settings: Settings, disabled: Container[str], translate: Translator
) -> None:
    """Print the line if a target needs ICMP and this user may not send it."""
    from qos_agent.probes.latency.icmp import FIX, is_permitted

    icmp = [target for target in settings.target_list() if target.method == "icmp"]
    if "latency" in disabled or not icmp or is_permitted():
        return
    text = (
        "This user may not send pings. Latency is measured with TCP handshakes, and "
        "only of targets with a port. Fix: {command}"
    )
    print(translate(text, command=FIX), flush=True)
