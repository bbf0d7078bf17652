"""Exceptions of this package, grouped by who must act.

QosAgentError
├── OperatorError      a person must change something
│   ├── ConfigError    ... one setting or argument: key, problem, value found, fix
│   └── InvalidConfigError  ... every error of one configuration
├── ProbeError         nobody; the error becomes a failed reading
├── NotMeasuredError   nobody; the error becomes a skipped reading
├── SigningError       a person; the points stay unsealed until the key works
├── DeliveryError      the uplink, which keeps the points and retries
└── StorageError       a person, after a retry; the journal cannot be written

Any other exception is a bug and ends in exit status 3. These are dataclasses, but they
are not frozen, because Python sets the traceback of an exception while it is raised.
"""

from __future__ import annotations

from dataclasses import dataclass

from qos_agent.model.text import one_line

_FOUND_LONGEST = 200


class QosAgentError(Exception):
    """Base class of the exceptions that this package raises on purpose."""


class OperatorError(QosAgentError):
    """An error that a person must fix; the message says what is wrong and how."""


@dataclass(eq=False)
class ConfigError(OperatorError):
    """One wrong setting or argument.

    `key` is dotted, `found` is the value or None if there is none, `problem` says what
    is wrong ("must be at least 1"), and `fix` what to do, as an imperative.
    """

    key: str
    found: str | None
    problem: str
    fix: str

    def __str__(self) -> str:
        """Return the one line that users see; any part may come from outside."""
        key, problem, fix = map(one_line, (self.key, self.problem, self.fix))
        found = ""
        if self.found is not None:
            found = f" (found: {one_line(self.found, _FOUND_LONGEST)})"
        return f"{key}: {problem}{found}. Fix: {fix}."


@dataclass(eq=False)
class InvalidConfigError(OperatorError):
    """Every error of a configuration, each as a ConfigError."""

    faults: tuple[ConfigError, ...]

    def __str__(self) -> str:
        """Return one line for each error."""
        return "\n".join(str(fault) for fault in self.faults)


@dataclass(eq=False)
class ProbeError(QosAgentError):
    """A failed measurement, with a `cause` from the closed list of the schema."""

    cause: str
    detail: str = ""

    def __str__(self) -> str:
        """Return the cause, and the message of the peer if there is one."""
        return f"{self.cause}: {self.detail}" if self.detail else self.cause


@dataclass(eq=False)
class NotMeasuredError(QosAgentError):
    """A measurement that cannot be made, with a `reason` from the closed list.

    It says nothing about the network, so it counts neither as failed nor as lost.
    """

    reason: str
    detail: str = ""

    def __str__(self) -> str:
        """Return the reason, with the detail if there is one."""
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class SigningError(QosAgentError):
    """A signature that could not be made or checked; the message names the fix."""


class DeliveryError(QosAgentError):
    """The collector did not accept the points; they stay in the journal."""


@dataclass(eq=False)
class StorageError(QosAgentError):
    """A failed write to disk: the operation, the path and a hint for the fix."""

    operation: str
    path: str
    hint: str

    def __str__(self) -> str:
        """Return one line with the operation, the path and the hint."""
        return f"{self.operation} {self.path}: {self.hint}"
