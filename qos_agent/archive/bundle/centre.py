"""The parts of a bundle that the operations centre has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from qos_agent.archive.bundle.register import StationKey
from qos_agent.evidence.signer import Signer


def _nothing(_origin: str) -> Sequence[bytes]:
    return ()


def _no_stations(_codes: Iterable[str]) -> bytes | None:
    return None


@dataclass(frozen=True, slots=True)
class RootFile:
    """A national root: name and content of its file, and its timestamp if it has one.

    `prover` makes the tree of the root and returns a function that gives the proof of a
    journal, or None. It is called once, because the tree of a nation is large.
    """

    name: str
    content: bytes
    prover: Callable[[], Callable[[str], bytes | None]]
    timestamp: bytes | None = None


@dataclass(frozen=True, slots=True)
class Centre:
    """Keys of devices, and the parts that witness and register have.

    `witness` has the two public keys as text. `roots` are national roots, oldest first.
    The functions return the cosigned notes and the resumptions of a journal, and the
    rows of stations in the register.
    """

    keys: Sequence[StationKey]
    witness: str | None = None
    roots: Sequence[RootFile] = ()
    calendar: bytes | None = None
    cosigned: Callable[[str], Sequence[bytes]] = _nothing
    resumed: Callable[[str], Sequence[bytes]] = _nothing
    stations: Callable[[Iterable[str]], bytes | None] = _no_stations
    signer: tuple[str, Signer] | None = None
