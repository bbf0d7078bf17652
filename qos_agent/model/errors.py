"""Errors, grouped by who acts on them.

QosAgentError
├── OperatorError      a person must change something: key, found, allowed, mend
│   ├── ConfigError    ... one setting
│   └── InvalidConfigError  ... all that is wrong with a configuration
├── ProbeError         nobody: the world is what it is; becomes a failed reading
├── DeliveryError      a retry: the uplink keeps the points and tries again
└── StorageError       a person, after a retry: the journal cannot be written

Anything else that escapes is a bug and ends in exit status 3. They are dataclasses,
but not frozen: Python itself sets the traceback of an exception under way.
"""

from __future__ import annotations

from dataclasses import dataclass


class QosAgentError(Exception):
    """The root of what this package raises on purpose."""


class OperatorError(QosAgentError):
    """Something a person must mend; the message says what and how."""


@dataclass(eq=False)
class ConfigError(OperatorError):
    """One wrong setting: `key` (dotted), what was found, what is allowed, the mend."""

    key: str
    found: str
    allowed: str
    mend: str

    def __str__(self) -> str:
        """One line a technician can act on."""
        return f"{self.key}: found {self.found}; allowed: {self.allowed}; {self.mend}"


@dataclass(eq=False)
class InvalidConfigError(OperatorError):
    """All that is wrong with a configuration, a ConfigError for each fault."""

    faults: tuple[ConfigError, ...]

    def __str__(self) -> str:
        """One line for each fault."""
        return "\n".join(str(fault) for fault in self.faults)


@dataclass(eq=False)
class ProbeError(QosAgentError):
    """A measurement that failed: a `cause` from the schema's closed list."""

    cause: str
    detail: str = ""

    def __str__(self) -> str:
        """The cause, and the words of whoever refused."""
        return f"{self.cause}: {self.detail}" if self.detail else self.cause


class DeliveryError(QosAgentError):
    """The collector did not take the points; they stay in the journal."""


@dataclass(eq=False)
class StorageError(QosAgentError):
    """A write to disk failed: which operation, where, and what mends it."""

    operation: str
    path: str
    hint: str

    def __str__(self) -> str:
        """One line: operation, place, mend."""
        return f"{self.operation} {self.path}: {self.hint}"
