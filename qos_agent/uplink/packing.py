"""Lines of points as the body of a request: joined and gzipped, always the same."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

# Of a train's line of 757 bytes level 1 leaves 113, 6 leaves 84, 9 leaves 79, in
# 3, 8 and 20 us: bytes cost the station more than time does.
_LEVEL = 6
_GZIP = zlib.MAX_WBITS | 16
# Joined piece by piece, so that there is no second copy of a large batch.
_PIECE_LINES = 250


def pack(lines: Sequence[bytes]) -> bytes:
    """A gzip member without name or time: the same lines are the same body."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    parts = [
        packer.compress(b"\n".join(lines[start : start + _PIECE_LINES]) + b"\n")
        for start in range(0, len(lines), _PIECE_LINES)
    ]
    return b"".join([*parts, packer.flush()])
