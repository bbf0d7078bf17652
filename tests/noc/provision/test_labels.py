"""Labels: right content, private files, and nothing of a name becomes markup."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from qos_agent.model.enrolment_code import code_of
from qos_agent.model.errors import ConfigError
from qos_agent.noc.provision import labels
from qos_agent.noc.provision.labels import Label, label_of, write_sheet
from qos_agent.noc.register.store import Entry
from tests.noc.provision.ledgers import ONE, issued, opened
from tests.support.requirement import require

_NAME = 'TPS <b>"1"</b> #panic("x") $ @ \\ & *'


@pytest.fixture(autouse=True)
def _libraries() -> None:
    found = find_spec("segno") is not None and find_spec("typst") is not None
    require(found, "segno or typst", "pip install 'qos-agent[noc]'")


@pytest.fixture
def label(tmp_path: Path) -> Label:
    """Return the label of a station whose name looks like markup."""
    links = (("main", "telkomsel", ""),)
    entry = Entry(ONE, _NAME, "31", "3171", -6.1, 106.8, "Asia/Jakarta", None, links)
    (issue,) = issued(opened(tmp_path), ONE)
    return label_of(
        issue, entry, code_of(16), "https://centre.example.id", own_authority=True
    )


def test_an_html_sheet_shows_the_label(label: Label, tmp_path: Path) -> None:
    """The name is text, and the code is there with its QR code."""
    path = tmp_path / "labels.html"
    assert write_sheet(path, [label, label]) == 2
    text = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert "TPS &lt;b&gt;&quot;1&quot;" in text
    assert text.count("<svg") == 2
    command = f"enrol {label.code} --centre https://centre.example.id"
    assert f"{command} --ca-file trusted.pem</code>" in text


def test_a_pdf_sheet_is_written_for_any_name(label: Label, tmp_path: Path) -> None:
    """Commands of typst in a name are not run; 16 labels take two pages."""
    path = tmp_path / "labels.pdf"
    assert write_sheet(path, [label] * 16) == 16
    content = path.read_bytes()
    assert content.startswith(b"%PDF-")
    assert b"/Count 2" in content
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_qr_code_is_small(label: Label) -> None:
    """The code needs the smallest QR code, 21 by 21 with its quiet zone of 4."""
    assert 'viewBox="0 0 29 29"' in label.qr


def test_a_failed_sheet_leaves_the_old_one(label: Label, tmp_path: Path) -> None:
    """Another kind of file is refused, and an error leaves no part of a file."""
    path = tmp_path / "labels.pdf"
    path.write_text("old")
    with pytest.raises(ConfigError, match=r"must be PDF or HTML.*Fix: "):
        write_sheet(tmp_path / "labels.docx", [label])
    broken = replace(label, qr="no picture")
    with pytest.raises(RuntimeError, match=r"svg|SVG"):
        write_sheet(path, [broken])
    assert path.read_text() == "old"
    assert {p.name for p in tmp_path.glob("*labels*")} == {"labels.pdf"}


def test_a_missing_library_is_named(
    label: Label, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says how to install it."""

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(labels, "import_module", missing)
    with pytest.raises(ConfigError, match=r"library typst.*pip install"):
        write_sheet(tmp_path / "labels.pdf", [label])
