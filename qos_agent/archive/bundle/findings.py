"""The result of a verification: kinds of faults and the points they concern."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

_SPANS_MAX = 1000


class Kind(StrEnum):
    """Kinds of faults. Each makes a bundle invalid."""

    FILE = "file"
    MISSING = "missing"
    ALTERED = "altered"
    INSERTED = "inserted"
    REORDERED = "reordered"
    UNSEALED = "unsealed"
    UNPROVEN = "unproven"
    LEAVES = "leaves"
    SEAL_INVALID = "seal_invalid"
    UNKNOWN_KEY = "unknown_key"
    EXPIRED_KEY = "expired_key"
    NOT_REGISTERED = "not_registered"
    INCONSISTENT = "inconsistent"
    FORKED = "forked"
    TRUNCATED = "truncated"
    TWO_JOURNALS = "two_journals"
    HANDOVER = "handover"
    COSIGNATURE = "cosignature"
    NATIONAL_ROOT = "national_root"
    SIGNATURE = "signature"


MEANINGS: Mapping[Kind, str] = {
    Kind.FILE: "a file of the bundle was changed, added or removed",
    Kind.MISSING: "sealed points that the bundle does not have",
    Kind.ALTERED: "points that are not the sealed ones",
    Kind.INSERTED: "lines that have no place in the sealed journal",
    Kind.REORDERED: "sealed points that are not in their place",
    Kind.UNSEALED: "points after the last seal",
    Kind.UNPROVEN: "points that nothing proves, because others near them are wrong",
    Kind.LEAVES: "hashes in leaves.bin that are not the sealed ones",
    Kind.SEAL_INVALID: "seals that are not well-formed or have a wrong signature",
    Kind.UNKNOWN_KEY: "seals of a key that the register does not have",
    Kind.EXPIRED_KEY: "seals of a key that was not valid at that time",
    Kind.NOT_REGISTERED: "points of a station that the register does not have",
    Kind.INCONSISTENT: "seals that do not continue the seal before",
    Kind.FORKED: "seals that contradict each other",
    Kind.TRUNCATED: "the journal is shorter than the centre has confirmed",
    Kind.TWO_JOURNALS: "a journal that began without a hand-over from another one",
    Kind.HANDOVER: "hand-overs that do not verify",
    Kind.COSIGNATURE: "seals without a correct cosignature of the witness",
    Kind.NATIONAL_ROOT: "the national root or its proof does not verify",
    Kind.SIGNATURE: "the centre's signature of the bundle does not verify",
}


@dataclass(slots=True)
class Spans:
    """Numbers, as the spans that contain them. The first `limit` spans are kept."""

    count: int = 0
    limit: int = _SPANS_MAX
    spans: list[list[int]] = field(default_factory=list)

    def add(self, first: int, last: int) -> None:
        """Add the numbers of a span."""
        self.count += last - first + 1
        if self.spans and self.spans[-1][1] + 1 == first:
            self.spans[-1][1] = last
        elif len(self.spans) < self.limit:
            self.spans.append([first, last])

    def remove(self, number: int) -> None:
        """Remove a number that is in one of the spans."""
        for place, (first, last) in enumerate(self.spans):
            if first <= number <= last:
                parts = ([first, number - 1], [number + 1, last])
                self.spans[place : place + 1] = [p for p in parts if p[0] <= p[1]]
                self.count -= 1
                return

    def kept(self) -> int:
        """Return the number of the numbers in the spans that were kept."""
        return sum(last - first + 1 for first, last in self.spans)

    def text(self, limit: int = 10) -> str:
        """Return the first spans for a person."""
        shown = [f"{a}" if a == b else f"{a} to {b}" for a, b in self.spans[:limit]]
        more = " …" if len(self.spans) > limit else ""
        return ", ".join(shown) + more


@dataclass(slots=True)
class Findings:
    """The faults of one journal, or of the bundle as a whole."""

    points: dict[Kind, Spans] = field(default_factory=dict)
    details: dict[Kind, list[str]] = field(default_factory=dict)
    counts: dict[Kind, int] = field(default_factory=dict)

    def point(self, kind: Kind, first: int, last: int | None = None) -> None:
        """Record points by number."""
        end = first if last is None else last
        self.points.setdefault(kind, Spans()).add(first, end)
        self.counts[kind] = self.counts.get(kind, 0) + end - first + 1

    def detail(self, kind: Kind, text: str) -> None:
        """Record a fault that is described by a text; the first ones are kept."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        texts = self.details.setdefault(kind, [])
        if len(texts) < _SPANS_MAX:
            texts.append(text)

    def __bool__(self) -> bool:
        """Return True if anything is wrong."""
        return any(self.counts.values())

    def lines(self, limit: int = 10) -> Iterator[str]:
        """Yield the faults for a person."""
        for kind in Kind:
            count = self.counts.get(kind, 0)
            if not count:
                continue
            spans = self.points.get(kind)
            numbers = f": points {spans.text(limit)}" if spans else ""
            yield f"{kind}: {count} ({MEANINGS[kind]}){numbers}"
            texts = self.details.get(kind, [])
            yield from (f"  {text}" for text in texts[:limit])
            if len(texts) > limit:
                yield f"  and {len(texts) - limit} more"

    def table(self) -> dict[str, object]:
        """Return the faults for a program."""
        return {
            str(kind): {
                "count": count,
                "points": self.points[kind].spans if kind in self.points else [],
                "details": self.details.get(kind, []),
            }
            for kind, count in self.counts.items()
            if count
        }
