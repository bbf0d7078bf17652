"""The processors for which packages are built."""

from __future__ import annotations

from dataclasses import dataclass

# Debian 12 has Python 3.11 and Debian 13 has 3.13.
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


@dataclass(frozen=True, slots=True)
class Architecture:
    """A processor by Debian's name, and by the name in wheels and of `uname -m`."""

    debian: str
    machine: str

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platforms of wheels that run on Debian 12, whose glibc is 2.36."""
        minors = (f"manylinux_2_{minor}_{self.machine}" for minor in range(36, 16, -1))
        return (*minors, f"manylinux2014_{self.machine}")


ARMHF = Architecture("armhf", "armv7l")
ARCHITECTURES = {
    architecture.debian: architecture
    for architecture in (
        Architecture("amd64", "x86_64"),
        Architecture("arm64", "aarch64"),
        ARMHF,
    )
}
