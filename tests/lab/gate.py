"""The nftables rules of the router, which drop packets and count them.

Every forwarded packet is counted exactly once in its direction, as passed or dropped.
It is counted when it enters the router, before the delay and the rate limit. Packets to
the router itself do not pass these rules, so the gateway replies during a cut.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from tests.lab.namespace import Namespace, command
from tests.lab.shape import DIRECTIONS, Direction

Fate = Literal["passed", "dropped"]
Kind = Literal["packets", "echo_requests", "echo_replies"]

FATES: tuple[Fate, ...] = ("passed", "dropped")
KINDS: tuple[Kind, ...] = ("packets", "echo_requests", "echo_replies")
ENTRANCE: dict[Direction, str] = {"forward": "client", "back": "server"}
# The field that contains the server's port in each direction.
SERVICE_PORT: dict[Direction, str] = {"forward": "dport", "back": "sport"}
LOSS_STEPS = 1_000_000


class Gate:
    """The rules and counters of one router."""

    def __init__(self, router: Namespace) -> None:
        """Install rules that count all packets and drop none."""
        self._router = router
        self._loss: dict[Direction, float] = dict.fromkeys(DIRECTIONS, 0.0)
        self._is_cut = False
        self._nft(_ruleset())

    def set_loss(self, direction: Direction, probability: float) -> None:
        """Drop packets of one direction at random from now on."""
        self._loss[direction] = probability
        self._apply()

    def set_cut(self, is_cut: bool) -> None:
        """Drop all packets, or return to the loss probabilities."""
        self._is_cut = is_cut
        self._apply()

    def counts(self) -> dict[str, int]:
        """Read all counters at once; their names are direction_fate_kind."""
        entries = self._list("counters", "table", "inet", "lab")
        counters = [entry["counter"] for entry in entries if "counter" in entry]
        return {counter["name"]: int(counter["packets"]) for counter in counters}

    def udp_counts(self, direction: Direction, fate: Fate) -> dict[int, int]:
        """Count datagrams by the server's port."""
        entries = self._list("set", "inet", "lab", f"{direction}_{fate}_udp")
        content = next(entry["set"] for entry in entries if "set" in entry)
        elements = [entry["elem"] for entry in content.get("elem", [])]
        return {int(e["val"]): int(e["counter"]["packets"]) for e in elements}

    def _apply(self) -> None:
        lines = [
            line for direction in DIRECTIONS for line in self._fate_rules(direction)
        ]
        self._nft("\n".join(lines))

    def _fate_rules(self, direction: Direction) -> list[str]:
        chain = f"inet lab {direction}_fate"
        rules = [f"flush chain {chain}"]
        probability = 1.0 if self._is_cut else self._loss[direction]
        if probability >= 1:
            rules.append(f"add rule {chain} goto {direction}_dropped")
        elif probability > 0:
            chance = f"numgen random mod {LOSS_STEPS} < {_steps(probability)}"
            rules.append(f"add rule {chain} {chance} goto {direction}_dropped")
        return [*rules, f"add rule {chain} goto {direction}_passed"]

    def _nft(self, rules: str) -> None:
        command(self._router.argv(["nft", "-f", "-"]), rules + "\n")

    def _list(self, *arguments: str) -> list[dict[str, Any]]:
        output = command(self._router.argv(["nft", "-j", "list", *arguments]))
        entries: list[dict[str, Any]] = json.loads(output)["nftables"]
        return entries


def _steps(probability: float) -> int:
    return max(1, round(probability * LOSS_STEPS))


def _ruleset() -> str:
    chains = "\n".join(_direction_rules(direction) for direction in DIRECTIONS)
    # Packets from the delay pass this hook again, but not from these two interfaces.
    entrances = "\n".join(
        f'iifname "{ENTRANCE[direction]}" goto {direction}_fate'
        for direction in DIRECTIONS
    )
    hook = "type filter hook forward priority 0; policy accept;"
    return f"table inet lab {{\n{chains}\nchain gate {{\n{hook}\n{entrances}\n}}\n}}"


def _direction_rules(direction: Direction) -> str:
    ends = "\n".join(_fate_chain(direction, fate) for fate in FATES)
    return f"{ends}\nchain {direction}_fate {{\ngoto {direction}_passed\n}}"


def _fate_chain(direction: Direction, fate: Fate) -> str:
    name = f"{direction}_{fate}"
    counters = "\n".join(f"counter {name}_{kind} {{ }}" for kind in KINDS)
    udp_set = "{ type inet_service; size 65535; flags dynamic; }"
    return f"""{counters}
set {name}_udp {udp_set}
chain {name} {{
counter name {name}_packets
icmp type echo-request counter name {name}_echo_requests
icmp type echo-reply counter name {name}_echo_replies
icmpv6 type echo-request counter name {name}_echo_requests
icmpv6 type echo-reply counter name {name}_echo_replies
add @{name}_udp {{ udp {SERVICE_PORT[direction]} counter }}
{"accept" if fate == "passed" else "drop"}
}}"""
