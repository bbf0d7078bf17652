"""The intake of requests: the ledger decides, and the register gets the key.

The key of an admitted device is in the register before the device gets its token, so
that no seal arrives with an unknown key. If the register cannot be written, the device
gets an error and repeats its request.
"""

from __future__ import annotations

from qos_agent.evidence import checkpoints, enrolment
from qos_agent.noc.provision.admission import Admission, Admissions, Applicant
from qos_agent.noc.provision.ledger import Ledger
from qos_agent.noc.provision.vault import Codes
from qos_agent.noc.register.keys import DeviceKey, KeyRegister

_STICK = "stick"


class Intake:
    """Takes requests whose signature was checked, from one thread."""

    def __init__(self, ledger: Ledger, keys: KeyRegister, codes: Codes) -> None:
        self.admissions = Admissions(ledger)
        self._keys = keys
        self._codes = codes

    def take(
        self, request: enrolment.Request, peer: str, at_s: int, *, gives: bool = True
    ) -> Admission:
        """Use the code of a request. Raises sqlite3.Error.

        Without `gives` the device does not receive its token now.
        """
        key, since_s = request.key, request.since_s
        applicant = Applicant(request.device, key.raw, key.fingerprint, peer, since_s)
        code_hash = self._codes.hash(request.code)
        found = self.admissions.admit(code_hash, applicant, at_s, gives=gives)
        if found.outcome.is_admitted:
            name = checkpoints.device_name(request.device)
            self._keys.enrol(DeviceKey(found.station, name, key, found.key_from_s))
        return found

    def accept(self, content: bytes, at_s: int) -> Admission:
        """Take a request that came on a USB stick.

        Raises ValueError if it is no signed request, SigningError or sqlite3.Error.
        """
        return self.take(signed_request(content), _STICK, at_s, gives=False)


def signed_request(content: bytes) -> enrolment.Request:
    """Read a request. Raises ValueError if it is none or not signed, SigningError."""
    request, note = enrolment.parsed(content)
    if not enrolment.is_signed(request, note):
        raise ValueError("its signature is wrong, so it was changed or is damaged")
    return request
