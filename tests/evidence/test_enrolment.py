"""Requests to enrol: read as signed, and refused in every other form."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.evidence import checkpoints, enrolment, keys
from qos_agent.evidence.signer import OpensslSigner
from qos_agent.model.enrolment_code import code_of

CODE, SINCE_S = code_of(16), 1_800_000_000


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> OpensslSigner:
    """Return the signer of a new key."""
    return keys.create_key(tmp_path_factory.mktemp("key") / keys.FILE_NAME)


@pytest.fixture(scope="module")
def content(signer: OpensslSigner) -> bytes:
    """Return a correct request."""
    return enrolment.signed(CODE, "pi-1", "1.2.3+g1", signer, SINCE_S)


def test_a_request_is_read_as_it_was_signed(
    content: bytes, signer: OpensslSigner
) -> None:
    """Code, device, key and version are those of the device."""
    request, note = enrolment.parsed(content)
    expected = enrolment.Request(CODE, "pi-1", signer.public_key, "1.2.3+g1", SINCE_S)
    assert request == expected
    assert enrolment.is_signed(request, note)


def test_a_request_with_another_key_is_not_signed(
    content: bytes, signer: OpensslSigner, tmp_path: Path
) -> None:
    """Nobody can enrol a public key without its private key."""
    other = keys.create_key(tmp_path / "other.pem")
    request, _ = enrolment.parsed(content)
    name = checkpoints.device_name("pi-1")
    forged = checkpoints.signed(name, request.text(), other)
    assert not enrolment.is_signed(*enrolment.parsed(forged.to_bytes()))


@given(st.data())
def test_no_changed_byte_is_accepted(content: bytes, data: st.DataObject) -> None:
    """A changed text is refused, and a changed signature is no signature."""
    place = data.draw(st.integers(0, content.index(b"\n\n")))
    changed = bytearray(content)
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        request, note = enrolment.parsed(bytes(changed))
    except ValueError:
        return
    assert note.text.encode() != content
    assert not enrolment.is_signed(request, note)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"v1", b"v2"),
        (CODE.encode(), CODE.lower().encode()),
        (CODE.encode(), CODE[:-1].encode()),
        (b"pi-1", b"pi%2F1"),
        (b"pi-1", b"p" * 65),
        (b"1.2.3", b"1 2 3"),
        (b"1.2.3", b"9" * 5000),
        (b"2027-01-15T", b"2027-1-15T"),
        (b"2027-01-15T", b"0000-01-15T"),
        (b"\n\n", b"\nmore\n\n"),
        (b"\n\n", b"\n"),
    ],
)
def test_other_forms_are_refused(content: bytes, old: bytes, new: bytes) -> None:
    """Another version, spelling, name or length is an error."""
    with pytest.raises(ValueError):  # noqa: PT011  the texts differ
        enrolment.parsed(content.replace(old, new))


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(content: bytes) -> None:
    """No input raises another error than ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011  the texts differ
        enrolment.parsed(content)
