"""Tokens and keys that systemd gives to a service as credentials."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.noc.settings import load


def test_a_service_reads_its_credentials_and_a_person_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One noc.toml serves both, and a file without a credential stays as it is."""
    token, admin = tmp_path / "read.token", tmp_path / "admin.token"
    for path in (token, admin):
        path.write_text("person:1\n")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "read.token").write_text("service:1\n")
    path = tmp_path / "noc.toml"
    path.write_text(
        f'[[collectors]]\nurl = "http://127.0.0.1:8086"\ntoken_file = "{token}"\n'
        f'admin_token_file = "{admin}"\n'
    )
    assert load(path).collectors[0].current_token() == "person:1"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    (shard,) = load(path).collectors
    assert shard.current_token() == "service:1"
    assert shard.admin_token_file == admin
