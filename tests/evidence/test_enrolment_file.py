"""Files for enrolling from a USB stick: read as signed, refused in every other form."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.evidence import checkpoints, enrolment_file, keys, notes
from qos_agent.evidence.enrolment_file import MAX_BYTES, EnrolmentFile
from qos_agent.evidence.signer import OpensslSigner

FILE = EnrolmentFile(
    "3171010001001",
    "0123456789abcdef" * 2,
    "https://centre.example.id",
    '[station]\nid = "3171010001001"\n\n# Kota é\n',
    "[calendar]\n",
)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> OpensslSigner:
    """Return the key of the centre."""
    return keys.create_key(tmp_path_factory.mktemp("key") / "centre.pem")


@pytest.fixture(scope="module")
def content(signer: OpensslSigner) -> bytes:
    """Return a correct file."""
    return enrolment_file.signed(FILE, signer)


def test_a_file_is_read_as_it_was_signed(content: bytes, signer: OpensslSigner) -> None:
    """The device gets what the centre wrote, and the key that signed it."""
    assert enrolment_file.parsed(content) == (FILE, signer.public_key)


@given(st.data())
def test_no_changed_byte_is_accepted(content: bytes, data: st.DataObject) -> None:
    """A damaged stick or another hand changes nothing on a device."""
    place = data.draw(st.integers(0, content.index(b"\n\n")))
    changed = bytearray(content)
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError):  # noqa: PT011  the texts differ
        enrolment_file.parsed(bytes(changed))


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(content: bytes) -> None:
    """No input raises another error than ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011  the texts differ
        enrolment_file.parsed(content)


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{}",
        json.dumps({"station": 1}),
        "[" * 5000,
        json.dumps({**dict.fromkeys(FILE.__slots__, "x")}),
        json.dumps({**dict.fromkeys(FILE.__slots__), "secret": "0" * 32}),
        json.dumps({**dict.fromkeys(FILE.__slots__, "\ud800"), "secret": "0" * 32}),
    ],
)
def test_another_content_is_refused_though_it_is_signed(
    signer: OpensslSigner, body: str
) -> None:
    """The centre may have an error, and the device keeps what it has."""
    name = "qos-agent-centre"
    key = notes.verifier_key(name, signer.public_key.raw)
    text = f"qos-agent enrolment file v1\n{key}\n{body}\n"
    content = checkpoints.signed(name, text, signer).to_bytes()
    with pytest.raises(ValueError):  # noqa: PT011  the texts differ
        enrolment_file.parsed(content)


def test_a_file_that_no_device_reads_is_not_made(signer: OpensslSigner) -> None:
    """The centre finds out, not the technician."""
    with pytest.raises(ValueError, match="at most 65536 are allowed"):
        enrolment_file.signed(replace(FILE, config="x" * MAX_BYTES), signer)


def test_another_key_in_the_file_does_not_help(
    content: bytes, tmp_path: Path, signer: OpensslSigner
) -> None:
    """A forger signs with another key only, and that has another fingerprint."""
    other = keys.create_key(tmp_path / "other.pem")
    _, key = enrolment_file.parsed(enrolment_file.signed(FILE, other))
    assert key.fingerprint != signer.public_key.fingerprint
