"""The `[remote]` section: the address of the remote configuration, and its keys."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from qos_agent.config.faults import invalid
from qos_agent.config.token import is_exposed
from qos_agent.config.types import Duration, Section, Text, Url
from qos_agent.evidence.key_set import KeySet, NamedKey
from qos_agent.model import Phase

_CLOSE = (Phase.VOTING, Phase.COUNTING)


class RemoteSection(Section):
    """Configuration that the operations centre signs; without a URL, none is used.

    `noc provision` writes the section. The centre cannot change it remotely.
    """

    url: Url | None = Field(
        None, description="URL of the folder with the signed files of the centre."
    )
    keys: tuple[Text, ...] = Field(
        (), description="Public configuration keys, the current and the next one."
    )
    emergency_keys: tuple[Text, ...] = Field(
        (), description="Public emergency keys; two of them must sign together."
    )
    key_set: int = Field(1, ge=1, le=10**8, description="Number of this set of keys.")
    check: Duration = Field(
        600.0, description="Maximum time between two checks for a new configuration."
    )
    check_voting: Duration = Field(
        60.0, description="The same while votes are cast or counted."
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.url is None:
            return self
        if is_exposed(self.url):
            raise invalid("must be an https URL", key="url", found=repr(self.url[:100]))
        try:
            self.initial_keys()
        except ValueError as error:
            fix = "copy [remote] from the centre: qos-agent noc config keys"
            raise invalid(str(error), key="keys", fix=fix) from error
        return self

    def initial_keys(self) -> KeySet:
        """Return the key set of the section. Raises ValueError."""
        return KeySet(
            self.key_set,
            tuple(map(NamedKey.parsed, self.keys)),
            tuple(map(NamedKey.parsed, self.emergency_keys)),
        )

    def cycle_s(self, phase: Phase) -> float:
        """Return the maximum time between two checks in a phase."""
        return self.check_voting if phase in _CLOSE else self.check
