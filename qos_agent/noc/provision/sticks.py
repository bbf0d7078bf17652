"""Files on a USB stick, with which devices enrol without a network."""

from __future__ import annotations

from pathlib import Path

from qos_agent.evidence import enrolment_file, keys
from qos_agent.evidence.enrolment_file import SUFFIX, EnrolmentFile
from qos_agent.evidence.signer import Signer
from qos_agent.model.errors import ConfigError
from qos_agent.noc.provision.configuration import files_for_devices
from qos_agent.noc.provision.ledger import give_to_owner
from qos_agent.noc.provision.plan import Centre, Wanted, labels
from qos_agent.noc.settings import NocSettings
from qos_agent.system.files import replace_private, sync

SIGNING_KEY_NAME = "centre-signing-key.pem"


def centre_signer(settings: NocSettings) -> Signer:
    """Return the key that signs files for devices; create it if there is none.

    Raises SigningError, OperatorError or OSError.
    """
    path = settings.provision.signing_key_file or settings.folder / SIGNING_KEY_NAME
    found = keys.load_signer(path)
    if found is None:
        found = keys.create_key(path)
        give_to_owner(path)
    return found


def write_files(centre: Centre, wanted: Wanted, folder: Path) -> int:
    """Write a file for each wanted station whose code can be used; return the number.

    Raises ConfigError, SigningError or OSError.
    """
    settings = centre.settings
    endpoint = settings.provision.endpoint
    if endpoint is None:
        fix = "set it to the https URL of the enrolment endpoint"
        raise ConfigError("provision.endpoint", None, "missing", fix)
    signer = centre_signer(settings)
    calendar, authority = files_for_devices(settings)
    count = 0
    for issue, _ in labels(centre, wanted):
        secret = centre.codes.stick_secret(issue.station, issue.serial)
        config = centre.ledger.allow_stick(issue.id, centre.codes.hash(secret))
        if config is None:
            continue
        url = str(endpoint)
        file = EnrolmentFile(issue.station, secret, url, config, calendar, authority)
        _write(folder / f"{issue.station}{SUFFIX}", _signed(file, signer))
        count += 1
    sync(folder)
    return count


def _signed(file: EnrolmentFile, signer: Signer) -> bytes:
    try:
        return enrolment_file.signed(file, signer)
    except ValueError as error:
        fix = "shorten provision.common or the calendar"
        where = f"the enrolment file of {file.station}"
        raise ConfigError(where, None, f"is too large: {error}", fix) from error


def _write(path: Path, content: bytes) -> None:
    """Replace a file; its mode has no effect on most sticks."""
    replace_private(path, content)
