"""The parts of a bundle that the operations centre has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from qos_agent.archive.bundle.register import StationKey
from qos_agent.evidence.signer import Signer


def _nothing(_origin: str) -> Sequence[bytes]:
    return ()


def _no_proof(_origin: str) -> bytes | None:
    return None


def _no_stations(_codes: Iterable[str]) -> bytes | None:
    return None


@dataclass(frozen=True, slots=True)
class Centre:
    """Keys of devices, and the parts that witness and register have.

    `witness` has the two public keys as text. `roots` are national roots by file name,
    with their timestamps. The functions return the cosigned notes, the resumptions and
    the proof of a journal, and the rows of stations in the register.
    """

    keys: Sequence[StationKey]
    witness: str | None = None
    roots: Mapping[str, bytes] = field(default_factory=dict)
    calendar: bytes | None = None
    cosigned: Callable[[str], Sequence[bytes]] = _nothing
    resumed: Callable[[str], Sequence[bytes]] = _nothing
    proof: Callable[[str], bytes | None] = _no_proof
    stations: Callable[[Iterable[str]], bytes | None] = _no_stations
    signer: tuple[str, Signer] | None = None
