"""The explanations in a bundle: a README, the methods, and the short verifier."""

from __future__ import annotations

import shutil
from pathlib import Path

import qos_agent
from qos_agent.archive.bundle import layout
from qos_agent.model.errors import OperatorError

_README = """\
This folder is an evidence bundle of QoS Agent: readings of devices at polling
stations, and the proof that no reading was changed, removed or added. It is a BagIt
bag (RFC 8493). Run these commands in the folder of bagit.txt:

To check the files:       sha256sum -c manifest-sha256.txt
To check the readings:    qos-agent verify .
Without our program:      data/verify.py, a short program that you can read

journals/DEVICE/JOURNAL/  the readings of one journal
  points.lp               one reading a line, in the order of their numbers
  seals.lp                the signed seals of the device
  leaves.bin              the SHA-256 of each reading, 32 bytes each
  cosigned.notes          the seals with the signature of the witness
  resumed.notes           statements of the witness about seals that it never received
  national-root.tlog-proof  the proof that the newest national root has a seal
  earlier-roots/            the same for the national roots before it
  origin.txt              device and journal
keys/devices.csv          public keys of the devices, and when each was valid
keys/witness.txt          public keys of the witness: compare them with published copies
roots/                    national roots, perhaps with a timestamp (RFC 3161)
register.csv              the stations in the register of the centre
calendar.toml             the election calendar
configurations.csv        SHA-256 of the configurations that the devices used
dictionary.csv            the meaning and unit of each field
methods/                  how each figure is measured, and methods/evidence.md
left-out/                 lines that are NOT part of the record, by the reason:
  not-sealed.lp           after the last seal, so that nothing proves them
  no-registered-key.lp    of a journal that no registered key has sealed
  contradicting.lp        under the number of a reading that the seals confirm
"""


def documents() -> Path:
    """Return the folder of the documents, which the package contains.

    In a source tree they are in its own folder. Raises OperatorError.
    """
    package = Path(qos_agent.__file__).parent
    for folder in (package / "docs", package.parent / "docs"):
        if (folder / "method" / "evidence.md").is_file():
            return folder
    fix = "install the package qos-agent again"
    raise OperatorError(f"{package / 'docs'}: the documents are missing. Fix: {fix}.")


def write(data: Path) -> None:
    """Write the explanations into the payload of a bundle."""
    (data / layout.README).write_text(_README, encoding="utf-8")
    folder = documents()
    (data / layout.METHODS).mkdir()
    for path in sorted((folder / "method").glob("*.md")):
        shutil.copyfile(path, data / layout.METHODS / path.name)
    shutil.copyfile(folder / "evidence" / "verify.py", data / "verify.py")
